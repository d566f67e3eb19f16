"""What a command costs: the radio and the inverters endure only so many, so each has to save more than its price."""

from __future__ import annotations

import math

USUAL_PER_H = 300
USUAL_PRICE_WS = 600.0
"""Waste that a command must save, in W x s, with a budget of 300 an hour: chosen on the tuning cases of `bench`."""
BURST = 0.15
"""Share of the hour's budget that may be spent at once; the rest flows in evenly."""
SCARCE = 0.5
"""From this share of the burst on a rise costs more, for it will need a fall too ..."""
SCARCITY = 1.5
"""... growing with this exponent."""
LAST = 0.9
"""From this share on nothing is raised any more, nor (unless the burst is tiny) without room for its fall."""
REPEATS_SHARE = 0.5
"""Share of the budget that repeated limits take at most: however many there are, changes are not starved."""
KEPT, KEPT_SHARE = 1.0, 0.05
"""So many commands, or at most this share of the burst, falls leave to limits that have to be sent again."""
GUARD_PER_H = 12
"""What guards may take beyond the budget for each inverter: a limit and a switch-off each 10 min, ..."""
GUARD_BURST = 0.5
"""... or this share of it at once."""


class Bucket:
    """Empties evenly. Who fills it only while it is not full never gets in more than `per_hour` in any hour."""

    def __init__(self, per_hour: float, burst: float, now_s: float) -> None:
        self.size = burst * per_hour
        self._leak_per_s = (1 - burst) * per_hour / 3600
        self._level = 0.0
        self._at_s = now_s

    def level(self, now_s: float) -> float:
        """Return what is in it, in commands."""
        return max(0.0, self._level - (now_s - self._at_s) * self._leak_per_s)

    def add(self, now_s: float, commands: float = 1.0) -> None:
        """Put so much in, whether it is full or not."""
        self._level, self._at_s = self.level(now_s) + commands, now_s


class Budget:
    """What one DTU may be given; how much of it is used up tells how dear the next command is."""

    def __init__(self, per_hour: int, now_s: float, inverters: int = 1) -> None:
        self._all = Bucket(per_hour, BURST, now_s)
        self._repeats = Bucket(REPEATS_SHARE * per_hour, BURST, now_s)
        self._guards = Bucket(GUARD_PER_H * inverters, GUARD_BURST, now_s)
        self._full_of_changes = self._all.size - min(KEPT, KEPT_SHARE * self._all.size)
        self._price_ws = USUAL_PRICE_WS * USUAL_PER_H / per_hour

    def may_change(self, now_s: float) -> bool:
        """Tell whether there is room for a command that changes something."""
        return self._all.level(now_s) < self._full_of_changes

    def may_repeat(self, now_s: float) -> bool:
        """Tell whether a limit may be sent again; what is beyond the repeats' share always may, and does not count."""
        return self._all.level(now_s) < self._all.size or not self._counted(now_s)

    def may_guard(self, now_s: float) -> bool:
        """Tell whether a guard may take power away beyond the budget."""
        return self._guards.level(now_s) < self._guards.size

    def spend(self, now_s: float) -> None:
        """Note a command that changes something."""
        self._all.add(now_s)

    def repeat(self, now_s: float) -> None:
        """Note a limit that is sent again."""
        counted = self._counted(now_s)
        self._repeats.add(now_s, counted)
        self._all.add(now_s, counted)

    def guard(self, now_s: float) -> None:
        """Note a command of a guard for which the budget had no room."""
        self._guards.add(now_s)

    def rise_ws(self, now_s: float) -> float:
        """Return the price of raising a limit, in W x s; infinite when the budget is used up."""
        fill = self._fill(now_s)
        for_its_fall = min(1.0, self._full_of_changes / 4)
        has_room = fill < LAST and self._all.level(now_s) < self._full_of_changes - for_its_fall
        return self._price_ws * math.exp(SCARCITY * max(0.0, fill - SCARCE)) if has_room else math.inf

    def fall_ws(self, now_s: float) -> float:
        """Return the price of lowering a limit; infinite only when there is no room."""
        return self._price_ws if self.may_change(now_s) else math.inf

    def trim_ws(self, now_s: float) -> float:
        """Return the price of correcting a small error: little while there is plenty."""
        return self._price_ws * min(1.0, math.exp(2 * self._fill(now_s)) / 3)

    def is_plenty(self, now_s: float) -> bool:
        """Tell whether commands may be spent on what can wait: two at least, for power that moves falls and rises."""
        return self._fill(now_s) < SCARCE and self._all.level(now_s) + 2 < self._full_of_changes

    def _counted(self, now_s: float) -> float:
        return min(1.0, max(self._repeats.size - self._repeats.level(now_s), 0.0))

    def _fill(self, now_s: float) -> float:
        return self._all.level(now_s) / self._all.size
