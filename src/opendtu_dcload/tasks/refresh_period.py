"""How long a meter takes from one refresh of its values to the next, from when its answers were new.

All times are monotonic in s.
"""

from __future__ import annotations

import math
from collections import deque

GUESSED = 0.05
"""How far a period that was not measured may be off (standard deviation, as a share): an estimate."""
JITTER_S = 0.06
"""How far a refresh may be from where it was found (standard deviation): an estimate."""
DRIFT = 0.0005
"""How far the period may wander from one refresh that is found to the next (standard deviation, as a share)."""
OUTLIER = 3.0
"""What is off by more standard deviations than this is no measurement of the period ..."""
DOUBT = 2.0
"""... but makes what is known of it so much less sure."""
SOON = 3
"""Refreshes that are found again and again after so few others are where the period does not put them."""
LEAST_CHANGES, MOST_CHANGES = 4, 16
OTHER = 0.3
"""When the answers are new so much more rarely, or more often, than by the period, it is another one."""
MISSED = 1.6
"""From this share of the usual time on a refresh had nothing new."""
RARE = 1.5
"""Answers that are new more rarely than every so many requests tell the period themselves."""


class RefreshPeriod:
    """Learns the period; until then it is the interval at which the meter is asked.

    Args:
        interval_s: how often it is asked.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._between_s: deque[float] = deque(maxlen=MOST_CHANGES)
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.value_s = self._interval_s
        """The time between two refreshes."""
        self.unsure_s = GUESSED * self.value_s
        """Its standard deviation."""
        self._found_s: float | None = None
        self._soon = 0
        self._changed_s: float | None = None
        self._between_s.clear()

    def add_refresh(self, at_s: float, count: int) -> None:
        """Take when a refresh was, to `JITTER_S`, and the how many-th it is after the one before that was taken."""
        before_s, self._found_s = self._found_s, at_s
        if before_s is None or count < 1:
            return
        self._soon = self._soon + 1 if count <= SOON else 0
        if self._soon >= 2:
            self.unsure_s = GUESSED * self.value_s
        known = self.unsure_s**2 + (DRIFT * self.value_s) ** 2
        measured = 2 * (JITTER_S / count) ** 2
        off_s = (at_s - before_s) / count - self.value_s
        if abs(off_s) > OUTLIER * math.sqrt(known + measured):
            self.unsure_s = min(DOUBT * self.unsure_s, GUESSED * self.value_s)
            return
        self.value_s += off_s * known / (known + measured)
        self.unsure_s = math.sqrt(known * measured / (known + measured))

    def add_change(self, asked_s: float) -> bool:
        """Take when an answer that was new was asked for; return whether the period is another one than before."""
        before_s, self._changed_s = self._changed_s, asked_s
        if before_s is None:
            return False
        self._between_s.append(asked_s - before_s)
        if len(self._between_s) < LEAST_CHANGES:
            return False
        # Values that stay the same over a refresh make many of the times too long.
        usual_s = sorted(self._between_s)[len(self._between_s) // 4]
        near_s = [s for s in self._between_s if s <= MISSED * usual_s]
        unsure_s = usual_s * self._interval_s / sum(near_s)
        is_other = abs(usual_s - self.value_s) > OTHER * self.value_s
        if is_other or (usual_s > RARE * self._interval_s and unsure_s < self.unsure_s):
            self.value_s = sum(near_s) / len(near_s)
            self.unsure_s = unsure_s
        if is_other:
            self._found_s = None
        return is_other

    def lose(self) -> None:
        """Note that the meter was not heard for long: what comes next is not counted from what was before."""
        self._found_s = self._changed_s = None
