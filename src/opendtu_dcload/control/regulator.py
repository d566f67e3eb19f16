"""From a meter reading to the output the plant should give.

A PI regulator on the predicted error. What is commanded and not yet visible is taken out first (a Smith predictor: the
caller gives the lowest and the highest output that the meter may have seen). Large errors are answered at once by their
full size, downwards without any filter, upwards only when the load has stayed up for a while; small ones are integrated
until they are worth a command.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """How eagerly the regulator acts. The defaults were chosen on four measured houses, see `simulate`."""

    fall_band_w: float = 25.0
    """Smallest excess answered at once."""
    rise_band_w: float = 40.0
    """Smallest shortage answered as a step, after the hold."""
    drift_ws: float = 250.0
    """Error x time of a small error that is worth a command, import side; export counts double."""
    lag_s: float = 5.0
    """From a decision to its effect at the meter; the price of a rise that was wrong."""


class Regulator:
    """Sees one reading after the other and says what the plant should give."""

    def __init__(self, tuning: Tuning | None = None) -> None:
        self.tuning = tuning or Tuning()
        self.hold = RiseHold(self.tuning.lag_s)
        self._drift_ws = 0.0
        self._drift_s = 0.0
        self._recent: deque[tuple[float, float]] = deque()
        self._last_s = -math.inf

    def step(
        self,
        at_s: float,
        grid_w: float,
        visible_w: tuple[float, float],
        committed_w: float,
        target_w: float,
        limits_w: tuple[float, float],
    ) -> float | None:
        """Return what the plant should give from now on, in W; None = what is already commanded is right.

        Args:
            at_s: monotonic time of the reading.
            grid_w: grid power, import positive.
            visible_w: lowest and highest output that the reading may contain.
            committed_w: output when everything commanded has arrived.
            target_w: grid power to hold.
            limits_w: lowest and highest output that may be asked for (anti-windup: no error is integrated beyond them).
        """
        dt_s = min(max(at_s - self._last_s, 0.0), 5.0)
        self._last_s = at_s
        floor_w, ceiling_w = limits_w
        low_w = grid_w + visible_w[0] - target_w
        high_w = grid_w + visible_w[1] - target_w
        self.hold.see(at_s, low_w, committed_w)
        self._recent.append((at_s, low_w))
        hold_s = self.hold.wait_s()
        while self._recent and self._recent[0][0] < at_s - max(hold_s, 1.0) - 0.05:
            self._recent.popleft()

        if high_w < committed_w - self.tuning.fall_band_w and committed_w > floor_w + 1:
            return self._change(high_w, floor_w, ceiling_w)
        held_w = min(w for _, w in self._recent)
        covered_s = at_s - self._recent[0][0]
        if (
            held_w > committed_w + self.tuning.rise_band_w
            and covered_s >= hold_s - 0.05
            and committed_w < ceiling_w - 1
        ):
            return self._change(held_w, floor_w, ceiling_w)
        return self._integrate(low_w, high_w, committed_w, dt_s, limits_w)

    def reset(self) -> None:
        """Forget what was integrated and held back: the plant was told otherwise."""
        self._drift_ws = self._drift_s = 0.0
        self._recent.clear()

    def _change(self, setpoint_w: float, floor_w: float, ceiling_w: float) -> float:
        self._drift_ws = self._drift_s = 0.0
        return min(max(setpoint_w, floor_w), ceiling_w)

    def _integrate(
        self, low_w: float, high_w: float, committed_w: float, dt_s: float, limits_w: tuple[float, float]
    ) -> float | None:
        error_w = low_w - committed_w if low_w > committed_w else min(high_w - committed_w, 0.0)
        if abs(error_w) > self.tuning.rise_band_w:
            return None
        self._drift_ws += error_w * dt_s
        self._drift_s += dt_s
        floor_w, ceiling_w = limits_w
        if (self._drift_ws > 0 and committed_w >= ceiling_w - 1) or (self._drift_ws < 0 and committed_w <= floor_w + 1):
            self._drift_ws = self._drift_s = 0.0
        mean_w = self._drift_ws / self._drift_s if self._drift_s else 0.0
        worth_ws = self.tuning.drift_ws if mean_w > 0 else self.tuning.drift_ws / 2
        if abs(self._drift_ws) < worth_ws or abs(mean_w) < 2:
            return None
        return self._change(committed_w + mean_w, floor_w, ceiling_w)


class RiseHold:
    """How long a higher load must have lasted before the plant follows it.

    Following a pulse costs export for one lag when it ends; not following costs import while it lasts. Which is cheaper
    depends on how long such pulses last in this house now: the wait is the one that would have been cheapest for the
    last ones seen.
    """

    WAITS_S = (1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 18.0, 26.0)
    PRIOR_S = (2.0, 60.0, 300.0)
    """Durations assumed before any were seen: a spike, a kettle, an oven."""
    KEEP = 12
    FORGET_S = 900.0
    PULSE_W = 100.0

    def __init__(self, lag_s: float) -> None:
        self._lag_s = lag_s
        self._durations: deque[tuple[float, float]] = deque(maxlen=self.KEEP)
        self._level_w = 0.0
        self._since_s: float | None = None
        self._wait_s = self._best(list(self.PRIOR_S))

    def wait_s(self) -> float:
        """Return the hold in s that suits the loads seen lately."""
        return self._wait_s

    def see(self, at_s: float, needed_w: float, committed_w: float) -> None:
        """Take the output that the load asks for and the one commanded; notes when a pulse begins and ends."""
        if self._since_s is None:
            if needed_w > committed_w + self.PULSE_W:
                self._since_s = at_s
                self._level_w = committed_w + self.PULSE_W / 2
            return
        if needed_w < self._level_w:
            self._note(at_s, at_s - self._since_s)
        elif at_s - self._since_s > 60:
            self._note(at_s, 300.0)

    def _note(self, at_s: float, duration_s: float) -> None:
        self._since_s = None
        self._durations.append((at_s, duration_s))
        while self._durations and self._durations[0][0] < at_s - self.FORGET_S:
            self._durations.popleft()
        self._wait_s = self._best([*self.PRIOR_S, *(d for _, d in self._durations)])

    def _best(self, durations_s: list[float]) -> float:
        return min(self.WAITS_S, key=lambda wait_s: sum(self._cost(wait_s, d) for d in durations_s))

    def _cost(self, wait_s: float, duration_s: float) -> float:
        """Return the waste per W of one pulse in s: import counts once, export twice."""
        if duration_s <= wait_s:
            return duration_s
        followed_s = wait_s + self._lag_s
        return min(followed_s, duration_s) + 2 * self._lag_s
