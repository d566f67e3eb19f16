"""One inverter as far as it can be known: its limits, the command in flight, and what of it the meter can see.

A limit shows at the grid meter only after the radio, the inverter's dead time and its ramp. How long that takes is
known only within bounds, so the output is modelled twice: by the quickest and by the slowest inverter that is
plausible. The truth lies between.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

from opendtu_dcload.control.delays import Delays
from opendtu_dcload.control.output import OutputModel, Unit
from opendtu_dcload.model import CommandState, InverterStatus, LimitStatus, Reason

RADIO_S = 0.15
"""From the start of the radio's transmission to the limit being received."""
WINDOW_S = 2.0
"""A limit keeps its radio this long, and is acknowledged at the end of it (OpenDTU: receive timeout of 2000 ms)."""
SETTLE_S = 1.0
"""An `Ok` sooner after the POST than this may still be the one of the command before."""
SWALLOWED_S = 3.0
"""`Ok` with another limit this long after the POST: the DTU dropped the command."""
PCT_STEP = 0.1
"""The inverter takes limits in steps of 0.1 %."""
LOWEST_GAIN, HIGHEST_GAIN = 0.3, 1.1
"""Half of the limit comes out with half of the inputs connected; meters and inverters disagree by some percent."""
GAIN_FILTER = 0.3
TOO_HIGH_SAMPLES = 2
"""So many settled measurements above the limit mean that the limit is not in force."""
TOO_HIGH_SHARE, TOO_HIGH_W = 1.1, 30.0
NEWER_S = 0.9
"""Less between two measurements is the jitter of `data_age`, which older firmware gives in whole seconds."""
HELD_S = 60.0
"""How long nothing is sent to an inverter whose limit the DTU declined."""
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


class Track:
    """Everything the controller remembers of one inverter."""

    is_restarting = False
    """It is about to be restarted, or was and has acknowledged no limit since: it counts as rated."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.limit_w: float | None = None
        """Last acknowledged limit; None = unknown."""
        self.posted_w: float | None = None
        """Limit on its way; None when none is."""
        self.posted_at_s = -math.inf
        self.known_since_s = math.inf
        """Since when a limit rules that was not ours."""
        self.raised_at_s = -math.inf
        self.was_commanded = False
        self.held_until_s = -math.inf
        """The DTU declined a limit: none is sent before."""
        self.has_replaced = False
        """A waiting limit was already replaced by a lower one."""
        self.is_producing = True
        """False: it is off, waiting for the grid or without DC power, so its limit means nothing."""
        self.ceiling_w = unit.maximum_w
        """Highest limit that it may be given while it is as hot as it is."""
        self.gain = 1.0
        """Output / limit."""
        self.status: InverterStatus | None = None
        """Last measured values, however old."""
        self.trouble: Reason | None = None
        """Why its DTU cannot be commanded."""
        self.is_switched_off = False
        """It is not to be used: the user does not want it, or it rests."""
        self.rests = 0
        """For the how-manieth time it rests because it is not needed; 0 = it does not."""
        self.is_fresh = False
        """The measured values are young enough to act on, and the inverter answers the DTU."""
        self.fresh_at_s = -math.inf
        """When they last were, or when they were first heard of."""
        self.is_told_off = False
        self.is_trusted = False
        """Its measured output was once what its limit says, so the meter can be judged by its steps."""
        self.corrected_w = 0.0
        """All corrections of the model so far, up and down added: these are no steps of the plant."""
        self._superseded_w = 0.0
        self._has_failed = self._is_dtu_pending = self._is_echo_old = False
        self._too_high = 0
        self._aims: deque[tuple[float, float]] = deque([(-math.inf, 0.0)])
        """Outputs that the model headed for lately, with the time."""
        self._dtu_knows_rated = False
        self._taken_at_s = self._forgot_at_s = self._found_at_s = self._power_sent_at_s = -math.inf
        self._lost_since_s = math.inf
        self._power_before = (False, -math.inf)
        self._silent_since_s: float | None = None
        self._delays = Delays(unit)
        self._quick = OutputModel(unit)
        self._slow = OutputModel(unit)

    # ---- what is known

    @property
    def is_pending(self) -> bool:
        """True while a limit is on its way."""
        return self.posted_w is not None or self._is_dtu_pending

    @property
    def wanted_w(self) -> float | None:
        """The limit that rules when everything on its way has arrived; None = unknown."""
        return self.posted_w if self.posted_w is not None else self.limit_w

    @property
    def is_usable(self) -> bool:
        """True when its output can be set: it gives power, its data are fresh and its limit is known."""
        is_wanted = self.trouble is None and not self.is_switched_off and not self.is_restarting
        return is_wanted and self.is_fresh and self.is_producing and self.wanted_w is not None

    @property
    def is_lost(self) -> bool:
        """True when commands do not reach it."""
        return (
            self.trouble is not None
            or self._has_failed
            or self.is_restarting
            or (self.status is not None and not self.status.reachable)
        )

    def is_missing(self, now_s: float) -> bool:
        """Tell whether commands have not reached it for a while, or only just again: the others must make room."""
        is_missing = now_s - self._lost_since_s >= MISSING_AFTER_S or now_s - self._found_at_s < MISSING_AFTER_S
        return is_missing or self.is_restarting

    @property
    def final_w(self) -> float:
        """Output in W when everything on its way has arrived."""
        return self._slow.final_w

    @property
    def highest_w(self) -> float:
        """The highest output still possible in W: acknowledged, pending or waiting limit; rated when unknown."""
        if self.is_restarting:
            return self.unit.rated_w
        if self.is_told_off and not self.is_producing:
            return 0.0
        return self.highest_on_w

    @property
    def highest_on_w(self) -> float:
        """The same, as if it were on."""
        known_w = self.unit.rated_w if self.limit_w is None else self.limit_w
        return max(known_w, self.posted_w or 0.0, self._superseded_w)

    def visible_w(self, at_s: float) -> tuple[float, float]:
        """Return the lowest and the highest output in W that the meter may have seen at `at_s`."""
        quick_w, slow_w = self._quick.move_to(at_s), self._slow.move_to(at_s)
        return min(quick_w, slow_w), max(quick_w, slow_w)

    def needs_refresh(self, now_s: float) -> bool:
        """Tell whether the limit that rules has to be sent again, lest the inverter forgets it."""
        since_s = self.posted_at_s if math.isfinite(self.posted_at_s) else self.known_since_s
        is_settled = not self.is_pending and not self.is_lost and self.limit_w is not None
        return is_settled and now_s - since_s >= self.unit.refresh_s

    def set_unit(self, unit: Unit) -> None:
        """Replace what is fixed about the inverter, when the DTU has learned its rated power."""
        self.unit = unit
        self._quick.set_unit(unit)
        self._slow.set_unit(unit)

    # ---- what happens

    def post(self, now_s: float, limit_w: float, radio_free_s: float) -> None:
        """Remember a limit that is given to the DTU now, whose radio is busy until `radio_free_s`."""
        self._superseded_w = max(self._superseded_w, self.posted_w or 0.0)
        if limit_w > (self.wanted_w or 0.0):
            self.raised_at_s = now_s
        self.has_replaced = self.posted_w is not None
        self.was_commanded = True
        self.posted_w = limit_w
        self.posted_at_s = self._taken_at_s = now_s
        received_s = max(now_s, radio_free_s) + RADIO_S
        self._delays.posted(now_s, received_s)
        self._aim(received_s, limit_w)

    def learn_dead_time(self, posted_at_s: float, half_visible_s: float, change_w: float) -> None:
        """Learn from a step of ours, posted at `posted_at_s`, half of which had come out at `half_visible_s`."""
        self._delays.learn(posted_at_s, half_visible_s, change_w)

    def wait_on(self, posted_at_s: float, now_s: float) -> None:
        """Note that a limit posted at `posted_at_s` has not come out yet: it may be slower than believed."""
        if posted_at_s == self.posted_at_s and (until_s := self._delays.unanswered(posted_at_s, now_s)) is not None:
            self._slow.delay_last(until_s)

    def taken(self, now_s: float) -> None:
        """The DTU has answered the POST: only what it says from now on can speak of that limit."""
        self._taken_at_s = now_s

    def refused(self, now_s: float) -> None:
        """The DTU declined the last limit: it is not on its way."""
        self.held_until_s = now_s + HELD_S
        self.posted_w, self._superseded_w = self._superseded_w or None, 0.0
        known_w = self.wanted_w
        self._aim(self.posted_at_s, known_w if known_w is not None else self.unit.rated_w)

    def see_limit(self, status: LimitStatus, now_s: float) -> bool:
        """Take what the DTU says; return True when an acknowledged limit is not ours."""
        shown_w = self._shown_w(status)
        if status.state != CommandState.PENDING:
            self._has_failed = status.state == CommandState.FAILURE
        self._is_dtu_pending = status.state == CommandState.PENDING
        if status.rated_w and not self._dtu_knows_rated and self.wanted_w is None:
            self.posted_at_s = -math.inf  # an absolute limit leaves no echo while the DTU does not know the rated power
        self._dtu_knows_rated = bool(status.rated_w)
        if self.posted_w is None:
            if self._is_echo_old and shown_w is not None:
                return False
            foreign = self.limit_w is not None and shown_w is not None and not self._is(shown_w, self.limit_w)
            if shown_w is None or self.limit_w is None or foreign:
                self._accept(shown_w, now_s)
            return foreign and status.state != CommandState.PENDING
        if status.at_s < self._taken_at_s + SETTLE_S:
            return False
        if status.state == CommandState.PENDING:
            self._delay(status.at_s - WINDOW_S + RADIO_S)
        elif status.state == CommandState.OK and shown_w is not None and self._is(shown_w, self.posted_w):
            self._delay(status.at_s - WINDOW_S - SETTLE_S + RADIO_S)
            self.limit_w, self.posted_w, self._superseded_w = self.posted_w, None, 0.0
            self._is_echo_old = self.has_replaced = False
        elif status.state == CommandState.OK and status.at_s > self._taken_at_s + SWALLOWED_S:
            foreign = shown_w is not None and self.limit_w is not None and not self._is(shown_w, self.limit_w)
            self.posted_w, self._superseded_w = None, 0.0
            if not (self._is_echo_old and shown_w is not None):
                self._accept(shown_w, now_s)
            if not foreign and self.limit_w is not None:
                self._jump()  # the posted limit never ruled
            return foreign
        return False

    def post_power(self, now_s: float, *, on: bool) -> None:
        """Remember a power command that is given to the DTU now."""
        self._power_before = (self.is_told_off, self._power_sent_at_s)
        self.is_told_off = not on
        self._power_sent_at_s = now_s

    def post_restart(self) -> None:
        """Remember that a restart is given to the DTU now: it ends every limit, and a switch-off too."""
        self.posted_w, self._superseded_w, self.is_told_off = None, 0.0, False
        self.forget()

    def power_failed(self) -> None:
        """The last power command did not reach the DTU, as far as is known."""
        self.is_told_off, self._power_sent_at_s = self._power_before

    def needs_power(self, now_s: float, *, on: bool) -> bool:
        """Tell whether a power command is due to make the inverter be on or off."""
        since_s = now_s - self._power_sent_at_s
        if not on:
            return not self.is_told_off or (self.is_producing and self.is_fresh and since_s >= POWER_AGAIN_S)
        if self.is_told_off:
            return self.limit_w is not None and not self.is_pending
        return self.is_asleep(now_s) and since_s >= WAKE_AGAIN_S

    def is_asleep(self, now_s: float) -> bool:
        """Tell whether it has long given nothing though it is on, answers and has a limit."""
        silent_s = 0.0 if self._silent_since_s is None else now_s - self._silent_since_s
        return self.is_fresh and not self.is_told_off and silent_s >= WAKE_AFTER_S

    @property
    def waking_w(self) -> float:
        """The limit that brings back an inverter which stops at its minimum (some do: OpenDTU-OnBattery#755)."""
        return min(max(2 * self.unit.minimum_w, WAKE_SHARE * self.unit.rated_w), self.unit.maximum_w)

    def see_status(self, status: InverterStatus, now_s: float, stale_after_s: float) -> None:
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
        output_w = status.ac_power_w or 0.0
        is_producing = output_w >= PRODUCING_W
        if is_producing != self.is_producing and status.at_s > self._power_sent_at_s:
            self._set_producing(is_producing)
        self._silent_since_s = None if is_producing else (self._silent_since_s or status.at_s)
        if is_producing:
            self._trust(output_w, now_s)
        settled_s = max(self.posted_at_s, self._power_sent_at_s) + self.credit_s + WINDOW_S
        if is_producing and status.at_s > settled_s and not self.is_pending:
            self._learn_gain(output_w)
            is_too_high = self.limit_w is not None and output_w > TOO_HIGH_SHARE * self.limit_w + TOO_HIGH_W
            self._too_high = self._too_high + 1 if is_too_high else 0
            if self._too_high >= TOO_HIGH_SAMPLES and now_s - self._forgot_at_s >= self.unit.refresh_s:
                self._too_high = 0
                self._forgot_at_s = now_s
                self.forget()

    def see_lost(self, now_s: float) -> None:
        """Note since when it is lost, or found; to be called once all else was seen."""
        if self.is_lost:
            self._lost_since_s = min(self._lost_since_s, now_s)
        elif math.isfinite(self._lost_since_s):
            if now_s - self._lost_since_s >= MISSING_AFTER_S:
                self._found_at_s = now_s
            self._lost_since_s = math.inf

    def _trust(self, output_w: float, now_s: float) -> None:
        while len(self._aims) > 1 and self._aims[1][0] < now_s - TRUSTED_WITHIN_S:
            self._aims.popleft()
        lowest_w, highest_w = min(w for _, w in self._aims), max(w for _, w in self._aims)
        is_within = lowest_w * (1 - TRUSTED_SHARE) - TRUSTED_W <= output_w <= highest_w * TOO_HIGH_SHARE + TRUSTED_W
        self.is_trusted |= is_within

    def forget(self) -> None:
        """The DTU or the inverter restarted: what rules now is unknown."""
        self.limit_w = None
        self._is_echo_old = True
        if self.posted_w is None:
            self.posted_at_s = -math.inf

    def _set_producing(self, is_producing: bool) -> None:
        self.is_producing = is_producing
        self.is_trusted = False
        self._jump()

    def _learn_gain(self, output_w: float) -> None:
        if self.limit_w and self.limit_w > 0.2 * self.unit.rated_w:
            measured = min(max(output_w / self.limit_w, LOWEST_GAIN), HIGHEST_GAIN)
            self.gain += GAIN_FILTER * (measured - self.gain)
            self._jump()

    # ---- inside

    @property
    def credit_s(self) -> float:
        """How long a command in flight is believed."""
        return self._delays.bounds_s[1] + 2 * self.unit.time_constant_s

    @property
    def dead_time_s(self) -> float:
        """The usual time from receiving a limit to acting on it, as far as known."""
        return self._delays.usual_s

    def _aim(self, received_s: float, limit_w: float) -> None:
        output_w = limit_w * self.gain if self.is_producing else 0.0
        quick_s, slow_s = self._delays.bounds_s
        self._aims.append((received_s, output_w))
        self._quick.aim(received_s + quick_s, output_w)
        self._slow.aim(received_s + slow_s, output_w)

    def _jump(self) -> None:
        output_w = (self.wanted_w or 0.0) * self.gain if self.is_producing else 0.0
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

    def _accept(self, shown_w: float | None, now_s: float) -> None:
        was_known = self.limit_w is not None
        self.limit_w = shown_w
        if shown_w is None:
            self._is_echo_old = False
        elif self.posted_at_s == -math.inf:
            self.posted_at_s = now_s
        self.known_since_s = now_s
        if shown_w is None and was_known:
            self.posted_at_s = -math.inf
        if shown_w is not None and was_known:
            self._aim(now_s, shown_w)
        else:
            self._jump()

    def _shown_w(self, status: LimitStatus) -> float | None:
        rated_w = status.rated_w or self.unit.rated_w
        return None if status.limit_pct is None else status.limit_pct * rated_w / 100

    def _is(self, shown_w: float, posted_w: float) -> bool:
        return abs(shown_w - posted_w) <= PCT_STEP / 100 * self.unit.rated_w + 1.0

    def acknowledges(self, status: LimitStatus, limit_w: float) -> bool:
        """Tell whether the DTU says that this limit was the last one that the inverter acknowledged."""
        shown_w = self._shown_w(status)
        return status.state == CommandState.OK and shown_w is not None and self._is(shown_w, limit_w)
