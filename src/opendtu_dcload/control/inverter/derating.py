"""What an inverter that gets hot may still be given."""

from __future__ import annotations

import math

RANGE_K = 10.0
"""So far above the temperature where it begins, only the minimum is left: an estimate."""
HYSTERESIS_K = 3.0
"""What was taken away is given back so far below: an estimate of how much an inverter cools at once with less power."""
STEP_K = 0.5
"""A finer step is not worth a command: 5 % of the range."""


class Derating:
    """Lowers one inverter's highest limit as its temperature rises, and gives it back 3 K later."""

    def __init__(self, begin_c: float) -> None:
        self._begin_c = begin_c
        self._held_c = -math.inf

    def add_temperature(self, temperature_c: float | None) -> None:
        """Take a fresh temperature; None = the inverter tells none."""
        if temperature_c is None:
            self._held_c = -math.inf
        else:
            self._held_c = max(temperature_c, min(self._held_c, temperature_c + HYSTERESIS_K))

    def ceiling_w(self, minimum_w: float, maximum_w: float) -> float:
        """Return the highest limit in W that it may be given now."""
        over_k = min(max(self._held_c - self._begin_c, 0.0), RANGE_K)
        return maximum_w - (maximum_w - minimum_w) * math.ceil(over_k / STEP_K) * STEP_K / RANGE_K
