"""What the load will be while a command sent now rules, learned from what it did before.

The range of power is cut into layers. A layer is on while the load is above it, and what a layer costs does not depend
on the others: given while it is off it is exported, not given while it is on it is imported. So each layer is forecast
by itself, and what comes and goes (a drum, a hob, a kettle) is recognised without knowing what it is.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Callable

FINEST_W = 10.0
"""Width of the layers near zero: an estimate, a few times the smallest change that is worth a command."""
WIDTH_SHARE = 0.025
"""Width of the higher layers as a share of their power: an estimate, as fine as an inverter keeps to its limit."""
KEPT = 24
"""How many times on and off a layer remembers: an estimate, enough for a cycle and cheap to go through."""
FORGET_S = 900.0
"""What happened this long ago counts for 1/e: an estimate, a quarter of an hour of what appliances do."""
RULES_S = 8.0
"""A command rules for at least this long: a limit is not raised again within 5 s, and the next one has its lag too."""
SPIKE_S = 2.0
"""As long as this a spike of the load lasts: an estimate."""
SPIKES, STAYS = 0.7, 1.3
"""What a layer does that was never seen before counts as so many occurrences of a spike, and so many of a change that
stays, so that about a third of such changes are taken for spikes: an estimate."""
TOGETHER_S = 1.5
"""Neighbouring layers that went on within this time went on together: a meter shows the mean of a second."""
STEADY_S = 5.0
"""Layers that went on together and stayed on for this long are as likely as not to go off together: an estimate."""
FELL_W, FOLLOWING = 50.0, 3.0
"""A fall of the load is the first part of a larger one only if it is more than this, for less is noise, and if what is
still on is less than so many times it, for the rest of a fall is not that much larger. Estimates."""
SETTLED_S = 900.0
"""A layer that has not changed for longer stays as it is: an estimate, as `FORGET_S`."""


class Layer:
    """One layer: the times at which the load rose above it and fell below it."""

    def __init__(self, since_s: float, *, is_on: bool) -> None:
        self.is_on = is_on
        self.follows = False
        """It went on together with a layer that has just gone off, which may be the first half of one fall."""
        self._turned_s = deque([since_s], 2 * KEPT)
        self._on_s = deque([0.0], 2 * KEPT)
        """For how long it had been on in all at each of these times."""

    @property
    def since_s(self) -> float:
        """When the load crossed it last."""
        return self._turned_s[-1]

    @property
    def was_off(self) -> bool:
        """Whether it was off before it went on; otherwise nobody knows when it went on."""
        return len(self._turned_s) > 1

    def turn(self, at_s: float) -> None:
        """Note that the load crossed it."""
        self._on_s.append(self._on_s[-1] + (at_s - self.since_s if self.is_on else 0.0))
        self._turned_s.append(at_s)
        self.is_on = not self.is_on

    def is_like(self, other: Layer) -> bool:
        """Tell whether another layer went on and off at the same times."""
        return self.is_on == other.is_on and self.follows == other.follows and self._turned_s == other._turned_s

    def share_on(self, now_s: float, lag_s: float) -> float:
        """Return the expected share (0 to 1) of the 8 s from `lag_s` on in which the load is above the layer.

        Each earlier time in the same state that lasted at least as long as the present one tells what came then. This
        is the innermost loop of a decision: the later ends of the windows go down with their beginnings.
        """
        turned_s, on_s = self._turned_s, self._on_s
        last = len(turned_s) - 1
        age_s = now_s - turned_s[last]
        if age_s > SETTLED_S:
            return float(self.is_on)
        same, total = STAYS, STAYS
        if age_s < SPIKE_S:
            total += SPIKES
        told_s = age_s + lag_s + RULES_S
        begins = ends = last
        on_turns = (last + (not self.is_on)) % 2  # 0 = it goes on at the even ones
        for first in range(last - 2, -1, -2):
            start_s = turned_s[first]
            lasted_s = turned_s[first + 1] - start_s
            until_s = start_s + told_s
            if lasted_s <= age_s or until_s > now_s:
                continue
            weight = math.exp((start_s - now_s) / FORGET_S)
            total += weight
            if lasted_s >= told_s:
                same += weight
                continue
            from_s = max(until_s - RULES_S, start_s)  # rounding must not lead before the first turn
            while turned_s[ends] > until_s:
                ends -= 1
            while turned_s[begins] > from_s:
                begins -= 1
            was_on_s = on_s[ends] - on_s[begins]
            if ends % 2 == on_turns:
                was_on_s += until_s - turned_s[ends]
            if begins % 2 == on_turns:
                was_on_s -= from_s - turned_s[begins]
            same += weight * (was_on_s if self.is_on else RULES_S - was_on_s) / RULES_S
        return same / total if self.is_on else 1.0 - same / total


class Forecast:
    """All layers from zero up to the most that was ever asked about."""

    def __init__(self) -> None:
        self._bottoms_w: list[float] = [0.0]
        self._layers: list[Layer] = []

    def add_load(self, at_s: float, low_w: float, high_w: float, top_w: float) -> None:
        """Take the load, which lies between `low_w` and `high_w`; layers between these stay as they were."""
        while self._bottoms_w[-1] < top_w:
            bottom_w = self._bottoms_w[-1]
            self._layers.append(Layer(at_s - SPIKE_S, is_on=low_w > bottom_w))
            self._bottoms_w.append(bottom_w + max(FINEST_W, WIDTH_SHARE * bottom_w))
        fell_from_w = 0.0
        together_s: float | None = None
        for index in range(len(self._layers) - 1, -1, -1):
            bottom_w, layer = self._bottoms_w[index], self._layers[index]
            layer.follows = False
            if low_w > bottom_w if not layer.is_on else high_w <= bottom_w:
                if layer.is_on:
                    fell_from_w = fell_from_w or self._bottoms_w[index + 1]
                    is_steady = layer.was_off and at_s - layer.since_s > STEADY_S
                    together_s = layer.since_s if is_steady else None
                layer.turn(at_s)
            elif together_s is not None:
                fell_w = fell_from_w - high_w
                is_first_part = fell_w > FELL_W and high_w - bottom_w < FOLLOWING * fell_w
                layer.follows = layer.is_on and is_first_part and abs(layer.since_s - together_s) <= TOGETHER_S
                together_s = layer.since_s if layer.follows else None

    def reset(self) -> None:
        """Forget everything: the load was not seen for a while."""
        self._bottoms_w = [0.0]
        self._layers.clear()

    def gains(self, now_s: float, lag_of: Callable[[float], float], export_weight: float) -> Gains:
        """Return for every layer what it saves per second to give it, per W.

        Args:
            now_s: monotonic time.
            lag_of: how long a command takes that brings the plant to an output in W.
            export_weight: what a Wh exported costs, in Wh imported.
        """
        per_w: list[float] = []
        before: tuple[Layer, float] | None = None
        gain = 0.0
        for bottom_w, layer in zip(self._bottoms_w, self._layers, strict=False):
            lag_s = lag_of(bottom_w)
            if before is None or lag_s != before[1] or not layer.is_like(before[0]):
                share = layer.share_on(now_s, lag_s) * (0.5 if layer.follows else 1.0)
                gain = share - export_weight * (1 - share)
            before = layer, lag_s
            per_w.append(gain)
        return Gains(self._bottoms_w, per_w)


class Gains:
    """What the layers are worth."""

    def __init__(self, bottoms_w: list[float], per_w: list[float]) -> None:
        self._bottoms_w = bottoms_w
        self._per_w = per_w

    def best_w(self) -> tuple[float, float]:
        """Return the topmost layer of the output that saves most: from and up to, in W."""
        best, best_w, saved_w = 0, 0.0, 0.0
        for index, gain in enumerate(self._per_w):
            saved_w += gain * (self._bottoms_w[index + 1] - self._bottoms_w[index])
            if saved_w > best_w:
                best, best_w = index + 1, saved_w
        return (self._bottoms_w[best - 1], self._bottoms_w[best]) if best else (0.0, 0.0)

    def saved_w(self, from_w: float, to_w: float) -> float:
        """Return what going from one output to another saves per second."""
        low_w, high_w = sorted((max(from_w, 0.0), max(to_w, 0.0)))
        saved_w = 0.0
        for index in range(bisect_right(self._bottoms_w, low_w) - 1, len(self._per_w)):
            bottom_w, top_w = self._bottoms_w[index], self._bottoms_w[index + 1]
            if bottom_w >= high_w:
                break
            saved_w += self._per_w[index] * (min(top_w, high_w) - max(bottom_w, low_w))
        return saved_w if to_w > from_w else -saved_w
