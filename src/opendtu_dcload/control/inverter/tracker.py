"""One inverter as far as it can be known: its limits, the command in flight, and what of it the meter can see.

A limit shows at the grid meter only after the radio, the inverter's dead time and its ramp. How long that takes is
known only within bounds, so the output is modelled twice: by the quickest and by the slowest inverter that is
plausible. The truth lies between. The model follows a limit only while the inverter can be expected to: one that is
lost, that does not acknowledge, or that something else holds is believed to give what was last measured of it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

from opendtu_dcload.control.inverter.dead_time import Delays
from opendtu_dcload.control.inverter.limit_state import IGNORED_FOR_S, IGNORED_OFTEN, SETTLE_S, LimitNews, LimitState
from opendtu_dcload.control.inverter.output_model import OutputModel
from opendtu_dcload.control.inverter.output_ratio import Ratio
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.model import InverterStatus, LimitStatus, Reason

RADIO_S = 0.15
"""From the start of the radio's transmission to the limit being received."""
WINDOW_S = 2.0
"""A limit keeps its radio this long, and is acknowledged at the end of it (OpenDTU: receive timeout of 2000 ms)."""
LONGEST_RADIO_S = 10.0
"""Five transmissions of one limit: then the DTU gives up for now, and so does the belief in it."""
IGNORED_S = 30.0
"""So long after the first command without effect it is said."""
ANCHOR_W = 5.0
"""A model without a limit to follow is corrected when it is this far from what was measured."""
TOO_HIGH_SAMPLES = 2
"""So many settled measurements above the limit mean that the limit is not in force."""
TOO_HIGH_SHARE, TOO_HIGH_W = 1.1, 30.0
AGAIN_S = 60.0
"""A limit that is not in force is not sent again sooner."""
NEWER_S = 0.9
"""Less between two measurements is the jitter of `data_age`, which older firmware gives in whole seconds."""
MISSING_AFTER_S = 20.0
"""A radio that fails for a moment is no reason to switch the other inverters off and on."""
PRODUCING_W = 2.0
"""Less is the noise of an inverter that gives nothing."""
TRUSTED_SHARE, TRUSTED_W = 0.3, 15.0
TRUSTED_WITHIN_S = 30.0
"""A measured output is compared with all that the model headed for in this time."""
POWER_AGAIN_S = 60.0
"""A switch-off that had no effect is repeated no sooner."""
WAKE_AFTER_S = 180.0
"""An inverter that should be on and gives nothing for so long is switched on (grid-connection wait: 1 to 5 min) ..."""
WAKE_AGAIN_S = 600.0
"""... no more often than this."""
WAKE_SHARE = 0.1
"""Its limit is then raised to this share of rated power, for it may have stopped because of a low one."""


class InverterTracker:
    """Everything the controller remembers of one inverter."""

    is_restarting = False
    """It is about to be restarted, or was and has acknowledged no limit since: it counts as rated."""

    def __init__(self, unit: InverterParameters) -> None:
        self.unit = unit
        self.limits = LimitState(unit)
        self.is_producing = True
        """False: it is off, waiting for the grid or without DC power, so its limit means nothing."""
        self.ceiling_w = unit.maximum_w
        """Highest limit that it may be given while it is as hot as it is, or held by something else."""
        self.status: InverterStatus | None = None
        """Last measured values, however old."""
        self.trouble: Reason | None = None
        """Why its DTU cannot be commanded."""
        self.is_switched_off = False
        """It is not to be used: the user does not want it, or it rests."""
        self.standby_count = 0
        """For the how-manieth time it rests because it is not needed; 0 = it does not."""
        self.is_fresh = False
        """The measured values are young enough to act on, and the inverter answers the DTU."""
        self.fresh_at_s = -math.inf
        """When they last were, or when they were first heard of."""
        self.is_commanded_off = False
        self.is_overdue = False
        """The limit on its way has not been acknowledged in the longest time: a lower one may take its place."""
        self.is_trusted = False
        """Its measured output was once what its limit says, so the meter can be judged by its steps."""
        self.corrected_w = 0.0
        """All corrections of the model so far, up and down added: these are no steps of the plant."""
        self._measured_w: float | None = None
        """Output when it was last fresh."""
        self._is_withheld = False
        """The model does not follow the limit on its way: nothing shows that the inverter will."""
        self._expires_at_s = math.inf
        self._was_repeated = False
        self._too_high = 0
        self._too_high_since_s = math.inf
        self._sent: deque[tuple[float, float]] = deque()
        """Limits of ours lately: when they were received, as far as known, and W."""
        self._aims: deque[tuple[float, float]] = deque([(-math.inf, 0.0)])
        """Outputs that the model headed for lately, with the time."""
        self._forgot_at_s = self._found_at_s = self._power_sent_at_s = self._foreign_at_s = -math.inf
        self._lost_since_s = math.inf
        self._power_before = (False, -math.inf)
        self._silent_since_s: float | None = None
        self._ratio = Ratio(unit.rated_w)
        self._delays = Delays(unit)
        self._quick = OutputModel(unit)
        self._slow = OutputModel(unit)

    # ---- what is known

    @property
    def limit_w(self) -> float | None:
        """Last acknowledged limit; None = unknown."""
        return self.limits.limit_w

    @property
    def wanted_w(self) -> float | None:
        """The limit that rules when everything on its way has arrived; None = unknown."""
        return self.limits.wanted_w

    @property
    def is_pending(self) -> bool:
        """True while a limit is on its way."""
        return self.limits.is_pending

    @property
    def gain(self) -> float:
        """Output / limit."""
        return self._ratio.value

    @property
    def held_w(self) -> float | None:
        """Output in W at which something else than its limit holds it; None while nothing does."""
        return self._ratio.held_w if self.is_producing else None

    @property
    def held_ceiling_w(self) -> float:
        """Highest limit that is of use while it is held."""
        ceiling_w = self._ratio.ceiling_w if self.is_producing else None
        return self.unit.maximum_w if ceiling_w is None else max(ceiling_w, self.unit.minimum_w)

    @property
    def is_usable(self) -> bool:
        """True when its output can be set: it gives power, its data are fresh and its limit is known."""
        is_wanted = self.trouble is None and not self.is_switched_off and not self.is_restarting
        return is_wanted and self.is_fresh and self.is_producing and self.wanted_w is not None

    @property
    def is_lost(self) -> bool:
        """True when commands do not reach it."""
        is_gone = self.status is not None and not self.status.reachable
        return self.trouble is not None or self.limits.has_failed or self.is_restarting or is_gone

    def is_missing(self, now_s: float) -> bool:
        """Tell whether commands have not reached it for a while, or only just again: the others must make room."""
        is_missing = now_s - self._lost_since_s >= MISSING_AFTER_S or now_s - self._found_at_s < MISSING_AFTER_S
        return is_missing or self.is_restarting

    def is_ignoring(self, now_s: float) -> bool:
        """Tell whether its DTU takes commands that have no effect."""
        is_recent = now_s - self.limits.posted_at_s < IGNORED_FOR_S
        return (
            self.limits.ignored >= IGNORED_OFTEN and is_recent and now_s - self.limits.unconfirmed_since_s >= IGNORED_S
        )

    @property
    def disobeys_since_s(self) -> float | None:
        """Since when it has answered and not done as it was told; None when it does, or does not answer."""
        is_owed = self.limits.was_commanded and not self.limits.ignored  # a command that is dropped is the DTU's fault
        since_s = min(self.limits.unconfirmed_since_s if is_owed else math.inf, self._too_high_since_s)
        return since_s if self.is_fresh and math.isfinite(since_s) else None

    @property
    def final_w(self) -> float:
        """Output in W when everything on its way has arrived."""
        return self._slow.final_w

    @property
    def highest_w(self) -> float:
        """The highest output still possible in W: acknowledged, pending or waiting limit; rated when unknown."""
        if self.is_restarting:
            return self.unit.rated_w
        if self.is_commanded_off and not self.is_producing:
            return 0.0
        return self.highest_on_w

    @property
    def highest_on_w(self) -> float:
        """The same, as if it were on."""
        return self.limits.highest_w

    def visible_w(self, at_s: float) -> tuple[float, float]:
        """Return the lowest and the highest output in W that the meter may have seen at `at_s`."""
        quick_w, slow_w = self._quick.move_to(at_s), self._slow.move_to(at_s)
        return min(quick_w, slow_w), max(quick_w, slow_w)

    def is_settled(self, at_s: float) -> bool:
        """Tell whether every command had its longest dead time by `at_s`, or is no longer believed."""
        is_under_way = self.limits.posted_w is not None and not self._is_withheld
        return not is_under_way and at_s >= self._delays.received_s + self.credit_s

    @property
    def attainable_w(self) -> float:
        """Output in W at the highest limit that it may be given, as far as is known."""
        if self.held_w is None:
            return self.ceiling_w * self.gain
        return self.held_w + max(self.ceiling_w - (self.limit_w or 0.0), 0.0)

    @property
    def is_understood(self) -> bool:
        """Whether it is known what came of its last limit: of one that is held only its settled output tells."""
        return self.held_w is None or (self.status is not None and self._has_come_out(self.status.at_s))

    def limit_for_w(self, output_w: float) -> float:
        """Return the limit in W that leads to an output in W, as far as is known."""
        limit_w = output_w / self.gain
        if self.held_w is not None and output_w > self.held_w:  # its limit is no measure of it, so it only rises
            limit_w = max(limit_w, (self.limit_w or 0.0) + output_w - self.held_w)
        return limit_w

    def needs_refresh(self, now_s: float) -> bool:
        """Tell whether the limit that rules has to be sent again, lest the inverter forgets it."""
        if self.held_w is not None and not self._was_repeated and not self.is_pending:
            return not self.is_lost and now_s - self.limits.posted_at_s >= AGAIN_S  # it may have missed it, after all
        return not self.is_lost and self.limits.needs_refresh(now_s)

    def set_unit(self, unit: InverterParameters) -> None:
        """Replace what is fixed about the inverter, when the DTU has learned its rated power."""
        self.unit = self.limits.unit = unit
        self._ratio.rated_w = unit.rated_w
        self._quick.set_unit(unit)
        self._slow.set_unit(unit)

    # ---- what happens

    def post(self, now_s: float, limit_w: float, radio_free_s: float) -> None:
        """Remember a limit that is given to the DTU now, whose radio is busy until `radio_free_s`."""
        self._is_withheld = self.is_lost or self._is_withheld or self.is_contradicted or self.limits.ignored > 0
        self._was_repeated = limit_w == self.limit_w
        self.limits.post(now_s, limit_w)
        received_s = max(now_s, radio_free_s) + RADIO_S
        self._delays.posted(now_s, received_s)
        self._expires_at_s = received_s + self.credit_s + LONGEST_RADIO_S
        self.is_overdue = False
        self._sent.append((received_s, limit_w))
        if not self._is_withheld:
            self._aim(received_s, limit_w)

    def learn_dead_time(self, posted_at_s: float, half_visible_s: float, change_w: float) -> None:
        """Learn from a step of ours, posted at `posted_at_s`, half of which had come out at `half_visible_s`."""
        self._delays.learn(posted_at_s, half_visible_s, change_w)

    def wait_on(self, posted_at_s: float, now_s: float) -> None:
        """Note that a limit posted at `posted_at_s` has not come out yet: it may be slower than believed."""
        if posted_at_s != self.limits.posted_at_s or self._is_withheld:
            return
        if (until_s := self._delays.unanswered(posted_at_s, now_s)) is not None:
            self._slow.delay_last(until_s)

    def taken(self, now_s: float) -> None:
        """The DTU has answered the POST: only what it says from now on can speak of that limit."""
        self.limits.taken(now_s)

    def refused(self, now_s: float) -> None:
        """The DTU declined the last limit: it is not on its way."""
        posted_at_s = self.limits.posted_at_s
        self.limits.refused(now_s)
        if self.wanted_w is None or self._is_withheld:
            self._jump()
        else:
            self._aim(posted_at_s, self.wanted_w)

    def apply_limit_status(self, status: LimitStatus, now_s: float) -> bool:
        """Take what the DTU says; return True when an acknowledged limit is not ours."""
        before_w = self.limit_w
        news = self.limits.apply(status, now_s)
        if news is LimitNews.WAITS and not self._is_withheld:
            self._delay(status.at_s - WINDOW_S + RADIO_S)
        elif news is LimitNews.FAILED:
            self._retract()
        elif news is LimitNews.ACKNOWLEDGED:
            self._acknowledged(status.at_s - WINDOW_S - SETTLE_S + RADIO_S)
        elif news is LimitNews.IGNORED:
            self._is_withheld = False
            self._jump()
        elif news in {LimitNews.SHOWN, LimitNews.FOREIGN}:
            self._is_withheld = False
            if before_w is not None and self.limit_w is not None:
                self._foreign_at_s = now_s
                self._aim(now_s, self.limit_w)
            else:
                self._jump()
        # What an inverter that is off reads back is the limit of its next start, which nobody set.
        return (
            news is LimitNews.FOREIGN and self.is_producing and not self.is_commanded_off and not self.is_switched_off
        )

    def post_power(self, now_s: float, *, on: bool) -> None:
        """Remember a power command that is given to the DTU now."""
        self._power_before = (self.is_commanded_off, self._power_sent_at_s)
        self.is_commanded_off = not on
        self._power_sent_at_s = now_s

    def post_restart(self) -> None:
        """Remember that a restart is given to the DTU now: it ends every limit, and a switch-off too."""
        self.is_commanded_off = False
        self.limits.withdraw()
        self.forget()

    def power_failed(self) -> None:
        """The last power command did not reach the DTU, as far as is known."""
        self.is_commanded_off, self._power_sent_at_s = self._power_before

    def needs_power(self, now_s: float, *, on: bool) -> bool:
        """Tell whether a power command is due to make the inverter be on or off."""
        since_s = now_s - self._power_sent_at_s
        if not on:
            return not self.is_commanded_off or (self.is_producing and self.is_fresh and since_s >= POWER_AGAIN_S)
        if self.is_commanded_off:
            return self.limit_w is not None and not self.is_pending
        return self.is_asleep(now_s) and since_s >= WAKE_AGAIN_S

    def is_asleep(self, now_s: float) -> bool:
        """Tell whether it has long given nothing though it is on, answers and has a limit."""
        silent_s = 0.0 if self._silent_since_s is None else now_s - self._silent_since_s
        return self.is_fresh and not self.is_commanded_off and silent_s >= WAKE_AFTER_S

    @property
    def waking_w(self) -> float:
        """The limit that brings back an inverter which stops at its minimum (some do: OpenDTU-OnBattery#755)."""
        return min(max(2 * self.unit.minimum_w, WAKE_SHARE * self.unit.rated_w), self.unit.maximum_w)

    def apply_measurement(self, status: InverterStatus, now_s: float, stale_after_s: float) -> None:
        """Take the measured values: freshness, whether it gives power, and output / limit once it has settled."""
        before = self.status
        self.status = status
        self.is_fresh = status.reachable and now_s - status.at_s <= stale_after_s
        if self.is_fresh or before is None:
            self.fresh_at_s = now_s
        if before is not None and status.reachable and not before.reachable:
            self.forget()
        if before is not None and status.at_s < before.at_s + NEWER_S:
            self.status = replace(status, at_s=before.at_s)
            return
        if not self.is_fresh:
            return
        self._measured_w = output_w = status.ac_power_w or 0.0
        is_producing = output_w >= PRODUCING_W
        if is_producing != self.is_producing and status.at_s > self._power_sent_at_s:
            self._set_producing(is_producing)
        self._silent_since_s = None if is_producing else (self._silent_since_s or status.at_s)
        if not is_producing:
            return
        self._trust(output_w, now_s)
        is_settled = self._has_come_out(status.at_s)
        if self.limits.is_ours and self.limit_w is not None:
            self._learn(output_w, status.at_s, is_settled=is_settled)
        if is_settled:
            self._look_for_excess(output_w, status.at_s, now_s)
        if not self._follows_limit and (is_settled or self._is_withheld or not self.limits.was_commanded):
            self._anchor(output_w)

    def update_reachability(self, now_s: float) -> None:
        """Note since when it is lost, or found, and what has expired; to be called once all else was seen."""
        self.is_overdue = self.limits.posted_w is not None and now_s > self._expires_at_s
        if self.is_overdue:
            self._retract()
        if self.is_lost:
            self._lost_since_s = min(self._lost_since_s, now_s)
        elif math.isfinite(self._lost_since_s):
            if now_s - self._lost_since_s >= MISSING_AFTER_S:
                self._found_at_s = now_s
            self._lost_since_s = math.inf

    def forget(self) -> None:
        """The DTU or the inverter restarted: what rules now is unknown."""
        self.limits.forget()
        self._ratio.forget_hold()

    # ---- inside

    @property
    def credit_s(self) -> float:
        """How long a command in flight is believed."""
        return self._delays.bounds_s[1] + 2 * self.unit.time_constant_s

    @property
    def dead_time_s(self) -> float:
        """The usual time from receiving a limit to acting on it, as far as known."""
        return self._delays.usual_s

    @property
    def _follows_limit(self) -> bool:
        """Whether its limit is known to be what rules its output."""
        return self.limits.is_ours and not self._is_withheld and self.held_w is None

    @property
    def is_contradicted(self) -> bool:
        """Whether what is measured says that the last acknowledged limit does not rule."""
        return math.isfinite(self._too_high_since_s)

    def _acknowledged(self, received_s: float) -> None:
        if self.is_contradicted:
            return
        if self._is_withheld:
            self._is_withheld = False
            self._delays.late(received_s)
            self._aim(received_s, self.limit_w or 0.0)
        else:
            self._delay(received_s)

    def _retract(self) -> None:
        """Stop believing in the limit on its way: the output is what was last confirmed, until the inverter answers."""
        if not self._is_withheld:
            self._is_withheld = True
            self._jump()

    def _has_come_out(self, at_s: float) -> bool:
        """Tell whether a measurement of that time shows what became of the last command."""
        commanded_at_s = max(self.limits.posted_at_s, self._power_sent_at_s, self._foreign_at_s)
        return at_s > commanded_at_s + self.credit_s + WINDOW_S and not self.is_pending

    def _trust(self, output_w: float, now_s: float) -> None:
        while len(self._aims) > 1 and self._aims[1][0] < now_s - TRUSTED_WITHIN_S:
            self._aims.popleft()
        lowest_w, highest_w = min(w for _, w in self._aims), max(w for _, w in self._aims)
        is_within = lowest_w * (1 - TRUSTED_SHARE) - TRUSTED_W <= output_w <= highest_w * TOO_HIGH_SHARE + TRUSTED_W
        self.is_trusted |= is_within

    def _set_producing(self, is_producing: bool) -> None:
        self.is_producing = is_producing
        self.is_trusted = False
        self._ratio.forget_hold()
        self._jump()

    def _learn(self, output_w: float, at_s: float, *, is_settled: bool) -> None:
        limit_w = self.limit_w or 0.0
        while len(self._sent) > 1 and self._sent[1][0] <= at_s - self.credit_s - WINDOW_S:
            self._sent.popleft()
        lowest_w = min(limit_w, *(w for _, w in self._sent)) if self._sent else limit_w
        has_changed = self._ratio.look_for_hold(lowest_w, output_w)
        if is_settled:
            has_changed |= self._ratio.add(limit_w, output_w)
        if has_changed:
            self.is_trusted &= self.held_w is None
            self._jump()

    def _look_for_excess(self, output_w: float, at_s: float, now_s: float) -> None:
        """Notice that a limit is not in force, though it was acknowledged."""
        is_too_high = self.limit_w is not None and output_w > TOO_HIGH_SHARE * self.limit_w + TOO_HIGH_W
        self._too_high = self._too_high + 1 if is_too_high else 0
        if self.is_contradicted and self.limit_w is not None and not is_too_high:
            self._too_high_since_s = math.inf
            self._is_withheld = False
            self._jump()
        if self._too_high < TOO_HIGH_SAMPLES:
            return
        self._too_high_since_s = min(self._too_high_since_s, at_s)
        self._retract()
        if now_s - max(self._forgot_at_s, self.limits.posted_at_s) >= AGAIN_S:
            self._too_high = 0
            self._forgot_at_s = now_s
            self.forget()

    def _output_of(self, limit_w: float) -> float:
        """Return the output in W that a limit in W leads to."""
        if not self.is_producing:
            return 0.0
        output_w = limit_w * self.gain
        return output_w if self.held_w is None else min(output_w, self.held_w)

    def _aim(self, received_s: float, limit_w: float) -> None:
        output_w = self._output_of(limit_w)
        quick_s, slow_s = self._delays.bounds_s
        self._aims.append((received_s, output_w))
        self._quick.aim(received_s + quick_s, output_w)
        self._slow.aim(received_s + slow_s, output_w)

    def _anchor(self, output_w: float) -> None:
        if abs(output_w - self.final_w) > ANCHOR_W:
            self._jump()

    def _jump(self) -> None:
        """Begin anew from what is confirmed: the limit where it rules, else what was measured last."""
        if not self.is_producing:
            output_w = 0.0
        elif self._follows_limit or self._measured_w is None:
            output_w = self._output_of(self.wanted_w or 0.0)
        else:
            output_w = self._measured_w
        self.corrected_w += abs(output_w - self.final_w)
        self._aims.clear()
        self._aims.append((-math.inf, output_w))
        self._quick.jump(output_w)
        self._slow.jump(output_w)

    def _delay(self, received_s: float) -> None:
        self._delays.late(received_s)
        quick_s, slow_s = self._delays.bounds_s
        self._quick.delay_last(received_s + quick_s)
        self._slow.delay_last(received_s + slow_s)
