"""One decision: from what is known now to a plan with its reason and the commands that bring it about.

No clock, no I/O: the same object regulates a house through HTTP and a simulated year on virtual time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from opendtu_dcload.control.commands.command_budget import Budget
from opendtu_dcload.control.commands.command_gate import Gate
from opendtu_dcload.control.commands.command_policy import (
    CAP_SLACK_W,
    REPLACE_PENDING_W,
    Command,
    DesiredState,
    Reboot,
    Restart,
    SetLimit,
    SetPower,
    allowed,
    refresh,
    room_left_w,
    shutdown_commands,
)
from opendtu_dcload.control.commands.last_resort import LastResort
from opendtu_dcload.control.decision import Decision, Seen
from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.control.inverter.dead_time import WINDOW_S
from opendtu_dcload.control.inverter.dead_time_learner import DelayLearner
from opendtu_dcload.control.inverter.derating import Derating
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.inverter_note import note
from opendtu_dcload.control.protection.meter_age import Rung
from opendtu_dcload.control.protection.meter_movement import MeterMovement, MovementVerdict
from opendtu_dcload.control.protection.meter_question import output_of, question_w
from opendtu_dcload.control.protection.meter_response import JUDGED_STEP_W, PROBE_W, ResponseGuard
from opendtu_dcload.control.protection.plant_guard import GuardResult, PlantGuard
from opendtu_dcload.control.reason import reason_of
from opendtu_dcload.control.regulation.available_moves import available_moves_of
from opendtu_dcload.control.regulation.dispatch import Headroom, dispatch, fit_to_cap
from opendtu_dcload.control.regulation.operating_range import OperatingRange, Permit, operating_range_of
from opendtu_dcload.control.regulation.regulator import Regulator
from opendtu_dcload.control.regulation.standby import Standby
from opendtu_dcload.control.regulation.wear_levelling import WearLevelling, accurate_w
from opendtu_dcload.control.settings import Settings
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

    def __init__(self, settings: Settings, units: Sequence[InverterParameters], now_s: float) -> None:
        self.settings = settings
        self.trackers = {unit.serial: InverterTracker(unit) for unit in units}
        self.response = ResponseGuard()
        self._movement = MeterMovement()
        self._output = output_of(self.trackers.values(), now_s)
        self._learner = DelayLearner()
        self._regulator = Regulator(settings.priority)
        self._deratings = {unit.serial: Derating(settings.max_temperature_c) for unit in units}
        self._wear_levelling = WearLevelling()
        obeyed_s = max((unit.credit_s for unit in units), default=0.0)
        self.guards = PlantGuard(settings.guards, settings.min_voltage_v, obeyed_s)
        self._guard_result = GuardResult(settings.max_feed_in_w)
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

    def decide(self, seen: Seen) -> Decision:
        """Decide once; the commands must be reported with `posted` before they are sent."""
        self._observe(seen)
        self._hear(seen)
        permit = self._guard(seen)
        restarts, reboots = self._last_resorts(seen)
        operating_range = operating_range_of(self.trackers.values(), permit)
        outputs_w = self._regulate(seen, permit, operating_range)
        is_calm = permit.reason is None and not (self.response.is_probing or self._movement.is_asking)
        if self.settings.may_rest and is_calm:
            self._standby.update(seen.now_s, self.trackers.values(), permit.cap_w, self.settings.switched_off)
        if not outputs_w and is_calm and all(b.is_plenty(seen.now_s) for b in self._budgets.values()):
            outputs_w = self._wear_levelling.move(seen.now_s, self.trackers.values())
        desired = self._allocate(seen.now_s, outputs_w, permit)
        commands = self._commands(seen, desired, permit, restarts)
        plan = self._plan(seen.now_s, desired, permit, self._why(seen, permit, operating_range))
        return Decision(plan, tuple(commands), tuple(reboots))

    def posted(self, command: Command, now_s: float) -> None:
        """Note that a command is being sent: from now on it may be in force."""
        tracker = self.trackers[command.serial]
        free_s = max(self._radio_free_s.get(tracker.unit.radio, now_s), now_s)
        self._radio_free_s[tracker.unit.radio] = free_s + WINDOW_S
        self._gate.posted(now_s, command, tracker)
        if isinstance(command, SetPower):
            tracker.power.post(now_s, on=command.on)
        elif isinstance(command, Restart):
            tracker.post_restart()
            self._last_resort.restarted(now_s, command.serial)
        else:
            self.response.stepped(
                is_trusted=all(t.output.trust.is_trusted for t in self.trackers.values() if t.is_usable)
            )
            before_w = tracker.final_w
            tracker.post(now_s, command.limit_w, free_s)
            self._learner.stepped(now_s, command.serial, tracker.final_w - before_w)
            self._wear_levelling.stepped(now_s, tracker.final_w - before_w)

    def taken(self, command: Command, now_s: float) -> None:
        """Note that the POST of a command is over, well or not: what the DTU says from now on counts for it."""
        if isinstance(command, SetLimit):
            self.trackers[command.serial].limits.taken(now_s)

    def refused(self, command: Command, now_s: float) -> None:
        """Note that the DTU declined a command."""
        if isinstance(command, SetLimit):
            self.trackers[command.serial].decline(now_s)
        elif isinstance(command, Restart):
            self._last_resort.declined(command.serial)
        else:
            self.trackers[command.serial].power.failed()

    def failed(self, command: Command) -> None:
        """Note that nobody knows whether a command arrived; of a limit the DTU's status will tell."""
        self._gate.failed(command)
        if isinstance(command, SetPower):
            self.trackers[command.serial].power.failed()
        elif isinstance(command, SetLimit):  # it may be no step at all, so the meter need not answer it
            self.trackers[command.serial].output.trust.is_trusted = False
            self.response.corrected()

    def rebooted(self, reboot: Reboot, now_s: float) -> None:
        """Note that a DTU is being rebooted."""
        self._last_resort.rebooted(now_s, reboot.dtu)

    def set_unit(self, unit: InverterParameters) -> None:
        """Replace what is known of an inverter, when the DTU has learned its rated power."""
        self.trackers[unit.serial].set_unit(unit)

    def leave(self, *, off: bool) -> list[Command]:
        """Return what each inverter is told when the program ends."""
        return shutdown_commands(self.trackers.values(), off=off)

    # ---- the parts of a decision

    def _observe(self, seen: Seen) -> None:
        for serial, tracker in self.trackers.items():
            dtu, told = self._dtus[tracker.unit.dtu], seen.dtus.get(tracker.unit.dtu)
            tracker.contact.trouble = dtu.trouble(told, seen.now_s)
            tracker.standby_count = self._standby.counts[serial] if serial in self._standby.resting else 0
            tracker.is_switched_off = serial in self.settings.switched_off or bool(tracker.standby_count)
            if (limit := seen.limits.get(serial)) and tracker.apply_limit_status(limit, seen.now_s):
                self._foreign_at_s.append(seen.now_s)
            if status := seen.inverters.get(serial):
                tracker.apply_measurement(status, seen.now_s, dtu.freshness_s(told))
            tracker.update_reachability(seen.now_s)
            if tracker.is_fresh and tracker.status:
                self._deratings[serial].add_temperature(tracker.status.temperature_c)
            cool_w = self._deratings[serial].ceiling_w(tracker.unit.minimum_w, tracker.unit.maximum_w)
            tracker.ceiling_w = min(cool_w, max(tracker.output.useful_limit_w, tracker.unit.minimum_w))
        self._wear_levelling.update(seen.now_s, self.trackers.values())
        self._foreign_at_s = [at_s for at_s in self._foreign_at_s if seen.now_s - at_s < FOREIGN_WITHIN_S]

    def _last_resorts(self, seen: Seen) -> tuple[list[Restart], list[Reboot]]:
        if not self.settings.has_last_resorts:
            return [], []
        # What the guards allow, also while the meter is doubted because an inverter does not obey.
        cap_w = self._guard_result.cap_w if self._meter_age_s(seen) < self.settings.ladder.hold_s else 0.0
        found = self._last_resort.due(seen.now_s, self.trackers, seen.dtus, cap_w)
        for serial, tracker in self.trackers.items():
            tracker.contact.is_restarting = serial in self._last_resort.rated
        return found

    def _commands(
        self, seen: Seen, desired: Mapping[str, DesiredState], permit: Permit, restarts: Sequence[Restart]
    ) -> list[Command]:
        """Return what may go out now; DTUs that cannot be commanded are left out, but count for the cap."""
        free = {s: t for s, t in self.trackers.items() if _is_free(t, seen) and s in seen.limits}
        wanted = allowed(seen.now_s, {s: desired[s] for s in free}, self.trackers, permit.cap_w)
        wanted += [restart for restart in restarts if restart.serial in free]
        commands = self._gate.admitted(seen.now_s, wanted, desired, self.trackers)
        told = {self.trackers[c.serial].unit.dtu for c in commands}
        for dtu in [name for name in self._dtus if name not in told]:
            left_w = room_left_w(self.trackers, commands, permit.cap_w) if permit.may_regulate else 0.0
            due = refresh(seen.now_s, desired, {s: t for s, t in free.items() if t.unit.dtu == dtu}, left_w)
            commands += self._gate.admitted_again(seen.now_s, due, self.trackers)
        return commands

    def _meter_age_s(self, seen: Seen) -> float:
        return seen.now_s - self._movement.believed_at_s(seen.meter.at_s if seen.meter else self._started_at_s)

    def _guard(self, seen: Seen) -> Permit:
        trackers = self.trackers.values()
        self._guard_result = verdict = self.guards.evaluate(
            seen.now_s, self.settings.max_feed_in_w, trackers, seen.external
        )
        if verdict.cap_w <= 0 and verdict.reason is not Reason.FEED_IN_CAP:
            return Permit(0.0, verdict.reason, may_regulate=False, is_urgent=True)
        legal_w = verdict.cap_w
        minimum_w = sum(t.unit.minimum_w for t in trackers if not t.is_switched_off)
        age_s = self._meter_age_s(seen)
        is_frozen = self._movement.is_frozen
        rung = max(self.settings.ladder.rung(age_s), Rung.MINIMUM if is_frozen else Rung.LIVE)
        if rung is Rung.OFF:
            reason = Reason.METER_FROZEN if is_frozen else Reason.METER_LOST_OFF
            return Permit(0.0, reason, may_regulate=False, is_urgent=True)
        if not self.settings.is_regulating:
            return Permit(min(minimum_w, legal_w), Reason.SWITCHED_OFF, may_regulate=False, is_urgent=True)
        if seen.external.relay is not None and not seen.external.relay.is_on and legal_w > 0:
            return Permit(min(minimum_w, legal_w), Reason.RELAY_OPEN, may_regulate=False)
        if rung is Rung.MINIMUM:
            reason = Reason.METER_FROZEN if is_frozen else Reason.METER_STALE_MINIMUM
            return Permit(min(minimum_w, legal_w), reason, may_regulate=False, is_urgent=True)
        if self.response.suspicion:
            return Permit(min(minimum_w, legal_w), self.response.suspicion, may_regulate=False, is_urgent=True)
        if rung is Rung.RAMP:
            base_w = minimum_w if self.settings.base_load_w is None else self.settings.base_load_w
            ramp_w = self.settings.ladder.ramp_w(age_s, self._ramp_from_w, max(base_w, minimum_w))
            return Permit(min(max(ramp_w, minimum_w), legal_w), Reason.METER_STALE_RAMP, may_regulate=False)
        return Permit(
            legal_w,
            Reason.HOLD_METER_LATE if rung is Rung.HOLD else None,
            may_regulate=rung is Rung.LIVE,
            cap_reason=verdict.reason,
        )

    def _regulate(self, seen: Seen, permit: Permit, operating_range: OperatingRange) -> dict[str, float]:
        """Return the outputs in W of the inverters that must change."""
        setpoint_w = operating_range.committed_w
        usable = [t for t in self.trackers.values() if t.is_usable and _is_free(t, seen)]
        headrooms = [self._headroom(t, seen.now_s, permit) for t in usable]
        if seen.meter is not None and seen.meter.at_s > self._reading_at_s:
            setpoint_w = self._read(seen, seen.meter, permit, operating_range, headrooms)
        if permit.may_regulate:
            self._ramp_from_w = operating_range.committed_w
        setpoint_w = min(setpoint_w, operating_range.ceiling_w)
        if abs(setpoint_w - operating_range.committed_w) < 1:
            return {}
        return dispatch(sum(s.output_w for s in headrooms) + setpoint_w - operating_range.committed_w, headrooms)

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
        self._output = output_of(self.trackers.values(), meter.at_s - METER_DELAY_S)
        if self._movement.add_reading(meter, self._output) is MovementVerdict.BLIND:
            self.response.blind(meter.at_s)
        corrected_w = sum(t.output.corrected_w for t in self.trackers.values())
        if corrected_w - self._corrected_w > CORRECTED_W:
            self._corrected_w = corrected_w
            self.response.corrected()
            self._movement.corrected(self._output)

    def _read(
        self,
        seen: Seen,
        meter: MeterReading,
        permit: Permit,
        operating_range: OperatingRange,
        headrooms: Sequence[Headroom],
    ) -> float:
        """Give a new reading to the response guard and the regulator; return the plant's set-point in W."""
        self._reading_at_s = meter.at_s
        visible_w = self._output.visible_w
        if self._movement.has_changed:
            self.response.add_reading(meter.at_s, meter.power_w, visible_w, operating_range.committed_w)
        if not permit.may_regulate:
            self._regulator.reset()
            self._movement.withdraw()
            return operating_range.committed_w
        self._ask(seen, operating_range, headrooms)
        if self._movement.is_asking:
            self._regulator.reset()
            return self._movement.setpoint_w(operating_range.committed_w)
        if not self._movement.is_new:
            return operating_range.committed_w
        may_prove = (
            operating_range.committed_w - operating_range.floor_w >= JUDGED_STEP_W
        )  # a smaller fall would not be judged
        if may_prove and self.response.probe_due(operating_range.committed_w, operating_range.ceiling_w):
            self._regulator.reset()
            self.response.is_probing = True
            return max(operating_range.committed_w - PROBE_W, operating_range.floor_w)
        may_rise = self._movement.may_rise and not self.response.is_probing
        ceiling_w = (
            operating_range.ceiling_w if may_rise else min(operating_range.ceiling_w, operating_range.committed_w)
        )
        needed_w = meter.power_w - self.settings.target_w + self._guard_result.surplus_w
        if self._exports_truly(meter.at_s, needed_w):
            visible_w = operating_range.committed_w, operating_range.committed_w
        setpoint_w = self._regulator.update(
            meter.at_s,
            (needed_w + visible_w[0], needed_w + visible_w[1]),
            operating_range.committed_w,
            (operating_range.floor_w, ceiling_w),
            available_moves_of(seen.now_s, headrooms, self.trackers, self._radio_free_s, self._budgets),
        )
        return operating_range.committed_w if setpoint_w is None else setpoint_w

    def _exports_truly(self, at_s: float, needed_w: float) -> bool:
        """Tell whether export has remained since every command had its time: then no model explains it away."""
        is_settled = all(t.output.is_settled(at_s - METER_DELAY_S) for t in self.trackers.values())
        if needed_w > -EXPORT_W or not is_settled:
            self._exporting_since_s = math.inf
            return False
        self._exporting_since_s = min(self._exporting_since_s, at_s)
        return at_s - self._exporting_since_s >= EXPORT_S

    def _ask(self, seen: Seen, operating_range: OperatingRange, headrooms: Sequence[Headroom]) -> None:
        """Ask a meter whose values stand still by a step, where there is room for one: rather down than up."""
        if not (self._movement.may_ask and self._output.is_settled):
            return
        if step_w := question_w(headrooms, operating_range):
            ages_s = [dtu.freshness_s(seen.dtus.get(name)) for name, dtu in self._dtus.items()]
            made_within_s = max(t.output.credit_s for t in self.trackers.values()) + max(ages_s)
            self._movement.ask(operating_range.committed_w + step_w, self._output, made_within_s)

    def _learn_delays(self, meter: MeterReading) -> None:
        if (shown := self._learner.add_reading(meter.at_s, meter.power_w)) is not None:
            tracker = self.trackers[shown.serial]
            tracker.output.learn_dead_time(shown.posted_at_s, shown.half_at_s - METER_DELAY_S, shown.change_w)
        for serial, posted_at_s in self._learner.unanswered_since_s.items():
            self.trackers[serial].output.wait_on(posted_at_s, meter.at_s)

    def _headroom(self, tracker: InverterTracker, now_s: float, permit: Permit) -> Headroom:
        limits = tracker.limits
        may_replace = (
            tracker.final_w - tracker.unit.minimum_w * tracker.output.gain > REPLACE_PENDING_W
            and not limits.has_replaced
        )
        return Headroom(
            tracker.unit.serial,
            tracker.final_w,
            tracker.unit.minimum_w * tracker.output.gain,
            tracker.attainable_w,
            may_rise=self._may_rise(tracker, now_s),
            may_fall=now_s >= limits.held_until_s
            and (not tracker.is_pending or permit.is_urgent or may_replace or tracker.contact.is_overdue),
            accurate_w=accurate_w(tracker),
            rank=self._wear_levelling.rank(tracker.unit.serial),
        )

    def _may_rise(self, tracker: InverterTracker, now_s: float) -> bool:
        return (
            not tracker.is_pending
            and tracker.is_understood
            and now_s >= tracker.limits.held_until_s
            and now_s - tracker.limits.raised_at_s >= tracker.unit.raise_spacing_s
            and math.isfinite(self._budgets[tracker.unit.dtu].rise_ws(now_s))
            and not self._wear_levelling.is_moving(self.trackers)
        )

    def _allocate(self, now_s: float, outputs_w: Mapping[str, float], permit: Permit) -> dict[str, DesiredState]:
        """Return what each inverter should do: unknown limits to the minimum, off where the cap leaves no minimum."""
        missing = [t for t in self.trackers.values() if t.contact.is_missing(now_s)]
        left_w = permit.cap_w - sum(t.highest_w for t in missing if t.is_lost)
        # One that only just came back may be gone again at once: for some time nobody is switched on in its room.
        kept_w = sum(max(t.highest_w - t.unit.minimum_w, 0.0) for t in missing if not t.is_lost)
        is_on: dict[str, bool] = {}
        for serial, tracker in sorted(self.trackers.items(), key=lambda item: item[1].power.is_commanded_off):
            minimum_w = tracker.unit.minimum_w
            room_w = permit.cap_w if tracker.is_lost else left_w - (kept_w if tracker.power.is_commanded_off else 0.0)
            may_be_on = not tracker.is_switched_off and (permit.may_regulate or not tracker.power.is_commanded_off)
            is_on[serial] = may_be_on and room_w >= minimum_w - CAP_SLACK_W
            left_w -= minimum_w if is_on[serial] and not tracker.is_lost else 0.0
        limits_w = {s: self._limit_w(t, outputs_w.get(s), now_s, permit) for s, t in self.trackers.items()}
        free = [s for s, t in self.trackers.items() if not (t.is_lost or t.limits.is_foreign_pending)]
        within = {s: limits_w[s] if is_on[s] else 0.0 for s in free}
        fixed_w = sum(t.highest_w for s, t in self.trackers.items() if s not in within)
        limits_w |= fit_to_cap(
            within, {s: self.trackers[s].unit.minimum_w if is_on[s] else 0.0 for s in within}, permit.cap_w - fixed_w
        )
        must_fit = sum(t.highest_w - t.limits.cut_off_w for t in self.trackers.values()) > permit.cap_w
        return {
            serial: DesiredState(
                limits_w[serial] if is_on[serial] else tracker.unit.minimum_w,
                is_on=is_on[serial],
                is_urgent=permit.is_urgent or tracker.wanted_w is None,
                may_wake=permit.may_regulate,
                is_guarded=permit.is_urgent,
                must_fit=must_fit,
            )
            for serial, tracker in self.trackers.items()
        }

    def _limit_w(self, tracker: InverterTracker, output_w: float | None, now_s: float, permit: Permit) -> float:
        unit = tracker.unit
        is_blind = tracker.status is not None and not tracker.is_fresh and now_s - tracker.contact.fresh_at_s > BLIND_S
        is_doubtful = tracker.output.excess.is_on or tracker.limits.is_foreign_pending
        if tracker.wanted_w is None or tracker.power.is_commanded_off or is_blind or is_doubtful:
            return unit.minimum_w
        if not tracker.power.is_producing:
            return tracker.power.waking_w if tracker.is_asleep(now_s) and permit.may_regulate else unit.minimum_w
        if output_w is None and (tracker.limits.was_commanded or not self._may_begin(tracker, permit)):
            return min(tracker.wanted_w, tracker.ceiling_w)
        limit_w = tracker.output.limit_for_w(tracker.final_w if output_w is None else output_w)
        return min(max(limit_w, unit.minimum_w), tracker.ceiling_w)

    def _may_begin(self, tracker: InverterTracker, permit: Permit) -> bool:
        """Tell whether an inverter may get its first limit of ours: what is shown before it may not rule at all."""
        return permit.may_regulate and tracker.is_usable and math.isfinite(self._reading_at_s)

    def _why(self, seen: Seen, permit: Permit, operating_range: OperatingRange) -> Reason:
        wanted = [tracker for serial, tracker in self.trackers.items() if serial not in self.settings.switched_off]
        is_shared = len(self._foreign_at_s) >= FOREIGN_COUNT
        doubt = self.response.doubt
        return reason_of(
            seen, permit, operating_range, self.trackers.values(), wanted, self.settings.target_w, doubt, is_shared
        )

    def _plan(self, now_s: float, desired: Mapping[str, DesiredState], permit: Permit, reason: Reason) -> Plan:
        notes = {s: note(tracker, has_several_dtus=len(self._dtus) > 1) for s, tracker in self.trackers.items()}
        inverters = tuple(InverterPlan(s, w.limit_w if w.is_on else 0.0, w.is_on, notes[s]) for s, w in desired.items())
        return Plan(now_s, sum(i.limit_w for i in inverters), permit.cap_w, reason, inverters, self._guard_result.relay)


def _is_free(tracker: InverterTracker, seen: Seen) -> bool:
    return tracker.contact.trouble is None and tracker.unit.dtu not in seen.busy
