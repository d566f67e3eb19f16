"""A month's load and sun, day by day: measured and synthetic loads, guests, clouds over all panels."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from opendtu_dcload.sim.bench.cases import CASES, Kind
from opendtu_dcload.sim.runs.trace import DEFAULT_TRACE, load_trace

DAY_S = 86400
SYNTHETIC_SHARE = 0.25
WINDOW_S = 7200
GUESTS_SHARE = 0.2
GUESTS_S = range(11 * 3600, 23 * 3600)
GUESTS_W = 250.0
GUESTS_FACTOR = 1.6
SUNRISE_S, SUNSET_S = 7 * 3600, 18 * 3600
PLUG_IN_W = 800.0
"""Plug-in solar in full sun: it lowers the load, at noon below zero."""
SKIES = {"clear": (1.0, 1.0), "clouds": (0.15, 1.0), "overcast": (0.05, 0.2)}
"""What reaches the ground at least and at most, as a share."""
CLOUD_S = (20, 300)


_whole = cache(load_trace)


class Day:
    """One day of a month: its load in W and what of the sun comes through, both once a second."""

    def __init__(self, number: int, seed: int) -> None:
        rng = random.Random(f"day {number} of {seed}")
        self.number = number
        self.sky = rng.choice(list(SKIES))
        self.has_guests = rng.random() < GUESTS_SHARE
        self.sun = array("f", _sun(self.sky, rng))
        house_w = array("f")
        while len(house_w) < DAY_S:
            house_w.extend(_piece(rng))
        if self.has_guests:
            for second in GUESTS_S:
                house_w[second] = house_w[second] * GUESTS_FACTOR + GUESTS_W
        self.load_w = array("d", (round(w - PLUG_IN_W * sun, 1) for w, sun in zip(house_w, self.sun, strict=False)))

    @property
    def load_wh(self) -> float:
        """What the house takes, less what the plug-in solar gives."""
        return sum(self.load_w) / 3600


class MonthLoad(Sequence[float]):
    """The load of all days in W, of which one at a time is kept."""

    def __init__(self, days: int, seed: int) -> None:
        self._seconds = days * DAY_S
        self._seed = seed
        for case in CASES.values():  # what they read is kept, so the first day already holds all of it
            case.load_w(seed)
        _whole(DEFAULT_TRACE)
        self.day = Day(0, seed)

    def __len__(self) -> int:
        return self._seconds

    def __getitem__(self, index: Any) -> Any:
        number, second = divmod(index, DAY_S)
        if number != self.day.number:
            self.day = Day(number, self._seed)
        return self.day.load_w[second]


def _piece(rng: random.Random) -> Sequence[float]:
    """Return an hour or two: a bench case, or a piece of a day that was measured whole."""
    if rng.random() < SYNTHETIC_SHARE:
        synthetic = [case for case in CASES.values() if case.kind is Kind.SYNTHETIC]
        return rng.choice(synthetic).load_w(rng.randrange(1000))
    measured = [case for case in CASES.values() if case.kind in (Kind.TUNING, Kind.CHECK)]
    if (chosen := rng.randrange(2 * len(measured))) < len(measured):
        return measured[chosen].load_w(rng.randrange(1000))
    whole = _whole(DEFAULT_TRACE)
    first_s = rng.randrange(len(whole) - WINDOW_S)
    return whole[first_s : first_s + WINDOW_S]


def _sun(sky: str, rng: random.Random) -> Iterable[float]:
    """Yield what of full sun reaches the panels, 0 to 1, for each second of a day."""
    least, most = SKIES[sky]
    through, until_s = most, 0
    for second in range(DAY_S):
        if second >= until_s:
            through, until_s = rng.uniform(least, most), second + rng.randint(*CLOUD_S)
        height = math.sin(math.pi * (second - SUNRISE_S) / (SUNSET_S - SUNRISE_S))
        yield through * height if SUNRISE_S < second < SUNSET_S else 0.0
