"""What a command costs: the radio and the inverters endure only so many, so each has to save more than its price."""

from __future__ import annotations

import math

USUAL_PER_H = 300
USUAL_PRICE_WS = 600.0
"""Waste that a command must save, in W x s, with a budget of 300 an hour: chosen on the tuning cases of `bench`."""
BURST = 0.15
"""Share of the hour's budget that may be spent at once; the rest flows in evenly: only falls can exceed the budget."""
SCARCE = 0.5
"""From this share of the burst on a rise costs more, for it will need a fall too ..."""
SCARCITY = 1.5
"""... growing with this exponent."""
REPEATS_SHARE = 0.5
"""Share of what flows in that repeated limits take at most: however many there are, changes are not starved."""
LAST = 0.9
"""From this share on nothing is raised any more: what is left is for falls, which are never held back."""


class Budget:
    """A bucket that empties evenly; its level tells how dear the next command is."""

    def __init__(self, per_hour: int, now_s: float) -> None:
        self._leak_per_s = (1 - BURST) * per_hour / 3600
        self._size = BURST * per_hour
        self._price_ws = USUAL_PRICE_WS * USUAL_PER_H / per_hour
        self._level = 0.0
        self._at_s = self._repeated_at_s = now_s

    def spend(self, now_s: float) -> None:
        """Note a command that changes something."""
        self._add(now_s, 1.0)

    def repeat(self, now_s: float) -> None:
        """Note a limit that is sent again, or for the first time: it has to be, whatever the budget."""
        self._add(now_s, min(1.0, REPEATS_SHARE * self._leak_per_s * (now_s - self._repeated_at_s)))
        self._repeated_at_s = now_s

    def rise_ws(self, now_s: float) -> float:
        """Return the price of raising a limit, in W x s; infinite when the budget is used up."""
        fill = self._fill(now_s)
        return self._price_ws * math.exp(SCARCITY * max(0.0, fill - SCARCE)) if fill < LAST else math.inf

    @property
    def fall_ws(self) -> float:
        """Return the price of lowering a limit."""
        return self._price_ws

    def trim_ws(self, now_s: float) -> float:
        """Return the price of correcting a small error: little while there is plenty."""
        return self._price_ws * min(1.0, math.exp(2 * self._fill(now_s)) / 3)

    def is_plenty(self, now_s: float) -> bool:
        """Tell whether commands may be spent on what can wait."""
        return self._fill(now_s) < SCARCE

    def _add(self, now_s: float, commands: float) -> None:
        self._level = self._fill(now_s) * self._size + commands
        self._at_s = now_s

    def _fill(self, now_s: float) -> float:
        return max(0.0, self._level - (now_s - self._at_s) * self._leak_per_s) / self._size
