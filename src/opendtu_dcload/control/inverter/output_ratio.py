"""How much of its limit one inverter gives, and whether it is the limit that rules it at all.

With half of the inputs connected half of the limit comes out (OpenDTU#758, #1253). But a hub, a charge controller or
heat may hold an output as well, and then nothing follows from it: a ratio far from the known one is believed only when
the output followed two limits of ours that were far apart.
"""

from __future__ import annotations

from collections import deque

from opendtu_dcload.control.inverter.output_rules import can_learn_from, tolerated_w

LOWEST, HIGHEST = 0.3, 1.1
"""Half of the limit comes out with half of the inputs connected; meters and inverters disagree by some percent."""
FILTER = 0.3
"""A new measurement counts this much against the ones before: an estimate that settles within some steps."""
NEAR_SHARE, NEAR_W = 0.25, 30.0
"""So far the output may be from what is expected, and the limit still rules: early HM give 80 % (OpenDTU#35)."""
APART_W = 50.0
"""Two limits so far apart tell whether the output follows them."""
AGREES = 0.2
"""The output's change per change of the limit agrees with its ratio to the limit within this."""
REMEMBERED = 8
HELD_SAMPLES = 3
"""So many measurements in a row below every limit that may rule, and something else holds the output."""
ROOM_SHARE, ROOM_W = 2.0, 100.0
"""A held inverter is left this limit: it may be let go at any moment, and then gives no more than that."""


class Ratio:
    """Output / limit, learned from settled measurements of our own acknowledged limits."""

    def __init__(self, rated_w: float) -> None:
        self.rated_w = rated_w
        self.value = 1.0
        self.held_w: float | None = None
        """Output in W at which something else holds the inverter; None = its limit rules."""
        self._settled: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)
        """The last limits and what came of each once it had settled, in W."""
        self._below = 0

    @property
    def ceiling_w(self) -> float | None:
        """Highest limit in W that is of use while the output is held; None while it is not."""
        return None if self.held_w is None else ROOM_SHARE * self.held_w + ROOM_W

    def look_for_hold(self, lowest_w: float, output_w: float) -> bool:
        """Take a measurement and the lowest limit of ours that may rule by now, in W; return whether a hold began.

        Commands follow each other too fast for every measurement to be settled; one far below all of them counts.
        """
        self._below = self._below + 1 if output_w < self._expected_w(lowest_w) - self._near_w(lowest_w) else 0
        if self._below < HELD_SAMPLES:
            return False
        is_new = self.held_w is None or abs(self.held_w - output_w) > NEAR_W
        self.held_w = output_w
        return is_new

    def add(self, limit_w: float, output_w: float) -> bool:
        """Take a settled measurement under a limit of ours, in W; return whether anything learned has changed."""
        before = self.value, self.held_w
        if self._settled and self._settled[-1][0] == limit_w:
            self._settled.pop()
        self._settled.append((limit_w, output_w))
        if self._expected_w(limit_w) + self._near_w(limit_w) < output_w <= tolerated_w(limit_w):
            self.value = min(max(output_w / limit_w, LOWEST), HIGHEST)  # nothing holds an output up: it follows
            self.forget_hold()
        elif abs(output_w - self._expected_w(limit_w)) <= self._near_w(limit_w):
            self._follows()
            if can_learn_from(limit_w, self.rated_w):
                self._approach(output_w / limit_w)
        elif can_learn_from(limit_w, self.rated_w) and self._learns(limit_w, output_w):
            self._follows()
        return before != (self.value, self.held_w)

    def forget_hold(self) -> None:
        """The inverter was off or away: what held it may be gone."""
        self._follows()
        self._settled.clear()

    def _expected_w(self, limit_w: float) -> float:
        return self.value * limit_w

    def _near_w(self, limit_w: float) -> float:
        return max(NEAR_SHARE * self._expected_w(limit_w), NEAR_W)

    def _follows(self) -> None:
        self._below = 0
        self.held_w = None

    def _approach(self, measured: float) -> None:
        self.value += FILTER * (min(max(measured, LOWEST), HIGHEST) - self.value)

    def _learns(self, limit_w: float, output_w: float) -> bool:
        """Tell whether the output followed the last step between accurate limits, if at another ratio; learn that."""
        apart = [
            (w, came_w)
            for w, came_w in self._settled
            if abs(w - limit_w) >= APART_W and can_learn_from(w, self.rated_w)
        ]
        if not apart:
            return False
        ratio = output_w / limit_w
        slope = (output_w - apart[-1][1]) / (limit_w - apart[-1][0])
        if slope < LOWEST or abs(slope - ratio) > AGREES:
            return False
        self.value = min(max(ratio, LOWEST), HIGHEST)
        return True
