"""What a command costs: radio and inverters endure only so many, so each one has to save more than its price."""

from __future__ import annotations

import math

USUAL_PER_H = 300
"""The default of `opendtu.max_commands_per_hour`, for which the price was chosen."""
USUAL_PRICE_WS = 600.0
"""Waste that a command must save, in W x s, with the usual budget: chosen on the tuning cases of `bench`."""
LOWEST_PRICE_WS = 250.0
"""A command keeps its radio for 2 s and an inverter from being raised again for 5 s, whatever the budget: an estimate."""
DEARER = 0.02
"""By this share a command makes the next one dearer: an estimate, with the usual budget half of it in 10 min."""
BURST = 0.15
"""Share of the hour's budget that may be spent at once; the rest flows in evenly. An estimate."""
SCARCE = 0.5
"""When this share of the burst is used up, a rise begins to cost more, for it will need a fall too."""
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
        self.leak_per_s = (1 - burst) * per_hour / 3600
        self._level = 0.0
        self._at_s = now_s

    def level(self, now_s: float) -> float:
        """Return how many commands are in it."""
        return max(0.0, self._level - (now_s - self._at_s) * self.leak_per_s)

    def mean_level(self, from_s: float, now_s: float) -> float:
        """Return the mean of the level from the last time something was put in until now."""
        from_w, to_w = self.level(from_s), self.level(now_s)
        seconds = now_s - from_s
        if to_w > 0 or seconds <= 0:
            return (from_w + to_w) / 2
        return from_w / 2 * min(1.0, from_w / self.leak_per_s / seconds)

    def add(self, now_s: float, commands: float = 1.0) -> None:
        """Put commands in, whether it is full or not."""
        self._level, self._at_s = self.level(now_s) + commands, now_s


class Price:
    """The shadow price of a budget: each command makes the next one dearer, time makes it cheaper.

    It rises while commands are spent faster than the budget flows in and falls while they are spent more slowly, so in
    the long run it is the one at which the budget is just used up.
    """

    def __init__(self, usual_ws: float, now_s: float) -> None:
        self._lowest = math.log(min(usual_ws, LOWEST_PRICE_WS))
        self._highest = math.log(usual_ws)
        self._log_ws = math.log(usual_ws)
        self._at_s = now_s

    def ws(self, now_s: float, bucket: Bucket) -> float:
        """Return it in W x s."""
        return math.exp(self._log(now_s, bucket))

    def spend(self, now_s: float, bucket: Bucket, commands: float = 1.0) -> None:
        """Note commands, before they are put into the bucket."""
        self._log_ws = min(self._log(now_s, bucket) + DEARER * commands, self._highest)
        self._at_s = now_s

    def _log(self, now_s: float, bucket: Bucket) -> float:
        left = 1 - bucket.mean_level(self._at_s, now_s) / bucket.size
        fallen = DEARER * bucket.leak_per_s * (now_s - self._at_s) * left / (1 - SCARCE)
        return max(self._log_ws - fallen, self._lowest)


class Budget:
    """The commands that one DTU may be given; the more of them are used up, the dearer the next one is."""

    def __init__(self, per_hour: int, now_s: float, inverters: int = 1) -> None:
        self._all = Bucket(per_hour, BURST, now_s)
        self._repeats = Bucket(REPEATS_SHARE * per_hour, BURST, now_s)
        self._guards = Bucket(GUARD_PER_H * inverters, GUARD_BURST, now_s)
        self._full_of_changes = self._all.size - min(KEPT, KEPT_SHARE * self._all.size)
        self._price = Price(USUAL_PRICE_WS * USUAL_PER_H / per_hour, now_s)

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
        self._price.spend(now_s, self._all)
        self._all.add(now_s)

    def repeat(self, now_s: float) -> None:
        """Note a limit that is sent again."""
        counted = self._counted(now_s)
        self._repeats.add(now_s, counted)
        self._price.spend(now_s, self._all, counted)
        self._all.add(now_s, counted)

    def guard(self, now_s: float) -> None:
        """Note a command of a guard for which the budget had no room."""
        self._guards.add(now_s)

    def rise_ws(self, now_s: float) -> float:
        """Return the price of raising a limit, in W x s; infinite when the budget is used up."""
        fill = self._fill(now_s)
        for_its_fall = min(1.0, self._full_of_changes / 4)
        has_room = fill < LAST and self._all.level(now_s) < self._full_of_changes - for_its_fall
        return self._price.ws(now_s, self._all) * math.exp(SCARCITY * max(0.0, fill - SCARCE)) if has_room else math.inf

    def fall_ws(self, now_s: float) -> float:
        """Return the price of lowering a limit, in W x s; infinite only when the budget has no room."""
        return self._price.ws(now_s, self._all) if self.may_change(now_s) else math.inf

    def trim_ws(self, now_s: float) -> float:
        """Return the price of correcting a small error, in W x s: low while the budget is hardly used."""
        return self._price.ws(now_s, self._all) * min(1.0, math.exp(2 * self._fill(now_s)) / 3)

    def is_plenty(self, now_s: float) -> bool:
        """Tell whether there is room for what can wait: moving power takes two commands, a fall and a rise."""
        return self._fill(now_s) < SCARCE and self._all.level(now_s) + 2 < self._full_of_changes

    def _counted(self, now_s: float) -> float:
        return min(1.0, max(self._repeats.size - self._repeats.level(now_s), 0.0))

    def _fill(self, now_s: float) -> float:
        return self._all.level(now_s) / self._all.size
