"""What the meter's answers prove: that it moves, that it shows our own steps, and how late."""

from __future__ import annotations

import math
from collections.abc import Sequence

from opendtu_dcload.control.inverter.dead_time_learner import DelayLearner
from opendtu_dcload.control.inverter.inverters import Inverters
from opendtu_dcload.control.protection.meter_age import MeterState
from opendtu_dcload.control.protection.meter_movement import MeterMovement, MovementVerdict
from opendtu_dcload.control.protection.meter_question import output_of, question_w
from opendtu_dcload.control.protection.meter_response import JUDGED_STEP_W, PROBE_W, ResponseGuard
from opendtu_dcload.control.regulation.dispatch import Headroom
from opendtu_dcload.control.regulation.operating_range import OperatingRange
from opendtu_dcload.model import MeterReading

METER_DELAY_S = 0.5
"""A meter shows the mean of about the last second."""
CORRECTED_W = 50.0
"""When the model of the plant was corrected by this much, own steps can no longer be told from it."""


class MeterEvidence:
    """Sees every answer of the meter and every step of ours."""

    def __init__(self, inverters: Inverters, now_s: float) -> None:
        self._inverters = inverters
        self._trackers = inverters.trackers
        self.response = ResponseGuard()
        self.movement = MeterMovement()
        self.output = output_of(self._trackers.values(), now_s)
        """What the plant gives, and what of it the last answer may contain."""
        self._shown_w = self.output.visible_w
        """What of it the last answer may contain at all, also if it was measured soon after the answer before."""
        self.new: MeterReading | None = None
        """The answer that the present decision is the first to see; None = there is none."""
        self.was_silent = False
        """Before the last answer the meter was silent for so long that nothing before it counts."""
        self.drifted_w = 0.0
        """By how much the load had drifted by the last answer: that is no step of anybody's."""
        self._learner = DelayLearner()
        self._started_at_s = now_s
        self._heard_at_s = -math.inf
        self._corrected_w = 0.0

    @property
    def has_heard(self) -> bool:
        """Whether the meter has ever answered."""
        return math.isfinite(self._heard_at_s)

    @property
    def is_calm(self) -> bool:
        """Whether no step is being made that the meter has to show."""
        return not (self.response.is_probing or self.movement.is_asking)

    @property
    def may_rise(self) -> bool:
        """Whether the plant may give more because of the last answer: not while the meter is in doubt."""
        return self.movement.may_rise and not self.response.is_probing

    @property
    def shows_all(self) -> bool:
        """Whether every command had its longest dead time by the last answer, or is no longer believed."""
        return all(t.output.is_settled(self._heard_at_s - METER_DELAY_S) for t in self._trackers.values())

    def state(self, now_s: float, meter: MeterReading | None) -> MeterState:
        """Return what the last answer, None = there was none yet, is worth by now."""
        believed_at_s = self.movement.believed_at_s(meter.at_s if meter else self._started_at_s)
        return MeterState(now_s - believed_at_s, self.movement.is_frozen, self.response.suspicion)

    def hear(self, meter: MeterReading | None, longest_silence_s: float) -> None:
        """Take the last answer of the meter: what it tells of delays, and whether it moves."""
        if meter is None or meter.at_s <= self._heard_at_s:
            self.new, self.was_silent = None, False
            return
        self.was_silent = meter.at_s - self._heard_at_s > longest_silence_s + self.movement.silence_s
        self.new, self._heard_at_s = meter, meter.at_s
        if self.was_silent:
            self.response.reset()
            self._learner.reset()
            self.movement.withdraw()
        if self.movement.is_change(meter):
            self._learn_delays(meter)
        earlier_w, seen_at_s = self.output.visible_w, meter.at_s - METER_DELAY_S
        self.output = output_of(self._trackers.values(), seen_at_s)
        possible_w = [tracker.output.possible_w(seen_at_s) for tracker in self._trackers.values()]
        low_w, high_w = sum(low_w for low_w, _ in possible_w), sum(high_w for _, high_w in possible_w)
        self._shown_w = min(earlier_w[0], low_w), max(earlier_w[1], high_w)
        if self.movement.add_reading(meter, self.output) is MovementVerdict.BLIND:
            self.response.blind(meter.at_s)
        corrected_w = sum(t.output.corrected_w for t in self._trackers.values())
        if corrected_w - self._corrected_w > CORRECTED_W:
            self._corrected_w = corrected_w
            self.response.corrected()
            self.movement.corrected(self.output)

    def judge(self, committed_w: float) -> None:
        """Compare a new answer with our own steps; `committed_w` is what all commands lead to."""
        if self.new is not None and self.movement.has_changed:
            self.response.add_reading(self.new.at_s, self.new.power_w, self._shown_w, committed_w, self.drifted_w)

    def asked_w(self, plant_range: OperatingRange, headrooms: Sequence[Headroom]) -> float | None:
        """Return the output in W at which the meter is being asked; None = it is not.

        One whose values have stood still for too long is asked now, where there is room for a step.
        """
        if self.movement.may_ask and self.output.is_settled and (step_w := question_w(headrooms, plant_range)):
            self.movement.ask(plant_range.committed_w + step_w, self.output, self._inverters.shown_within_s)
        return self.movement.setpoint_w(plant_range.committed_w) if self.movement.is_asking else None

    def probe_w(self, plant_range: OperatingRange) -> float | None:
        """Return the lower output in W that proves a meter at the plant's ceiling; None = none is due now."""
        fall_w = plant_range.committed_w - plant_range.floor_w
        if fall_w < JUDGED_STEP_W or not self.response.probe_due(plant_range.committed_w, plant_range.ceiling_w):
            return None
        self.response.is_probing = True
        return max(plant_range.committed_w - PROBE_W, plant_range.floor_w)

    def stepped(self, now_s: float, serial: str, change_w: float, *, is_trusted: bool) -> None:
        """Note that one inverter is told to change its output by `change_w`.

        `is_trusted`: the outputs were measured to be as modelled, and the load is not foretold to change as well;
        otherwise only a good answer of the meter counts.
        """
        self.response.stepped(is_trusted=is_trusted)
        self._learner.stepped(now_s, serial, change_w)

    def failed(self) -> None:
        """Note that a step may be none at all, so the meter need not answer it."""
        self.response.corrected()

    def _learn_delays(self, meter: MeterReading) -> None:
        if (shown := self._learner.add_reading(meter.at_s, meter.power_w - self.drifted_w)) is not None:
            output = self._trackers[shown.serial].output
            output.learn_dead_time(shown.posted_at_s, shown.half_at_s - METER_DELAY_S, shown.change_w)
        for serial, posted_at_s in self._learner.unanswered_since_s.items():
            self._trackers[serial].output.wait_on(posted_at_s, meter.at_s)
