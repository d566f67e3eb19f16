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
BATTERY_REST_S = 300.0
"""How long the voltage must have recovered; twice as long after each relapse, for it rises as soon as the load goes."""
BATTERY_LONGEST_REST_S = 3600.0
BATTERY_RELAPSE_S = 6 * 3600.0
BATTERY_UNSEEN_S = 600.0
"""Without any voltage for so long, though the DTU answers, the floor cannot be guarded."""
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
        self._above_since_s: float | None = None
        self._unseen_since_s: float | None = None
        self._rest_s = BATTERY_REST_S
        self._recovered_at_s = -math.inf
        self.is_low = False

    def see(self, now_s: float, voltages_v: Sequence[float]) -> bool:
        """Take the fresh DC voltages of the inverters; return True while the plant must be off."""
        if not voltages_v:
            self._below_since_s = self._above_since_s = None
            return self.is_low
        lowest_v = min(voltages_v)
        is_below = lowest_v < self._minimum_v
        is_above = lowest_v >= self._minimum_v + BATTERY_HYSTERESIS_V
        self._below_since_s = _since(self._below_since_s, now_s) if is_below else None
        self._above_since_s = _since(self._above_since_s, now_s) if is_above else None
        if self._below_since_s is not None and now_s - self._below_since_s >= BATTERY_DELAY_S and not self.is_low:
            self.is_low = True
            is_relapse = now_s - self._recovered_at_s < BATTERY_RELAPSE_S
            self._rest_s = min(2 * self._rest_s, BATTERY_LONGEST_REST_S) if is_relapse else BATTERY_REST_S
        elif self.is_low and self._above_since_s is not None and now_s - self._above_since_s >= self._rest_s:
            self.is_low = False
            self._recovered_at_s = now_s
        return self.is_low

    def is_unseen(self, now_s: float, voltages_v: Sequence[float], *, should_be_seen: bool) -> bool:
        """Tell whether there has been no voltage for long, while there should have been one."""
        if voltages_v or not should_be_seen:
            self._unseen_since_s = None
            return False
        self._unseen_since_s = _since(self._unseen_since_s, now_s)
        return now_s - self._unseen_since_s >= BATTERY_UNSEEN_S


def _since(since_s: float | None, now_s: float) -> float:
    return now_s if since_s is None else since_s
