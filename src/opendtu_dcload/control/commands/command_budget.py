"""What a command costs: radio and inverters endure only so many, so each one has to save more than its price."""

from __future__ import annotations

import math

USUAL_PER_H = 300
"""The default of `opendtu.max_commands_per_hour`, for which the price was chosen."""
USUAL_PRICE_WS = 600.0
"""Waste that a command must save, in W x s, with the usual budget: chosen on the tuning cases of `bench`."""
LOWEST_SHARE = 0.8
"""The price with a full budget, as a share of the usual one; it is no lower, for a command keeps its radio for 2 s and
an inverter from being raised again for 5 s. A lower one would save more in the tuning cases of `bench`, but the plant
would climb in steps so small that a meter turned round is found out too late."""
BURST = 0.15
"""Share of the hour's budget that may be spent at once; the rest flows in evenly. An estimate."""
SCARCE = 0.5
"""When this share of the burst is used up, a command costs the usual price, and a rise begins to cost more, for it will
need a fall too."""
SCARCITY = 1.5
"""Beyond `SCARCE` the price of a rise grows with the used share by this exponent: an estimate."""
LAST = 0.9
"""When this share of the burst is used up, nothing is raised any more: the rest is for falls. Unless the burst is tiny,
a rise also needs room for its own fall."""
REPEATS_SHARE = 0.5
"""Share of the budget that repeated limits take at most, so that many inverters leave room for changes."""
KEPT, KEPT_SHARE = 1.0, 0.05
"""Falls leave one command, or this share of the burst if that is less, to limits that have to be repeated."""
GUARD_PER_H = 12
"""What guards may take beyond the budget, for each inverter: a limit and a switch-off every 10 min."""
GUARD_BURST = 0.5
"""Share of `GUARD_PER_H` that guards may take at once."""


class Bucket:
    """A bucket that leaks evenly: filled only while it is not full, it takes at most `per_hour` in any hour."""

    def __init__(self, per_hour: float, burst: float, now_s: float) -> None:
        self.size = burst * per_hour
        self._leak_per_s = (1 - burst) * per_hour / 3600
        self._level = 0.0
        self._at_s = now_s

    def level(self, now_s: float) -> float:
        """Return how many commands are in it."""
        return max(0.0, self._level - (now_s - self._at_s) * self._leak_per_s)

    def add(self, now_s: float, commands: float = 1.0) -> None:
        """Put commands in, whether it is full or not."""
        self._level, self._at_s = self.level(now_s) + commands, now_s


class Budget:
    """The commands that one DTU may be given; the more of them are used up, the dearer the next one is."""

    def __init__(self, per_hour: int, now_s: float, inverters: int = 1) -> None:
        self._all = Bucket(per_hour, BURST, now_s)
        self._repeats = Bucket(REPEATS_SHARE * per_hour, BURST, now_s)
        self._guards = Bucket(GUARD_PER_H * inverters, GUARD_BURST, now_s)
        self._full_of_changes = self._all.size - min(KEPT, KEPT_SHARE * self._all.size)
        self._usual_ws = USUAL_PRICE_WS * USUAL_PER_H / per_hour

    def may_change(self, now_s: float) -> bool:
        """Tell whether there is room for a command that changes something."""
        return self._all.level(now_s) < self._full_of_changes

    def may_repeat(self, now_s: float) -> bool:
        """Tell whether a limit may be sent again; repeats beyond their share always may, and are not counted."""
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
        return self._price_ws(now_s) * math.exp(SCARCITY * max(0.0, fill - SCARCE)) if has_room else math.inf

    def fall_ws(self, now_s: float) -> float:
        """Return the price of lowering a limit, in W x s; infinite only when the budget has no room."""
        return self._price_ws(now_s) if self.may_change(now_s) else math.inf

    def trim_ws(self, now_s: float) -> float:
        """Return the price of correcting a small error, in W x s: low while the budget is hardly used."""
        return self._usual_ws * min(1.0, math.exp(2 * self._fill(now_s)) / 3)

    def is_plenty(self, now_s: float) -> bool:
        """Tell whether there is room for what can wait: moving power takes two commands, a fall and a rise."""
        return self._fill(now_s) < SCARCE and self._all.level(now_s) + 2 < self._full_of_changes

    def _price_ws(self, now_s: float) -> float:
        """Return the shadow price of the budget, in W x s.

        What is used up of the burst is what was spent faster than the budget flows in. So the price rises with it while
        commands are spent faster, falls while they are spent more slowly, and stays where the budget is just used up.
        """
        return self._usual_ws * math.pow(LOWEST_SHARE, max(0.0, 1 - self._fill(now_s) / SCARCE))

    def _counted(self, now_s: float) -> float:
        return min(1.0, max(self._repeats.size - self._repeats.level(now_s), 0.0))

    def _fill(self, now_s: float) -> float:
        return self._all.level(now_s) / self._all.size
