"""What the plant may do at most, and why: the meter's age and the battery's voltage.

Each rule is small, keeps the little it must remember, and returns a value. The strictest one wins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

BATTERY_DELAY_S = 60.0
BATTERY_HYSTERESIS_V = 1.0
RAMP_STEPS = 4


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
