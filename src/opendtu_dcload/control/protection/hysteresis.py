"""Small memories that guards are built from: what has lasted, the latest maximum, what changes only in steps."""

from __future__ import annotations

import math
from collections import deque

RELAPSE_S = 6 * 3600.0
"""A state that is entered again within this time is a relapse, and is kept twice as long: an estimate."""


class DwellLatch:
    """A state that is entered when something bad has lasted, and left when something good has lasted.

    In between, and while nothing is known, it stays as it is.
    """

    def __init__(self, after_s: float, rest_s: float, longest_rest_s: float) -> None:
        """Take for how long the bad must last, and the good: at first, and at most after relapses."""
        self._after_s = after_s
        self._first_rest_s = self._rest_s = rest_s
        self._longest_rest_s = longest_rest_s
        self._bad_since_s: float | None = None
        self._good_since_s: float | None = None
        self._left_at_s = -math.inf
        self.is_on = False

    def update(self, now_s: float, *, is_bad: bool, is_good: bool) -> bool:
        """Take what is the case now; return whether the state holds."""
        self._bad_since_s = _since(self._bad_since_s, now_s) if is_bad else None
        self._good_since_s = _since(self._good_since_s, now_s) if is_good else None
        if not self.is_on and self._bad_since_s is not None and now_s - self._bad_since_s >= self._after_s:
            self.is_on = True
            is_relapse = now_s - self._left_at_s < RELAPSE_S
            self._rest_s = min(2 * self._rest_s, self._longest_rest_s) if is_relapse else self._first_rest_s
        elif self.is_on and self._good_since_s is not None and now_s - self._good_since_s >= self._rest_s:
            self.is_on = False
            self._left_at_s = now_s
        return self.is_on


class SlidingMax:
    """The highest value within a window of time, so that what depends on it does not flutter."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._values: deque[tuple[float, float]] = deque()

    def add(self, now_s: float, value: float) -> float:
        """Take a value and return the highest one not older than the window."""
        while self._values and self._values[-1][1] <= value:
            self._values.pop()
        self._values.append((now_s, value))
        while self._values[0][0] < now_s - self._window_s:
            self._values.popleft()
        return self._values[0][1]


class StepLimiter:
    """A share from 0 to 1 that walks in steps towards the one that is wanted: each step costs commands."""

    STEPS = 10
    """From 0 to 1: an estimate between jumps that show and commands that cost."""
    DOWN_S = 5.0
    """Time between two steps down: from 1 to 0 in less than the minute after which the guards switch off."""
    UP_S = 15.0
    """Time between two steps up, which nothing hurries: an estimate."""

    def __init__(self) -> None:
        self._step = self.STEPS
        self._moved_at_s = -math.inf

    def approach(self, now_s: float, wanted: float) -> float:
        """Take the share that is wanted now and return the one that holds."""
        wanted_step = math.floor(min(max(wanted, 0.0), 1.0) * self.STEPS + 1e-9)
        if wanted_step == self._step:
            return self.share
        is_down = wanted_step < self._step
        if now_s - self._moved_at_s >= (self.DOWN_S if is_down else self.UP_S):
            self._step += -1 if is_down else 1
            self._moved_at_s = now_s
        return self.share

    @property
    def share(self) -> float:
        """The share that holds now."""
        return self._step / self.STEPS


def _since(since_s: float | None, now_s: float) -> float:
    return now_s if since_s is None else since_s
