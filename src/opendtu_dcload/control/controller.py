"""One decision: from what is known now to a plan with its reason and the commands that bring it about.

No clock, no I/O: the same object regulates a house through HTTP and a simulated year on virtual time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from opendtu_dcload.control.budget import Budget
from opendtu_dcload.control.decision import Decision, Seen
from opendtu_dcload.control.derating import Derating
from opendtu_dcload.control.dispatch import Share, dispatch, fit
from opendtu_dcload.control.dtu import DtuSettings
from opendtu_dcload.control.fairness import Fairness, accurate_w
from opendtu_dcload.control.gate import Gate
from opendtu_dcload.control.guard import Rung
from opendtu_dcload.control.last_resort import LastResort
from opendtu_dcload.control.learn import DelayLearner
from opendtu_dcload.control.means import means_of
from opendtu_dcload.control.meter_movement import MeterMovement
from opendtu_dcload.control.meter_movement import Verdict as Asked
from opendtu_dcload.control.output import Unit
from opendtu_dcload.control.plant_guard import PlantGuard, Verdict
from opendtu_dcload.control.policy import (
    CAP_SLACK_W,
    REPLACE_PENDING_W,
    Command,
    Reboot,
    Restart,
    SetLimit,
    SetPower,
    Wish,
    allowed,
    leaving,
    refresh,
    room_left_w,
)
from opendtu_dcload.control.question import output_of, question_w
from opendtu_dcload.control.reasons import reason_of
from opendtu_dcload.control.regulator import Regulator
from opendtu_dcload.control.response import JUDGED_STEP_W, PROBE_W, ResponseGuard
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.control.span import Allowance, Span, span_of
from opendtu_dcload.control.standby import Standby
from opendtu_dcload.control.track import WINDOW_S, Track
from opendtu_dcload.control.words import note
from opendtu_dcload.model import (
    InverterPlan,
    MeterReading,
    Plan,
    Reason,
)

BLIND_S = 60.0
"""An inverter whose data have been stale for so long, though commands may reach it, gets its minimum."""
FOREIGN_COUNT = 2
FOREIGN_WITHIN_S = 600.0
CORRECTED_W = 50.0
"""When the model of the plant was corrected by this much, own steps can no longer be told from it."""
EXPORT_W, EXPORT_S = 30.0, 5.0
"""Export of so much for so long, with nothing of ours under way, is real whatever the model holds possible."""
METER_DELAY_S = 0.5
"""A meter shows the mean of about the last second."""


class Controller:
    """Turns what is seen into plans; remembers what was commanded and what came of it."""

    def __init__(self, settings: Settings, units: Sequence[Unit], now_s: float) -> None:
        self.settings = settings
        self.tracks = {unit.serial: Track(unit) for unit in units}
        self.response = ResponseGuard()
        self._movement = MeterMovement()
        self._output = output_of(self.tracks.values(), now_s)
        self._learner = DelayLearner()
        self._regulator = Regulator(settings.priority)
        self._deratings = {unit.serial: Derating(settings.max_temperature_c) for unit in units}
        self._fairness = Fairness()
        obeyed_s = max((unit.credit_s for unit in units), default=0.0)
        self.guards = PlantGuard(settings.guards, settings.min_voltage_v, obeyed_s)
        self._verdict = Verdict(settings.max_feed_in_w)
        self._started_at_s = now_s
        self._reading_at_s = -math.inf
        self._dtus = {unit.dtu: settings.dtus.get(unit.dtu, DtuSettings()) for unit in units}
        counts = Counter(unit.dtu for unit in units)
        self._budgets = {n: Budget(dtu.max_commands_per_hour, now_s, counts[n]) for n, dtu in self._dtus.items()}
        self._gate = Gate(self._budgets)
        self._radio_free_s: dict[str, float] = {}
        self._foreign_at_s: list[float] = []
        self._standby = Standby(now_s)
        self._last_resort = LastResort()
        self._ramp_from_w = 0.0
        self._corrected_w = 0.0
        self._exporting_since_s = math.inf

    # ---- what the loop calls

    def step(self, seen: Seen) -> Decision:
        """Decide once; the commands must be reported with `posted` before they are sent."""
        self._observe(seen)
        self._hear(seen)
        allowance = self._guard(seen)
        restarts, reboots = self._last_resorts(seen)
        span = span_of(self.tracks.values(), allowance)
        outputs_w = self._regulate(seen, allowance, span)
        is_calm = allowance.reason is None and not (self.response.is_probing or self._movement.is_asking)
        if self.settings.may_rest and is_calm:
            self._standby.see(seen.now_s, self.tracks.values(), allowance.cap_w, self.settings.switched_off)
        if not outputs_w and is_calm and all(b.is_plenty(seen.now_s) for b in self._budgets.values()):
            outputs_w = self._fairness.move(seen.now_s, self.tracks.values())
        wishes = self._wishes(seen.now_s, outputs_w, allowance)
        commands = self._commands(seen, wishes, allowance, restarts)
        plan = self._plan(seen.now_s, wishes, allowance, self._why(seen, allowance, span))
        return Decision(plan, tuple(commands), tuple(reboots))

    def posted(self, command: Command, now_s: float) -> None:
        """Note that a command is being sent: from now on it may be in force."""
        track = self.tracks[command.serial]
        free_s = max(self._radio_free_s.get(track.unit.radio, now_s), now_s)
        self._radio_free_s[track.unit.radio] = free_s + WINDOW_S
        self._gate.posted(now_s, command, track)
        if isinstance(command, SetPower):
            track.post_power(now_s, on=command.on)
        elif isinstance(command, Restart):
            track.post_restart()
            self._last_resort.restarted(now_s, command.serial)
        else:
            self.response.stepped(is_trusted=all(t.is_trusted for t in self.tracks.values() if t.is_usable))
            before_w = track.final_w
            track.post(now_s, command.limit_w, free_s)
            self._learner.stepped(now_s, command.serial, track.final_w - before_w)
            self._fairness.stepped(now_s, track.final_w - before_w)

    def taken(self, command: Command, now_s: float) -> None:
        """Note that the POST of a command is over, well or not: what the DTU says from now on counts for it."""
        if isinstance(command, SetLimit):
            self.tracks[command.serial].taken(now_s)

    def refused(self, command: Command, now_s: float) -> None:
        """Note that the DTU declined a command."""
        if isinstance(command, SetLimit):
            self.tracks[command.serial].refused(now_s)
        elif isinstance(command, Restart):
            self._last_resort.declined(command.serial)
        else:
            self.tracks[command.serial].power_failed()

    def failed(self, command: Command) -> None:
        """Note that nobody knows whether a command arrived; of a limit the DTU's status will tell."""
        self._gate.failed(command)
        if isinstance(command, SetPower):
            self.tracks[command.serial].power_failed()
        elif isinstance(command, SetLimit):  # it may be no step at all, so the meter need not answer it
            self.tracks[command.serial].is_trusted = False
            self.response.corrected()

    def rebooted(self, reboot: Reboot, now_s: float) -> None:
        """Note that a DTU is being rebooted."""
        self._last_resort.rebooted(now_s, reboot.dtu)

    def set_unit(self, unit: Unit) -> None:
        """Replace what is known of an inverter, when the DTU has learned its rated power."""
        self.tracks[unit.serial].set_unit(unit)

    def leave(self, *, off: bool) -> list[Command]:
        """Return what each inverter is told when the program ends."""
        return leaving(self.tracks.values(), off=off)

    # ---- the parts of a decision

    def _observe(self, seen: Seen) -> None:
        for serial, track in self.tracks.items():
            dtu, told = self._dtus[track.unit.dtu], seen.dtus.get(track.unit.dtu)
            track.trouble = dtu.trouble(told, seen.now_s)
            track.rests = self._standby.counts[serial] if serial in self._standby.resting else 0
            track.is_switched_off = serial in self.settings.switched_off or bool(track.rests)
            if (limit := seen.limits.get(serial)) and track.see_limit(limit, seen.now_s):
                self._foreign_at_s.append(seen.now_s)
            if status := seen.inverters.get(serial):
                track.see_status(status, seen.now_s, dtu.freshness_s(told))
            track.see_lost(seen.now_s)
            if track.is_fresh and track.status:
                self._deratings[serial].see(track.status.temperature_c)
            cool_w = self._deratings[serial].ceiling_w(track.unit.minimum_w, track.unit.maximum_w)
            track.ceiling_w = min(cool_w, track.held_ceiling_w)
        self._fairness.see(seen.now_s, self.tracks.values())
        self._foreign_at_s = [at_s for at_s in self._foreign_at_s if seen.now_s - at_s < FOREIGN_WITHIN_S]

    def _last_resorts(self, seen: Seen) -> tuple[list[Restart], list[Reboot]]:
        if not self.settings.has_last_resorts:
            return [], []
        # What the guards allow, also while the meter is doubted because an inverter does not obey.
        cap_w = self._verdict.cap_w if self._meter_age_s(seen) < self.settings.ladder.hold_s else 0.0
        found = self._last_resort.step(seen.now_s, self.tracks, seen.dtus, cap_w)
        for serial, track in self.tracks.items():
            track.is_restarting = serial in self._last_resort.rated
        return found

    def _commands(
        self, seen: Seen, wishes: Mapping[str, Wish], allowance: Allowance, restarts: Sequence[Restart]
    ) -> list[Command]:
        """Return what may go out now; DTUs that cannot be commanded are left out, but count for the cap."""
        free = {s: t for s, t in self.tracks.items() if _is_free(t, seen) and s in seen.limits}
        wanted = allowed(seen.now_s, {s: wishes[s] for s in free}, self.tracks, allowance.cap_w)
        wanted += [restart for restart in restarts if restart.serial in free]
        commands = self._gate.admitted(seen.now_s, wanted, wishes, self.tracks)
        told = {self.tracks[c.serial].unit.dtu for c in commands}
        for dtu in [name for name in self._dtus if name not in told]:
            left_w = room_left_w(self.tracks, commands, allowance.cap_w) if allowance.may_regulate else 0.0
            due = refresh(seen.now_s, wishes, {s: t for s, t in free.items() if t.unit.dtu == dtu}, left_w)
            commands += self._gate.admitted_again(seen.now_s, due, self.tracks)
        return commands

    def _meter_age_s(self, seen: Seen) -> float:
        return seen.now_s - self._movement.believed_at_s(seen.meter.at_s if seen.meter else self._started_at_s)

    def _guard(self, seen: Seen) -> Allowance:
        tracks = self.tracks.values()
        self._verdict = verdict = self.guards.step(seen.now_s, self.settings.max_feed_in_w, tracks, seen.beside)
        if verdict.cap_w <= 0 and verdict.reason is not Reason.FEED_IN_CAP:
            return Allowance(0.0, verdict.reason, may_regulate=False, is_urgent=True)
        legal_w = verdict.cap_w
        minimum_w = sum(t.unit.minimum_w for t in tracks if not t.is_switched_off)
        age_s = self._meter_age_s(seen)
        is_frozen = self._movement.is_frozen
        rung = max(self.settings.ladder.rung(age_s), Rung.MINIMUM if is_frozen else Rung.LIVE)
        if rung is Rung.OFF:
            reason = Reason.METER_FROZEN if is_frozen else Reason.METER_LOST_OFF
            return Allowance(0.0, reason, may_regulate=False, is_urgent=True)
        if not self.settings.is_regulating:
            return Allowance(min(minimum_w, legal_w), Reason.SWITCHED_OFF, may_regulate=False, is_urgent=True)
        if seen.beside.relay is not None and not seen.beside.relay.is_on and legal_w > 0:
            return Allowance(min(minimum_w, legal_w), Reason.RELAY_OPEN, may_regulate=False)
        if rung is Rung.MINIMUM:
            reason = Reason.METER_FROZEN if is_frozen else Reason.METER_STALE_MINIMUM
            return Allowance(min(minimum_w, legal_w), reason, may_regulate=False, is_urgent=True)
        if self.response.suspicion:
            return Allowance(min(minimum_w, legal_w), self.response.suspicion, may_regulate=False, is_urgent=True)
        if rung is Rung.RAMP:
            base_w = minimum_w if self.settings.base_load_w is None else self.settings.base_load_w
            ramp_w = self.settings.ladder.ramp_w(age_s, self._ramp_from_w, max(base_w, minimum_w))
            return Allowance(min(max(ramp_w, minimum_w), legal_w), Reason.METER_STALE_RAMP, may_regulate=False)
        return Allowance(
            legal_w,
            Reason.HOLD_METER_LATE if rung is Rung.HOLD else None,
            may_regulate=rung is Rung.LIVE,
            cap_reason=verdict.reason,
        )

    def _regulate(self, seen: Seen, allowance: Allowance, span: Span) -> dict[str, float]:
        """Return the outputs in W of the inverters that must change."""
        setpoint_w = span.committed_w
        usable = [t for t in self.tracks.values() if t.is_usable and _is_free(t, seen)]
        shares = [self._share(t, seen.now_s, allowance) for t in usable]
        if seen.meter is not None and seen.meter.at_s > self._reading_at_s:
            setpoint_w = self._read(seen, seen.meter, allowance, span, shares)
        if allowance.may_regulate:
            self._ramp_from_w = span.committed_w
        setpoint_w = min(setpoint_w, span.ceiling_w)
        if abs(setpoint_w - span.committed_w) < 1:
            return {}
        return dispatch(sum(s.output_w for s in shares) + setpoint_w - span.committed_w, shares)

    def _hear(self, seen: Seen) -> None:
        """Take a new answer of the meter: what it tells of delays, and whether it moves."""
        meter = seen.meter
        if meter is None or meter.at_s <= self._reading_at_s:
            return
        if meter.at_s - self._reading_at_s > self.settings.ladder.hold_s + self._movement.silence_s:
            self._regulator.forget()
            self.response.reset()
            self._learner.reset()
            self._movement.withdraw()
        if self._movement.is_change(meter):
            self._learn_delays(meter)
        self._output = output_of(self.tracks.values(), meter.at_s - METER_DELAY_S)
        if self._movement.see(meter, self._output) is Asked.BLIND:
            self.response.blind(meter.at_s)
        corrected_w = sum(t.corrected_w for t in self.tracks.values())
        if corrected_w - self._corrected_w > CORRECTED_W:
            self._corrected_w = corrected_w
            self.response.corrected()
            self._movement.corrected(self._output)

    def _read(
        self, seen: Seen, meter: MeterReading, allowance: Allowance, span: Span, shares: Sequence[Share]
    ) -> float:
        """Give a new reading to the response guard and the regulator; return the plant's set-point in W."""
        self._reading_at_s = meter.at_s
        visible_w = self._output.visible_w
        if self._movement.has_changed:
            self.response.see(meter.at_s, meter.power_w, visible_w, span.committed_w)
        if not allowance.may_regulate:
            self._regulator.reset()
            self._movement.withdraw()
            return span.committed_w
        self._ask(seen, span, shares)
        if self._movement.is_asking:
            self._regulator.reset()
            return self._movement.setpoint_w(span.committed_w)
        if not self._movement.is_new:
            return span.committed_w
        may_prove = span.committed_w - span.floor_w >= JUDGED_STEP_W  # a smaller fall would not be judged
        if may_prove and self.response.probe_due(span.committed_w, span.ceiling_w):
            self._regulator.reset()
            self.response.is_probing = True
            return max(span.committed_w - PROBE_W, span.floor_w)
        may_rise = self._movement.may_rise and not self.response.is_probing
        ceiling_w = span.ceiling_w if may_rise else min(span.ceiling_w, span.committed_w)
        needed_w = meter.power_w - self.settings.target_w + self._verdict.surplus_w
        if self._exports_truly(meter.at_s, needed_w):
            visible_w = span.committed_w, span.committed_w
        setpoint_w = self._regulator.step(
            meter.at_s,
            (needed_w + visible_w[0], needed_w + visible_w[1]),
            span.committed_w,
            (span.floor_w, ceiling_w),
            means_of(seen.now_s, shares, self.tracks, self._radio_free_s, self._budgets),
        )
        return span.committed_w if setpoint_w is None else setpoint_w

    def _exports_truly(self, at_s: float, needed_w: float) -> bool:
        """Tell whether export has remained since every command had its time: then no model explains it away."""
        is_settled = all(t.is_settled(at_s - METER_DELAY_S) for t in self.tracks.values())
        if needed_w > -EXPORT_W or not is_settled:
            self._exporting_since_s = math.inf
            return False
        self._exporting_since_s = min(self._exporting_since_s, at_s)
        return at_s - self._exporting_since_s >= EXPORT_S

    def _ask(self, seen: Seen, span: Span, shares: Sequence[Share]) -> None:
        """Ask a meter whose values stand still by a step, where there is room for one: rather down than up."""
        if not (self._movement.may_ask and self._output.is_settled):
            return
        if step_w := question_w(shares, span):
            ages_s = [dtu.freshness_s(seen.dtus.get(name)) for name, dtu in self._dtus.items()]
            made_within_s = max(t.credit_s for t in self.tracks.values()) + max(ages_s)
            self._movement.ask(span.committed_w + step_w, self._output, made_within_s)

    def _learn_delays(self, meter: MeterReading) -> None:
        if (shown := self._learner.see(meter.at_s, meter.power_w)) is not None:
            track = self.tracks[shown.serial]
            track.learn_dead_time(shown.posted_at_s, shown.half_at_s - METER_DELAY_S, shown.change_w)
        for serial, posted_at_s in self._learner.unanswered_since_s.items():
            self.tracks[serial].wait_on(posted_at_s, meter.at_s)

    def _share(self, track: Track, now_s: float, allowance: Allowance) -> Share:
        limits = track.limits
        may_replace = track.final_w - track.unit.minimum_w * track.gain > REPLACE_PENDING_W and not limits.has_replaced
        return Share(
            track.unit.serial,
            track.final_w,
            track.unit.minimum_w * track.gain,
            track.most_w,
            may_rise=self._may_rise(track, now_s),
            may_fall=now_s >= limits.held_until_s
            and (not track.is_pending or allowance.is_urgent or may_replace or track.is_overdue),
            accurate_w=accurate_w(track),
            rank=self._fairness.rank(track.unit.serial),
        )

    def _may_rise(self, track: Track, now_s: float) -> bool:
        return (
            not track.is_pending
            and track.is_understood
            and now_s >= track.limits.held_until_s
            and now_s - track.limits.raised_at_s >= track.unit.raise_spacing_s
            and math.isfinite(self._budgets[track.unit.dtu].rise_ws(now_s))
            and not self._fairness.is_moving(self.tracks)
        )

    def _wishes(self, now_s: float, outputs_w: Mapping[str, float], allowance: Allowance) -> dict[str, Wish]:
        """Return what each inverter should do: unknown limits to the minimum, off where the cap leaves no minimum."""
        missing = [t for t in self.tracks.values() if t.is_missing(now_s)]
        left_w = allowance.cap_w - sum(t.highest_w for t in missing if t.is_lost)
        # One that only just came back may be gone again at once: for some time nobody is switched on in its room.
        kept_w = sum(max(t.highest_w - t.unit.minimum_w, 0.0) for t in missing if not t.is_lost)
        is_on: dict[str, bool] = {}
        for serial, track in sorted(self.tracks.items(), key=lambda item: item[1].is_told_off):
            minimum_w = track.unit.minimum_w
            room_w = allowance.cap_w if track.is_lost else left_w - (kept_w if track.is_told_off else 0.0)
            may_be_on = not track.is_switched_off and (allowance.may_regulate or not track.is_told_off)
            is_on[serial] = may_be_on and room_w >= minimum_w - CAP_SLACK_W
            left_w -= minimum_w if is_on[serial] and not track.is_lost else 0.0
        limits_w = {s: self._limit_w(t, outputs_w.get(s), now_s, allowance) for s, t in self.tracks.items()}
        free = [s for s, t in self.tracks.items() if not (t.is_lost or t.limits.is_foreign_pending)]
        within = {s: limits_w[s] if is_on[s] else 0.0 for s in free}
        fixed_w = sum(t.highest_w for s, t in self.tracks.items() if s not in within)
        limits_w |= fit(
            within, {s: self.tracks[s].unit.minimum_w if is_on[s] else 0.0 for s in within}, allowance.cap_w - fixed_w
        )
        must_fit = sum(t.highest_w - t.limits.cut_off_w for t in self.tracks.values()) > allowance.cap_w
        return {
            serial: Wish(
                limits_w[serial] if is_on[serial] else track.unit.minimum_w,
                is_on=is_on[serial],
                is_urgent=allowance.is_urgent or track.wanted_w is None,
                may_wake=allowance.may_regulate,
                is_guarded=allowance.is_urgent,
                must_fit=must_fit,
            )
            for serial, track in self.tracks.items()
        }

    def _limit_w(self, track: Track, output_w: float | None, now_s: float, allowance: Allowance) -> float:
        unit = track.unit
        is_blind = track.status is not None and not track.is_fresh and now_s - track.fresh_at_s > BLIND_S
        is_doubtful = track.is_contradicted or track.limits.is_foreign_pending
        if track.wanted_w is None or track.is_told_off or is_blind or is_doubtful:
            return unit.minimum_w
        if not track.is_producing:
            return track.waking_w if track.is_asleep(now_s) and allowance.may_regulate else unit.minimum_w
        if output_w is None and (track.limits.was_commanded or not self._may_begin(track, allowance)):
            return min(track.wanted_w, track.ceiling_w)
        limit_w = track.limit_for_w(track.final_w if output_w is None else output_w)
        return min(max(limit_w, unit.minimum_w), track.ceiling_w)

    def _may_begin(self, track: Track, allowance: Allowance) -> bool:
        """Tell whether an inverter may get its first limit of ours: what is shown before it may not rule at all."""
        return allowance.may_regulate and track.is_usable and math.isfinite(self._reading_at_s)

    def _why(self, seen: Seen, allowance: Allowance, span: Span) -> Reason:
        wanted = [track for serial, track in self.tracks.items() if serial not in self.settings.switched_off]
        is_shared = len(self._foreign_at_s) >= FOREIGN_COUNT
        doubt = self.response.doubt
        return reason_of(seen, allowance, span, self.tracks.values(), wanted, self.settings.target_w, doubt, is_shared)

    def _plan(self, now_s: float, wishes: Mapping[str, Wish], allowance: Allowance, reason: Reason) -> Plan:
        notes = {s: note(track, has_several_dtus=len(self._dtus) > 1) for s, track in self.tracks.items()}
        inverters = tuple(InverterPlan(s, w.limit_w if w.is_on else 0.0, w.is_on, notes[s]) for s, w in wishes.items())
        return Plan(now_s, sum(i.limit_w for i in inverters), allowance.cap_w, reason, inverters, self._verdict.relay)


def _is_free(track: Track, seen: Seen) -> bool:
    return track.trouble is None and track.unit.dtu not in seen.busy
