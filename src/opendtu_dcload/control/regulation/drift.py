"""How fast the load drifts: sun, clouds and heat pumps move it evenly, and what does so mostly goes on for seconds.

A line is laid through the readings since the last step. Its slope counts only where it is clear, for noise has none,
and only as far as such slopes have gone on lately: a load that wanders to and fro has slopes too, which lead nowhere.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

ENOUGH, SEEN_S = 12.0, 40.0
"""The line goes through the readings that tell as much as so many exact ones, at most of this time: chosen on the
synthetic cases of `bench`."""
STEP_W = 30.0
"""A reading that is this far from the line is a step, with which a new line begins: an estimate, a lamp or more."""
APART_S = 0.01
"""Readings that are closer together are one."""
LINE, FEWEST = 3, 4
"""So many readings make a line, and so many tell whether it is one: through fewer there is always one that fits."""
CLEAR = 3.0
"""A slope counts from so many times its standard error on: an estimate."""
READING_W = 3.0
"""Standard error of a load that is known exactly: an estimate."""
EXACT_W = 15.0
"""What is known to within this tells whether a slope went on: an estimate."""
CHECK_S = 5.0
"""A slope went on if it did for so long, which is about the lag: an estimate."""
FORGET_S = 600.0
"""What happened this long ago counts for 1/e: an estimate."""
DOUBT_W = 20.0
"""Half of a slope is believed until about as much drift as this has been seen: an estimate."""


@dataclass(frozen=True, slots=True)
class Line:
    """A load that drifts evenly."""

    at_s: float
    load_w: float
    slope_w: float = 0.0
    """Change in W per second."""
    error_w: float = math.inf
    """Standard error of the slope."""

    @property
    def is_clear(self) -> bool:
        """Whether it surely goes up or down."""
        return abs(self.slope_w) > CLEAR * self.error_w

    def load_at_w(self, at_s: float) -> float:
        """Return the load in W at a time."""
        return self.load_w + self.slope_w * (at_s - self.at_s)


@dataclass(frozen=True, slots=True)
class Point:
    """A load that was read, known to within `width_w`."""

    at_s: float
    load_w: float
    width_w: float = 0.0

    @property
    def is_exact(self) -> bool:
        """Whether it tells what became of a slope."""
        return self.width_w < EXACT_W

    @property
    def weight(self) -> float:
        """What it counts in a line."""
        return 1 / (READING_W**2 + self.width_w**2)


def line_through(points: deque[Point]) -> Line:
    """Return the line that fits three or more points of different times best."""
    total = sum(p.weight for p in points)
    mean_s = sum(p.weight * p.at_s for p in points) / total
    mean_w = sum(p.weight * p.load_w for p in points) / total
    spread = sum(p.weight * (p.at_s - mean_s) ** 2 for p in points)
    slope_w = sum(p.weight * (p.at_s - mean_s) * (p.load_w - mean_w) for p in points) / spread
    off = sum(p.weight * (p.load_w - mean_w - slope_w * (p.at_s - mean_s)) ** 2 for p in points) / (len(points) - 2)
    return Line(mean_s, mean_w, slope_w, math.sqrt(max(off, 1.0) / spread))


class Belief:
    """How far slopes have gone on lately."""

    def __init__(self) -> None:
        self._open: deque[tuple[Point, float]] = deque()
        """Loads without steps, and the slope there in W/s."""
        self._foretold, self._came = 0.0, 0.0
        """Drift foretold, and what came of it, both in W²."""
        self._at_s = -math.inf

    @property
    def share(self) -> float:
        """Return the share of a slope (0 to 1) that has proved true; half of it as long as nothing is known."""
        share = (self._came + DOUBT_W**2 / 2) / (self._foretold + DOUBT_W**2)
        return min(max(share, 0.0), 1.0)

    def add_point(self, point: Point, slope_w: float) -> None:
        """Take the load without its steps, and the slope that is seen there, 0 = none."""
        kept = math.exp((self._at_s - point.at_s) / FORGET_S)
        self._foretold, self._came, self._at_s = kept * self._foretold, kept * self._came, point.at_s
        while self._open and self._open[0][0].at_s <= point.at_s - CHECK_S:
            before, foretold_w = self._open.popleft()
            seconds = point.at_s - before.at_s
            if seconds < 2 * CHECK_S:
                self._foretold += (foretold_w * seconds) ** 2
                self._came += foretold_w * seconds * (point.load_w - before.load_w)
        if slope_w:
            self._open.append((point, slope_w))

    def reset(self) -> None:
        """Forget the slopes that have yet to prove true."""
        self._open.clear()


class Drift:
    """Sees one reading of the load after the other."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque()
        self._line = Line(0.0, 0.0)
        self._belief = Belief()
        self._steps_w = 0.0
        """All steps so far, up and down added."""
        self.slope_w = 0.0
        """By how many W a second the load drifts and is expected to go on; 0 where that is not clear."""
        self.drifted_w = 0.0
        """All drift so far, up and down added."""

    def add_load(self, at_s: float, low_w: float, high_w: float) -> None:
        """Take the load, which lies between `low_w` and `high_w`: the line goes on as far as these allow."""
        last = self._points[-1] if self._points else None
        if last is not None and at_s - last.at_s < APART_S:
            return
        width_w = high_w - low_w
        expected_w = self._line.load_at_w(at_s)
        point = Point(at_s, min(max(expected_w, low_w), high_w), width_w)
        if last is None or abs(point.load_w - expected_w) > STEP_W:
            point = self._begin(Point(at_s, (low_w + high_w) / 2, width_w), last)
        else:
            self.drifted_w += self.slope_w * (at_s - last.at_s)
        self._points.append(point)
        known = sum(p.weight for p in self._points) * READING_W**2
        while known > ENOUGH or self._points[0].at_s < at_s - SEEN_S:
            known -= self._points.popleft().weight * READING_W**2
        if len(self._points) >= LINE:
            self._line = line_through(self._points)
        slope_w = self._line.slope_w if len(self._points) >= FEWEST and self._line.is_clear else 0.0
        if point.is_exact:
            self._belief.add_point(Point(at_s, point.load_w - self._steps_w), slope_w)
        self.slope_w = slope_w * self._belief.share

    def reset(self) -> None:
        """Forget the line: the load was not seen for a while."""
        self._points.clear()
        self._belief.reset()
        self.slope_w = 0.0

    def _begin(self, point: Point, last: Point | None) -> Point:
        """Begin a new line; the next reading is as far off, if this is a drift so steep that it looks like a step."""
        self._points.clear()
        slope_w = 0.0
        if last is not None:
            self._steps_w += point.load_w - last.load_w
            if last.is_exact and point.is_exact:
                slope_w = (point.load_w - last.load_w) / max(point.at_s - last.at_s, 1.0)
        self._line = Line(point.at_s, point.load_w, slope_w)
        return point
