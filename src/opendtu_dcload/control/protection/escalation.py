"""Whether the plant does what a battery guard demands, and what follows when it does not."""

from __future__ import annotations

import math
from collections import deque
from enum import IntEnum

from opendtu_dcload.control.inverter.output_rules import tolerated_w

OFF_W = 10.0
"""What a plant that is off may still seem to give: an estimate of the inverters' noise together."""
LIMIT_WAIT_S = 10.0
"""How long the output must have been too high: two measurements of a DTU that polls every 5 s."""
RETRY_S = 600.0
"""When the plant has obeyed for this long, the next demand is tried with limits alone again: an estimate."""
LEAST_SETTLE_S = 30.0
"""At least this long a command may take to show, whatever was learned of the inverters: an estimate."""


class Escalation(IntEnum):
    """The means that are used, the mildest first."""

    LIMIT = 0
    POWER_OFF = 1
    RELAY = 2
    """The relay is to be opened, and the user to be told."""


class Escalator:
    """Compares the measured output with what was demanded, and goes one step further when it stays too high."""

    def __init__(self, settle_s: float) -> None:
        """Take the longest time in s from a command to a measurement of its effect."""
        self._settle_s = max(settle_s, LEAST_SETTLE_S)
        self._demands: deque[tuple[float, float]] = deque([(-math.inf, math.inf)])
        self._disobeyed_since_s: float | None = None
        self._obeyed_since_s: float | None = None
        self.step = Escalation.LIMIT

    def update(self, now_s: float, demand_w: float | None, output_w: float | None) -> Escalation:
        """Take what is demanded now and what is measured, W AC; return the step that holds.

        An unknown output is suspicious only when nothing at all may flow.

        Args:
            now_s: monotonic time.
            demand_w: highest output that a battery guard allows; None = no guard demands anything.
            output_w: sum of the inverters' output; None = at least one of them may give what nobody sees.
        """
        allowed_w = self._allowed_w(now_s, math.inf if demand_w is None else demand_w)
        if demand_w is None:
            self._disobeyed_since_s = self._obeyed_since_s = None
            self.step = Escalation.LIMIT
            return self.step
        obeyed_w = tolerated_w(allowed_w) if allowed_w > 0 else OFF_W
        is_obeyed = allowed_w > 0 if output_w is None else output_w <= obeyed_w
        if is_obeyed:
            self._disobeyed_since_s = None
            self._obeyed_since_s = now_s if self._obeyed_since_s is None else self._obeyed_since_s
            if now_s - self._obeyed_since_s >= RETRY_S:
                self.step = Escalation.LIMIT
            return self.step
        self._obeyed_since_s = None
        self._disobeyed_since_s = now_s if self._disobeyed_since_s is None else self._disobeyed_since_s
        if self.step < Escalation.RELAY and now_s - self._disobeyed_since_s >= self._wait_s():
            self._disobeyed_since_s = now_s
            self.step = Escalation(self.step + 1)
        return self.step

    def _allowed_w(self, now_s: float, demand_w: float) -> float:
        """Return the highest demand whose effect may still be on its way."""
        if demand_w != self._demands[-1][1]:
            self._demands.append((now_s, demand_w))
        while len(self._demands) > 1 and self._demands[1][0] <= now_s - self._settle_s:
            self._demands.popleft()
        return max(demand_w for _, demand_w in self._demands)

    def _wait_s(self) -> float:
        return LIMIT_WAIT_S if self.step is Escalation.LIMIT else 2 * self._settle_s  # power off is sent twice in it
