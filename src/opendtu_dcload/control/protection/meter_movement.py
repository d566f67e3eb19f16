"""Does the meter move at all? Silence is seen at once; a meter that answers with old values is not, so it is asked.

Answers that are the same to the bit in everything for a minute are suspicious, and so are powers that are the same as
before a step of ours which the inverters' own data show. Then the plant makes a step that the meter has to show. Only
one that was made and not shown is a verdict: frozen, when nothing at all has moved, or blind, when voltages or counters
have. Power is in W, times are monotonic in s.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum

from opendtu_dcload.freshness import measured
from opendtu_dcload.model import MeterReading

STILL_S = 60.0
"""Answers that are identical in everything for this long are suspicious; powers alone are not, see `DUE_W`."""
NOTICED_W = 100.0
"""The same powers before and after a step of ours of this much or more are suspicious."""
ASKED_W = 150.0
"""A smaller step is no question: the load may happen to hide it."""
STEP_W = 200.0
"""The step that asks, where there is room for it: the larger it is, the sooner a falling load is told from it."""
MADE_SHARE = 0.6
"""A step has been made when the inverters' data show this share of it."""
DUE_W = 20.0
"""When our output has changed by this much and the powers have not, nothing is raised on them: an estimate that is well
above the noise of the model."""
FASTEST_S, SLOWEST_S = 1.0, 15.0
"""Refresh of the meters that are supported: Shellys 1 s, others through the GX some seconds."""
QUICK_S = 0.99
"""An answer without a change that comes sooner after a new one was asked for before the refresh."""
SLOW_S = 2.0
"""From this refresh on answers come more often than values."""
SLACK_S = 2.0
"""A meter shows the mean of about the last second, and one answer may be late."""
LEARNED_CHANGES = 12
"""The refresh is learned from so many changes: an estimate, few enough to follow another setting of the meter."""
LEAST_CHANGES = 4
"""From fewer changes nothing is learned: a quarter of them is one."""
AGAIN_S = 600.0
"""A meter that has answered is not asked again sooner: one in whole watts may well stand still in a quiet night."""
RETRY_S = 120.0
"""The meter is not asked again sooner after a step that the inverters did not make: an estimate."""


@dataclass(frozen=True, slots=True)
class Output:
    """What the plant gives."""

    visible_w: tuple[float, float]
    """Lowest and highest output that the present reading may contain, as modelled."""
    committed_w: float
    """Output when everything commanded has arrived."""
    shifted_w: tuple[float, float]
    """By how much corrections of the model have moved `visible_w` so far, within bounds: these are no steps."""
    measured_w: float
    """Sum of what the inverters last told."""
    measured_at_s: float
    """When the oldest value in `measured_w` was measured; inverters without fresh data do not count."""
    is_settled: bool
    """The inverters with fresh data give what they are told."""


class MovementVerdict(Enum):
    """How a question ended."""

    ANSWERED = "answered"
    FROZEN = "frozen"
    BLIND = "blind"
    NOT_ASKED = "not asked"


@dataclass(slots=True)
class _Question:
    """A step that the meter has to show."""

    setpoint_w: float
    committed_w: float
    """Output commanded before the step."""
    measured_w: float
    """Output measured before the step."""
    give_up_at_s: float
    is_of_all: bool
    """Nothing of the answers has changed, so any change will do; otherwise a change of power."""
    made_at_s: float | None = None
    """When the inverters' data showed it first."""


class MeterMovement:
    """Sees every answer of the meter; says whether to act on it, and asks by a step."""

    def __init__(self) -> None:
        self.verdict: MovementVerdict | None = None
        self.is_frozen = False
        """The meter did not show a step that was made, and nothing in its answers has changed since."""
        self.is_new = True
        """The last answer tells something new: it has changed, or one refresh has passed."""
        self.has_changed = True
        """The last answer differs from the one before."""
        self._told: MeterReading | None = None
        self._at_s = self._changed_at_s = self._moved_at_s = self._new_at_s = -math.inf
        self._between_s: deque[float] = deque(maxlen=LEARNED_CHANGES)
        self._base_w = (0.0, 0.0)
        """Lowest and highest output that the powers may have contained when they began to stand still."""
        self._base_at_s = -math.inf
        """When the powers began to stand still."""
        self._base_shifted_w = (0.0, 0.0)
        """By how much corrections had moved the output by then."""
        self._measured_w = (math.inf, -math.inf)
        """Lowest and highest output measured since the powers began to stand still."""
        self._is_due = False
        self._made_at_s: float | None = None
        """Since when the inverters' data show a step that the meter does not."""
        self._question: _Question | None = None
        self._ask_from_s = -math.inf

    # ---- what is known

    @property
    def refresh_s(self) -> float:
        """Time between two values of the meter: as learned, the slowest supported until then."""
        return self._learned_s or SLOWEST_S

    @property
    def is_slow(self) -> bool:
        """Whether the meter is known to answer more often than it has something new to tell."""
        return (self._learned_s or FASTEST_S) >= SLOW_S

    @property
    def silence_s(self) -> float:
        """How long the meter may say nothing new before its age counts: one refresh of a slow one."""
        return self.refresh_s if self.is_slow else 0.0

    @property
    def is_asking(self) -> bool:
        """Whether a step is being made that the meter has to show."""
        return self._question is not None

    @property
    def may_rise(self) -> bool:
        """Whether the plant may give more because of the last answer: not when it should have changed before."""
        return not self._is_due

    @property
    def may_ask(self) -> bool:
        """Whether the meter's values have stood still for too long, and it was not asked lately."""
        if self.is_asking or self.is_frozen or self._at_s < self._ask_from_s:
            return False
        still_since_s = self._moved_at_s if self._is_due else self._changed_at_s
        is_missing = self._made_at_s is not None and self._at_s - self._made_at_s >= self._patience_s
        return is_missing or self._at_s - still_since_s >= STILL_S

    def believed_at_s(self, heard_at_s: float) -> float:
        """Return from when on the meter's age counts: the last answer, or the last change of one that is frozen.

        A slow meter may be silent for one refresh.
        """
        if self.is_frozen:
            return self._changed_at_s
        return max(heard_at_s, self._changed_at_s + self.silence_s)

    def setpoint_w(self, committed_w: float) -> float:
        """Return what the plant should give while the meter's answers are not acted on."""
        return committed_w if self._question is None else self._question.setpoint_w

    # ---- what happens

    def is_change(self, reading: MeterReading) -> bool:
        """Tell whether an answer differs from the one before in anything that was measured."""
        return self._told is None or measured(reading) != measured(self._told)

    def add_reading(self, reading: MeterReading, output: Output) -> MovementVerdict | None:
        """Take an answer of the meter, and what the plant gave meanwhile; return a verdict when one is due."""
        self.has_changed = self.is_change(reading)
        before, self._told = self._told, reading
        self._at_s = reading.at_s
        has_moved = before is None or _powers_w(reading) != _powers_w(before)
        verdict = None
        if self.has_changed:
            if before is not None:
                self._between_s.append(self._at_s - self._changed_at_s)
            self._changed_at_s = self._at_s
            self.is_frozen = False
        if has_moved:
            self._moved_at_s = self._at_s
            self._begin(output)
        if self._question is not None:
            is_answered = has_moved or (self.has_changed and self._question.is_of_all)
            verdict = MovementVerdict.ANSWERED if is_answered else self._judge(self._question, output)
        elif not has_moved:
            self._compare(output)
        self.is_new = self.has_changed or self._at_s - self._new_at_s >= max(self.silence_s, QUICK_S)
        if self.is_new:
            self._new_at_s = self._at_s
        if verdict is not None:
            self._end(verdict)
        return verdict

    def ask(self, setpoint_w: float, output: Output, made_within_s: float) -> None:
        """Begin a question: the plant goes to `setpoint_w`, which its inverters' data must show in `made_within_s`."""
        self._question = _Question(
            setpoint_w,
            output.committed_w,
            output.measured_w,
            self._at_s + made_within_s,
            is_of_all=self._at_s - self._changed_at_s > self._patience_s,
        )

    def withdraw(self) -> None:
        """Give up a question: the plant was told otherwise."""
        self._question = None

    def corrected(self, output: Output) -> None:
        """Note that the model of the output was corrected: what it was before is no step."""
        self._begin(output)

    def _begin(self, output: Output) -> None:
        low_w, high_w = output.visible_w
        # What is on its way may have come sooner than modelled, so it is no step from here on.
        self._base_w = min(low_w, output.committed_w), max(high_w, output.committed_w)
        self._base_at_s = self._at_s
        self._base_shifted_w = output.shifted_w
        self._measured_w = (math.inf, -math.inf)
        self._made_at_s = None
        self._is_due = False

    def _compare(self, output: Output) -> None:
        """See whether our output has changed while the powers have not."""
        if self._changed_at_s <= self._base_at_s:
            low_w, high_w = (
                base_w + now_w - then_w
                for base_w, now_w, then_w in zip(self._base_w, output.shifted_w, self._base_shifted_w, strict=True)
            )
            self._is_due |= abs(_step_w((low_w, high_w), output.visible_w)) >= DUE_W
        if output.measured_at_s <= self._base_at_s:
            return
        lowest_w, highest_w = self._measured_w
        self._measured_w = lowest_w, highest_w = min(lowest_w, output.measured_w), max(highest_w, output.measured_w)
        self._is_due |= highest_w - lowest_w >= DUE_W
        made_w = _step_w(self._base_w, (output.measured_w, output.measured_w))
        step_w = _step_w(self._base_w, (output.committed_w, output.committed_w))
        if self._made_at_s is None and abs(step_w) >= NOTICED_W and made_w / step_w >= MADE_SHARE:
            self._made_at_s = self._at_s

    def _judge(self, question: _Question, output: Output) -> MovementVerdict | None:
        made = (output.measured_w - question.measured_w) / (question.setpoint_w - question.committed_w)
        if question.made_at_s is None and made >= MADE_SHARE:
            question.made_at_s = self._at_s
        if question.made_at_s is None:
            return MovementVerdict.NOT_ASKED if self._at_s >= question.give_up_at_s else None
        if self._at_s - question.made_at_s < self._patience_s:
            return None
        return MovementVerdict.FROZEN if question.is_of_all else MovementVerdict.BLIND

    def _end(self, verdict: MovementVerdict) -> None:
        self.verdict = verdict
        self.is_frozen = verdict is MovementVerdict.FROZEN
        self._ask_from_s = self._at_s + PAUSES_S.get(verdict, 0.0)
        self._question = None

    @property
    def _patience_s(self) -> float:
        """How long after a step the meter must have changed."""
        return self.refresh_s + SLACK_S

    @property
    def _learned_s(self) -> float | None:
        """The time that a quarter of the changes beat: a load that stands still makes the others late."""
        if len(self._between_s) < LEAST_CHANGES:
            return None
        return min(max(sorted(self._between_s)[len(self._between_s) // 4], FASTEST_S), SLOWEST_S)


PAUSES_S = {MovementVerdict.ANSWERED: AGAIN_S, MovementVerdict.NOT_ASKED: RETRY_S}
"""How long the meter is not asked again, by how the last question ended."""


def _powers_w(reading: MeterReading) -> tuple[float | None, ...]:
    return reading.power_w, *(phase.power_w if phase is not None else None for phase in reading.phases)


def _step_w(from_w: tuple[float, float], to_w: tuple[float, float]) -> float:
    """Return by how much an output has changed at least when it is known within bounds only."""
    if to_w[0] > from_w[1]:
        return to_w[0] - from_w[1]
    return min(to_w[1] - from_w[0], 0.0)
