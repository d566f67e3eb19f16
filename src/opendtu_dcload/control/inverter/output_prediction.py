"""What one inverter gives and will give: predicted from its limits, corrected by what is measured.

A limit shows at the grid meter only after the radio, the inverter's dead time and its ramp. How long that takes is
known only within bounds, so the output is modelled twice: by the quickest and by the slowest inverter that is
plausible. The truth lies between. The model follows a limit only while the inverter can be expected to: one that is
lost, that does not acknowledge, or that something else holds is believed to give what was last measured of it.
"""

from __future__ import annotations

import math
from collections import deque

from opendtu_dcload.control.inverter.dead_time import RADIO_S, WINDOW_S, DeadTime
from opendtu_dcload.control.inverter.dead_time_learner import HALF_SHOWN, LEARNED_STEP_W
from opendtu_dcload.control.inverter.limit_state import LimitNews, LimitState
from opendtu_dcload.control.inverter.output_checks import ExcessWatch, ModelTrust
from opendtu_dcload.control.inverter.output_model import OutputModel
from opendtu_dcload.control.inverter.output_ratio import Ratio
from opendtu_dcload.control.inverter.output_rules import KEPT_LIMITS, PRODUCING_W
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.inverter.power_state import PowerState
from opendtu_dcload.limit_reading import SETTLE_S

AGE_S = 1.0
"""A measurement may be so much older than it says: older firmware gives `data_age` in whole seconds."""
NOT_BEGUN_SHARE = 0.2
"""An output that has gone less than this share of its way has not begun to, or it swings by as much: an estimate."""
KEPT_POINTS = 200
"""Of its path: two a second for the longest dead time, 90 s."""
ANCHOR_W = 5.0
"""A model without a limit to follow is corrected when it is this far from what was measured."""


class OutputPrediction:
    """The output in W, known within bounds."""

    def __init__(self, unit: InverterParameters, limits: LimitState, power: PowerState) -> None:
        """Predict from what `limits` and `power` know, which others change."""
        self._tau_s = unit.time_constant_s
        self._limits = limits
        self._power = power
        self._ratio = Ratio(unit.rated_w)
        self._dead_time = DeadTime(unit)
        self._quick = OutputModel(unit)
        self._slow = OutputModel(unit)
        self.trust = ModelTrust()
        self.excess = ExcessWatch()
        self.corrected_w = 0.0
        """All corrections of the model so far, up and down added: these are no steps of the plant."""
        self.shifted_w = (0.0, 0.0)
        """By how much the corrections have moved what the plant gives: the least and the most that is possible."""
        self._path: deque[tuple[float, float]] = deque(maxlen=KEPT_POINTS)
        """(s, W): what the quickest inverter gave lately."""
        self._is_withheld = False
        """The model does not follow the limit on its way: nothing shows that the inverter will."""
        self._measured_w: float | None = None
        """Output when it was last fresh."""
        self._sent: deque[tuple[float, float]] = deque(maxlen=KEPT_LIMITS)
        """Limits of ours lately: when they were received, as far as known, and W."""
        self._step_w = (0.0, 0.0)
        """Output that the last limit of ours began at, and the one that it leads to."""
        self._foreign_at_s = -math.inf
        """When a limit of somebody else was noticed last."""

    # ---- what is known

    @property
    def gain(self) -> float:
        """Output / limit."""
        return self._ratio.value

    @property
    def held_w(self) -> float | None:
        """Output in W at which something else than its limit holds it; None while nothing does."""
        return self._ratio.held_w if self._power.is_producing else None

    @property
    def useful_limit_w(self) -> float:
        """Highest limit in W that is of use while it is held; infinite while it is not."""
        ceiling_w = self._ratio.ceiling_w if self._power.is_producing else None
        return math.inf if ceiling_w is None else ceiling_w

    @property
    def final_w(self) -> float:
        """Output in W when everything on its way has arrived."""
        return self._slow.final_w

    def visible_w(self, at_s: float) -> tuple[float, float]:
        """Return the lowest and the highest output in W that the meter may have seen at `at_s`."""
        quick_w, slow_w = self._quick.move_to(at_s), self._slow.move_to(at_s)
        self._path.append((at_s, quick_w))
        return min(quick_w, slow_w), max(quick_w, slow_w)

    def possible_w(self, at_s: float) -> tuple[float, float]:
        """Return the same for who wants to be sure: a limit that was soon replaced may come out as late as any.

        So it is all that the quickest inverter gave in the time by which the slowest lags behind it.
        """
        low_w, high_w = self.visible_w(at_s)
        quick_s, slow_s = self._dead_time.bounds_s
        while self._path[0][0] < at_s - max(slow_s - quick_s, 0.0):
            self._path.popleft()
        passed_w = [power_w for _, power_w in self._path]
        return min(low_w, *passed_w), max(high_w, *passed_w)

    def limit_for_w(self, output_w: float) -> float:
        """Return the limit in W that leads to an output in W, as far as is known."""
        limit_w = output_w / self.gain
        if self.held_w is not None and output_w > self.held_w:  # its limit is no measure of it, so it only rises
            limit_w = max(limit_w, (self._limits.limit_w or 0.0) + output_w - self.held_w)
        return limit_w

    @property
    def credit_s(self) -> float:
        """How long a command in flight is believed."""
        return self._dead_time.bounds_s[1] + 2 * self._tau_s

    @property
    def dead_time_s(self) -> float:
        """The usual time from receiving a limit to acting on it, as far as known."""
        return self._dead_time.usual_s

    def is_settled(self, at_s: float) -> bool:
        """Tell whether every command had its longest dead time by `at_s`, or is no longer believed."""
        is_under_way = self._limits.posted_w is not None and not self._is_withheld
        return not is_under_way and at_s >= self._dead_time.received_s + self.credit_s

    def has_come_out(self, at_s: float) -> bool:
        """Tell whether a measurement of that time shows what became of the last command."""
        commanded_at_s = max(self._limits.posted_at_s, self._power.sent_at_s, self._foreign_at_s)
        return at_s > commanded_at_s + self.credit_s + WINDOW_S and not self._limits.is_pending

    # ---- what is commanded

    def expect(self, now_s: float, limit_w: float, radio_free_s: float, *, is_doubtful: bool) -> float:
        """Follow a limit that is sent now; return when it will be received at the earliest.

        Args:
            now_s: monotonic time.
            limit_w: the limit.
            radio_free_s: until when its radio is busy with others.
            is_doubtful: nothing shows that the inverter will obey, so it is believed only once acknowledged.
        """
        self._is_withheld |= is_doubtful or self.excess.is_on
        received_s = max(now_s, radio_free_s) + RADIO_S
        is_alone = self._dead_time.is_out or now_s >= self._dead_time.received_s + self.credit_s
        self._dead_time.posted(now_s, received_s)
        self._sent.append((received_s, limit_w))
        self._step_w = self.final_w, self._output_of(limit_w)
        if not is_alone or self._measured_w is None or self._come_out(self._measured_w) >= NOT_BEGUN_SHARE:
            self._dead_time.not_followed()  # one before may have yet to come out, so nobody can tell which one does
        if not self._is_withheld:
            self._aim(received_s, limit_w)
        return received_s

    def withhold(self) -> None:
        """Stop believing in the limit on its way: the output is what was last confirmed, until the inverter answers."""
        if not self._is_withheld:
            self._is_withheld = True
            self._jump()

    def fall_back(self) -> None:
        """Follow the limit before: the DTU has declined the last one."""
        self._dead_time.not_followed()
        if self._limits.wanted_w is None or self._is_withheld:
            self._jump()
        else:
            self._aim(self._limits.posted_at_s, self._limits.wanted_w)

    def follow_news(self, news: LimitNews, told_at_s: float, now_s: float, before_w: float | None) -> None:
        """Take what the DTU has told of the limit at `told_at_s`; `before_w` was the acknowledged one until then."""
        if news is LimitNews.WAITS and not self._is_withheld:
            self._delay(told_at_s - WINDOW_S + RADIO_S)
        elif news is LimitNews.FAILED:
            self.withhold()
        elif news is LimitNews.ACKNOWLEDGED and not self.excess.is_on:
            self._acknowledge(told_at_s - WINDOW_S - SETTLE_S + RADIO_S)
        elif news is LimitNews.IGNORED:
            self._is_withheld = False
            self._jump()
        elif news in {LimitNews.SHOWN, LimitNews.FOREIGN}:
            self._is_withheld = False
            if before_w is not None and self._limits.limit_w is not None:
                self._foreign_at_s = now_s
                self._aim(now_s, self._limits.limit_w)
            else:
                self._jump()

    # ---- what is measured

    def learn_from(self, output_w: float, at_s: float, now_s: float) -> bool:
        """Take a fresh measurement; return whether the acknowledged limit is to be taken for unknown."""
        self.trust.compare(output_w, now_s)
        if not self._limits.is_pending:
            self._bound_dead_time(output_w, at_s)
        is_settled = self.has_come_out(at_s)
        if self._limits.is_ours and self._limits.limit_w is not None:
            self._learn(self._limits.limit_w, output_w, at_s, is_settled=is_settled)
        must_forget = is_settled and self._look_for_excess(output_w, at_s, now_s)
        is_free = is_settled or self._is_withheld or not self._limits.was_commanded
        if not self._follows_limit and is_free and abs(output_w - self.final_w) > ANCHOR_W:
            self._jump()
        return must_forget

    def keep(self, output_w: float, *, has_switched: bool) -> None:
        """Keep a fresh measurement, also one of nothing; `has_switched`: it began or ceased to give power."""
        self._measured_w = output_w
        if output_w < PRODUCING_W:
            self.excess.end()
        if has_switched:
            self.trust.is_trusted = False
            self.forget_hold()
            self._jump()

    def learn_dead_time(self, posted_at_s: float, half_visible_s: float, change_w: float) -> None:
        """Learn from a step of ours, posted at `posted_at_s`, half of which had come out at `half_visible_s`."""
        self._dead_time.learn(posted_at_s, half_visible_s, change_w)

    def wait_on(self, posted_at_s: float, now_s: float) -> None:
        """Note that a limit posted at `posted_at_s` has not come out yet: it may be slower than believed."""
        if posted_at_s != self._limits.posted_at_s or self._is_withheld:
            return
        if (until_s := self._dead_time.unanswered(posted_at_s, now_s)) is not None:
            self._slow.delay_last(until_s)

    def forget_hold(self) -> None:
        """The inverter was off or away: what held it may be gone."""
        self._ratio.forget_hold()

    def set_unit(self, unit: InverterParameters) -> None:
        """Follow another rated power from now on."""
        self._ratio.rated_w = unit.rated_w
        self._quick.set_unit(unit)
        self._slow.set_unit(unit)

    # ---- inside

    @property
    def _follows_limit(self) -> bool:
        """Whether its limit is known to be what rules its output."""
        return self._limits.is_ours and not self._is_withheld and self.held_w is None

    def _learn(self, limit_w: float, output_w: float, at_s: float, *, is_settled: bool) -> None:
        while len(self._sent) > 1 and self._sent[1][0] <= at_s - self.credit_s - WINDOW_S:
            self._sent.popleft()
        lowest_w = min(limit_w, *(w for _, w in self._sent)) if self._sent else limit_w
        has_changed = self._ratio.look_for_hold(lowest_w, output_w)
        if is_settled:
            has_changed |= self._ratio.add(limit_w, output_w)
        if has_changed:
            self.trust.is_trusted &= self.held_w is None
            self._jump()

    def _come_out(self, output_w: float) -> float:
        """Return the share of the last step that has come out at an output in W, infinite where that is too small."""
        from_w, to_w = self._step_w
        return (output_w - from_w) / (to_w - from_w) if abs(to_w - from_w) >= LEARNED_STEP_W else math.inf

    def _bound_dead_time(self, output_w: float, at_s: float) -> None:
        come_out = self._come_out(output_w)
        if not self._follows_limit:
            self._dead_time.not_followed()
        elif come_out < NOT_BEGUN_SHARE:
            self._dead_time.lasts_until(at_s - AGE_S)
        elif come_out > HALF_SHOWN:
            self._dead_time.ended_by(at_s)

    def _look_for_excess(self, output_w: float, at_s: float, now_s: float) -> bool:
        if self.excess.add_settled(output_w, self._limits.limit_w, at_s):
            self._is_withheld = False
            self._jump()
        if not self.excess.is_confirmed:
            return False
        self.withhold()
        return self.excess.may_forget(now_s, self._limits.posted_at_s)

    def _acknowledge(self, received_s: float) -> None:
        if self._is_withheld:
            self._is_withheld = False
            self._dead_time.late(received_s)
            self._aim(received_s, self._limits.limit_w or 0.0)
        else:
            self._delay(received_s)

    def _delay(self, received_s: float) -> None:
        self._dead_time.late(received_s)
        quick_s, slow_s = self._dead_time.bounds_s
        self._quick.delay_last(received_s + quick_s)
        self._slow.delay_last(received_s + slow_s)

    def _aim(self, received_s: float, limit_w: float) -> None:
        output_w = self._output_of(limit_w)
        quick_s, slow_s = self._dead_time.bounds_s
        self.trust.head_for(received_s, output_w)
        self._quick.aim(received_s + quick_s, output_w)
        self._slow.aim(received_s + slow_s, output_w)

    def _jump(self) -> None:
        """Begin anew from what is confirmed: the limit where it rules, else what was measured last."""
        self._dead_time.not_followed()
        if not self._power.is_producing:
            output_w = 0.0
        elif self._follows_limit or self._measured_w is None:
            output_w = self._output_of(self._limits.wanted_w or 0.0)
        else:
            output_w = self._measured_w
        self.corrected_w += abs(output_w - self.final_w)
        least_w, most_w = self.shifted_w
        before_w = self._quick.output_w, self._slow.output_w
        self.shifted_w = least_w + output_w - max(before_w), most_w + output_w - min(before_w)
        self.trust.begin_anew(output_w)
        self._quick.jump(output_w)
        self._slow.jump(output_w)
        self._path.clear()

    def _output_of(self, limit_w: float) -> float:
        """Return the output in W that a limit in W leads to."""
        if not self._power.is_producing:
            return 0.0
        output_w = limit_w * self.gain
        return output_w if self.held_w is None else min(output_w, self.held_w)
