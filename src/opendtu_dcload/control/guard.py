"""What the plant may do at most, and why: the meter's age, the battery's voltage, and whether the meter answers.

Each rule is small, keeps the little it must remember, and returns a value. The strictest one wins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum

from opendtu_dcload.model import Reason

BATTERY_DELAY_S = 60.0
BATTERY_HYSTERESIS_V = 1.0
RAMP_STEPS = 4
JUDGED_STEP_W = 150.0
"""Own steps below this do not prove anything about the meter."""
ANSWER_SHARE = 0.3
"""The meter must move by this share of our step."""
MISSES = 3
RESTLESS_SHARE = 0.5
"""Movement to and fro beyond this share of our step is the house's own: nothing can be told from it ..."""
IMPLAUSIBLE_SHARE = 1.8
"""... nor from a change that is so much larger than our step."""
RETRY_FIRST_S = 60.0
RETRY_LAST_S = 600.0
"""After this time the plant tries again whether the meter answers; each further retry comes later."""
JUDGED_WITHIN_S = 60.0
"""The load of a house changes too much in a longer time to judge anything."""


class Rung(IntEnum):
    """How far down the ladder a silent meter has taken the plant."""

    LIVE = 0
    HOLD = 1
    RAMP = 2
    MINIMUM = 3
    OFF = 4


@dataclass(frozen=True, slots=True)
class Ladder:
    """Ages in s of the last meter reading at which the plant does less."""

    hold_s: float = 5.0
    ramp_s: float = 15.0
    minimum_s: float = 60.0
    off_s: float = 300.0

    def rung(self, age_s: float) -> Rung:
        """Return how far down an age takes the plant."""
        bounds_s = (self.hold_s, self.ramp_s, self.minimum_s, self.off_s)
        return Rung(sum(age_s >= bound_s for bound_s in bounds_s))

    def ramp_w(self, age_s: float, from_w: float, to_w: float) -> float:
        """Return the highest output on the way from `from_w` to `to_w`, in a few equal steps (each costs commands)."""
        step_s = (self.minimum_s - self.ramp_s) / RAMP_STEPS
        done = min(math.floor((age_s - self.ramp_s) / step_s) + 1, RAMP_STEPS)
        return from_w + (min(to_w, from_w) - from_w) * done / RAMP_STEPS


class BatteryFloor:
    """The voltage below which the battery must not be drawn from."""

    def __init__(self, minimum_v: float) -> None:
        self._minimum_v = minimum_v
        self._below_since_s: float | None = None
        self.is_low = False

    def see(self, now_s: float, voltages_v: Sequence[float]) -> bool:
        """Take the fresh DC voltages of the inverters; return True while the plant must be off."""
        if not voltages_v:
            return self.is_low
        lowest_v = min(voltages_v)
        if lowest_v >= self._minimum_v:
            self._below_since_s = None
            if lowest_v >= self._minimum_v + BATTERY_HYSTERESIS_V:
                self.is_low = False
        elif self._below_since_s is None:
            self._below_since_s = now_s
        elif now_s - self._below_since_s >= BATTERY_DELAY_S:
            self.is_low = True
        return self.is_low


class Answer(Enum):
    """What the meter did after own steps."""

    SEEN = "seen"
    MISSED = "missed"
    REVERSED = "reversed"


class ResponseGuard:
    """Checks that the meter moves against our own steps.

    A suspicion takes the plant to its minimum; that fall is judged too, so a load that happened to hide or to mirror
    our steps costs some seconds, while a meter that really is blind or reversed keeps the plant down.
    """

    def __init__(self) -> None:
        self.suspicion: Reason | None = None
        self.is_confirmed = False
        self._misses = 0
        self._since_s = 0.0
        self._retry_s = RETRY_FIRST_S
        self._last: tuple[float, float] | None = None
        self._step: _OwnStep | None = None

    def stepped(self, visible_w: float) -> None:
        """Note that a limit was sent while the last reading contained an output of `visible_w`."""
        if self._step is None and self._last is not None:
            self._step = _OwnStep(*self._last, visible_w)

    def see(self, at_s: float, grid_w: float, visible_w: tuple[float, float], committed_w: float) -> Answer | None:
        """Take a reading; return a verdict when one is due.

        Args:
            at_s: monotonic time of the reading.
            grid_w: grid power, import positive.
            visible_w: lowest and highest output that the reading may contain.
            committed_w: output when everything commanded has arrived.
        """
        if self._step is not None and self._last is not None:
            self._step.moved_w += abs(grid_w - self._last[1])
        self._last = (at_s, grid_w)
        if self.suspicion and at_s - self._since_s >= self._retry_s:
            self._retry_s = min(2 * self._retry_s, RETRY_LAST_S)
            self._clear()
        if self._step is not None and at_s - self._step.at_s > JUDGED_WITHIN_S:
            self._step = None
        is_visible = visible_w[1] - visible_w[0] <= 1 and abs(committed_w - visible_w[0]) <= 1
        if self._step is None or not is_visible:
            return None
        if abs(visible_w[0] - self._step.visible_w) < JUDGED_STEP_W:
            return None
        answer = self._step.judge(grid_w, visible_w[0])
        self._step = None
        if answer is not None:
            self._take(answer, at_s)
        return answer

    def reset(self) -> None:
        """Forget a step that can no longer be judged (the meter was silent)."""
        self._step = None

    def _take(self, answer: Answer, at_s: float) -> None:
        if answer is Answer.SEEN:
            self._clear()
            self._retry_s = RETRY_FIRST_S
            return
        self._misses += 1
        if self.suspicion:
            self.is_confirmed = True
        elif answer is Answer.REVERSED:
            self.suspicion, self._since_s = Reason.METER_REVERSED, at_s
        elif self._misses >= MISSES:
            self.suspicion, self._since_s = Reason.METER_BLIND, at_s

    def _clear(self) -> None:
        self.suspicion = None
        self.is_confirmed = False
        self._misses = 0
        self._step = None


@dataclass(slots=True)
class _OwnStep:
    """Our steps since `at_s`, and how the meter moved meanwhile."""

    at_s: float
    grid_w: float
    visible_w: float
    moved_w: float = 0.0
    """All movement of the meter since, up and down added."""

    def judge(self, grid_w: float, visible_w: float) -> Answer | None:
        """Return what the meter did, None when the house moved too much to tell."""
        step_w = visible_w - self.visible_w
        change_w = grid_w - self.grid_w
        if self.moved_w - abs(change_w) > RESTLESS_SHARE * abs(step_w):
            return None
        answered = -change_w / step_w
        if abs(answered) > IMPLAUSIBLE_SHARE:
            return None
        if answered >= ANSWER_SHARE:
            return Answer.SEEN
        return Answer.REVERSED if answered <= -ANSWER_SHARE else Answer.MISSED
