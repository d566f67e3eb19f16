"""How fast the load drifts: sun, clouds and heat pumps move it evenly, and what does so goes on for a while.

A line is laid through the readings since the last step. Its slope counts only where it is clear, for noise has none, and
only as far as such slopes went on lately.
"""

from __future__ import annotations

import math
from collections import deque

SEEN_S = 15.0
"""The line goes through the readings of this time: an estimate, a few times the lag of a quick plant."""
STEP_W = 30.0
"""A reading that is this far from the line is a step, with which a new line begins: an estimate, a lamp or more."""
FEWEST = 4
"""Through fewer readings there is always a line that fits."""
EXACT = 300.0
"""Variance."""
CLEAR = 3.0
"""A slope counts from so many times its standard error on: an estimate."""
READING_W = 3.0
"""Standard error of a reading that is known exactly: an estimate."""
CHECK_S = 5.0
"""A slope is compared with what came in this time."""
FORGET_S = 600.0
"""What came so long ago counts for 1/e: an estimate."""
DOUBT_W = 20.0
"""Half of a slope is believed until as much drift as this was seen: an estimate."""


class Drift:
    """The line through the latest readings of the load, and what became of earlier ones."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, float, float]] = deque()
        """Time in s, load in W and its variance in W²."""
        self._line = (0.0, 0.0, 0.0)
        """Time in s, load there in W, and slope in W/s of the line."""
        self._steps_w = 0.0
        """All steps so far, up and down added."""
        self._claims: deque[tuple[float, float, float]] = deque()
        """When a slope was seen, the load without steps in W, and the slope in W/s."""
        self._at_s = -math.inf
        self._claimed, self._came = DOUBT_W**2, DOUBT_W**2 / 2
        self.slope_w = 0.0
        """By how many W a second the load drifts; 0 where that is not clear."""
        self.drifted_w = 0.0
        """All drift so far, up and down added."""

    def add_load(self, at_s: float, low_w: float, high_w: float) -> None:
        """Take the load, which lies between `low_w` and `high_w`."""
        expected_w = self._expected_w(at_s) if self._readings else low_w
        load_w = min(max(expected_w, low_w), high_w)
        if abs(load_w - expected_w) > STEP_W:
            last = self._readings[-1]
            load_w = (low_w + high_w) / 2
            self._readings.clear()
            self._steps_w += load_w - last[1]
            is_exact = last[2] < EXACT and high_w - low_w < EXACT**0.5
            self._line = (at_s, load_w, (load_w - last[1]) / max(at_s - last[0], 1.0) if is_exact else 0.0)
        elif not self._readings:
            load_w = (low_w + high_w) / 2
            self._line = (at_s, load_w, 0.0)
        self._readings.append((at_s, load_w, READING_W**2 + (high_w - low_w) ** 2))
        while self._readings[0][0] < at_s - SEEN_S:
            self._readings.popleft()
        slope_w = self._fit() if len(self._readings) > 2 else 0.0
        if len(self._readings) < FEWEST:
            slope_w = 0.0
        self._judge(at_s)
        if high_w - low_w < EXACT**0.5:
            self._check(at_s, load_w - self._steps_w)
            if slope_w:
                self._claims.append((at_s, load_w - self._steps_w, slope_w))
        self.slope_w = slope_w * self.belief

    @property
    def belief(self) -> float:
        return min(max(self._came / self._claimed, 0.0), 1.0)

    def reset(self) -> None:
        """Forget everything: the load was not seen for a while."""
        self._readings.clear()
        self._claims.clear()
        self.slope_w = 0.0

    def _judge(self, at_s: float) -> None:
        share = math.exp((self._at_s - at_s) / FORGET_S)
        self.drifted_w += self.slope_w * min(at_s - self._at_s, CHECK_S)
        self._at_s = at_s
        self._claimed = DOUBT_W**2 + (self._claimed - DOUBT_W**2) * share
        self._came = DOUBT_W**2 / 2 + (self._came - DOUBT_W**2 / 2) * share

    def _check(self, at_s: float, smooth_w: float) -> None:
        while self._claims and self._claims[0][0] <= at_s - CHECK_S:
            from_s, from_w, slope_w = self._claims.popleft()
            claimed_w = slope_w * (at_s - from_s)
            if at_s - from_s < 2 * CHECK_S:
                self._claimed += claimed_w**2
                self._came += claimed_w * (smooth_w - from_w)

    def _expected_w(self, at_s: float) -> float:
        from_s, from_w, slope_w = self._line
        return from_w + slope_w * (at_s - from_s)

    def _fit(self) -> float:
        weights = [1 / variance for _, _, variance in self._readings]
        total = sum(weights)
        mean_s = sum(w * at_s for w, (at_s, _, _) in zip(weights, self._readings, strict=True)) / total
        mean_w = sum(w * load_w for w, (_, load_w, _) in zip(weights, self._readings, strict=True)) / total
        spread = sum(w * (at_s - mean_s) ** 2 for w, (at_s, _, _) in zip(weights, self._readings, strict=True))
        if spread == 0:
            return 0.0
        slope_w = sum(
            w * (at_s - mean_s) * (load_w - mean_w)
            for w, (at_s, load_w, _) in zip(weights, self._readings, strict=True)
        ) / spread
        off = sum(
            w * (load_w - mean_w - slope_w * (at_s - mean_s)) ** 2
            for w, (at_s, load_w, _) in zip(weights, self._readings, strict=True)
        ) / (len(weights) - 2)
        self._line = (mean_s, mean_w, slope_w)
        return slope_w if abs(slope_w) > CLEAR * (max(off, 1.0) / spread) ** 0.5 else 0.0
