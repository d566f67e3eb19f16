"""The loads that controllers are compared on: measured ones, alone and less what solar panels give, and synthetic ones.

Measured loads are cut from traces, synthetic ones isolate a difficulty, everyday ones are put together of what many
homes have. Controllers are never tuned on the check and the solar check cases, which show whether that helped elsewhere
too. Each load has one value in W per second and depends on nothing but the seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial
from itertools import pairwise

from opendtu_dcload.sim.bench.clouds import DAY_S, daylight, sky
from opendtu_dcload.sim.bench.everyday import Part, car, heat_pump, home, nothing, well
from opendtu_dcload.sim.runs.trace import DEFAULT_TRACE, load_trace

WINDOW_S = 7200
"""The tuning and the check cases last two hours."""
SHORT_S = 3900
"""The others, but for the day, last an hour after settling."""
SUN = 0.75
"""What an array gives in full sun of what it could, at the time of the day of the solar cases."""
BALCONY_W, ROOF_W = 800.0, 2400.0
"""Peaks of two arrays: the smaller one gives more than the house at times, the larger one half of the time."""
JITTER_S = 6
"""UK-DALE was sampled every 6 s: each of its edges really happened up to this much later or earlier."""


class Kind(StrEnum):
    """What a case is for."""

    TUNING = "tuning"
    CHECK = "check"
    SYNTHETIC = "synthetic"
    SOLAR_TUNING = "solar tuning"
    SOLAR_CHECK = "solar check"
    EVERYDAY = "everyday"
    DAY = "day"


SECONDS: Mapping[Kind, int] = {Kind.TUNING: WINDOW_S, Kind.CHECK: WINDOW_S, Kind.DAY: DAY_S}


@dataclass(frozen=True, slots=True)
class Case:
    """One load."""

    name: str
    kind: Kind
    _make: Callable[[random.Random], list[float]]

    @property
    def seconds(self) -> int:
        """Return how long it lasts."""
        return SECONDS.get(self.kind, SHORT_S)

    def load_w(self, seed: int) -> list[float]:
        """Return the load in W, one value per second, the first 300 s of which are not counted.

        It is negative while panels of the house's own give more than the house takes.
        """
        return self._make(random.Random(f"{self.name} {seed}"))


def jittered(load_w: list[float], rng: random.Random, most_s: int = JITTER_S) -> list[float]:
    """Return the load with every change moved later by 0 to `most_s` whole seconds, in the same order.

    A change that would land on or before the one ahead of it comes one second after that one; those pushed behind the
    end are left out.
    """
    moved_w = load_w[:1]
    for second, (before_w, now_w) in enumerate(pairwise(load_w), start=1):
        if now_w == before_w:
            continue
        at_s = max(second + rng.randint(0, most_s), len(moved_w))
        moved_w += [moved_w[-1]] * (at_s - len(moved_w)) + [now_w]
    return (moved_w + [moved_w[-1]] * (len(load_w) - len(moved_w)))[: len(load_w)]


_window = cache(load_trace)


def _measured(trace: str, start_s: int, _: random.Random) -> list[float]:
    return _window(trace)[start_s : start_s + WINDOW_S]


def _ukdale(trace: str, start_s: int, rng: random.Random) -> list[float]:
    return jittered(_measured(trace, start_s, rng), rng)


def _less(load_w: list[float], peak_w: float, light: list[float]) -> list[float]:
    return [round(w - peak_w * share, 1) for w, share in zip(load_w, light, strict=True)]


def _solar(trace: str, start_s: int, array_w: float, rng: random.Random) -> list[float]:
    """Return a measured load less what an array below broken clouds gives."""
    return _less(_ukdale(trace, start_s, rng)[:SHORT_S], SUN * array_w, sky(SHORT_S, rng))


def _everyday(part: Part, rng: random.Random) -> list[float]:
    return home(SHORT_S, part, rng)


def _heat_and_solar(rng: random.Random) -> list[float]:
    return _less(_everyday(heat_pump, rng), SUN * BALCONY_W, sky(SHORT_S, rng))


def _day(rng: random.Random) -> list[float]:
    """Return a measured day less what a balcony array gives under its clouds."""
    return _less(jittered(_window(DEFAULT_TRACE), rng), BALCONY_W, daylight(rng))


def _levels(rng: random.Random) -> list[float]:
    """Levels of 80 to 1150 W, each for 10 to 90 s."""
    load_w: list[float] = []
    while len(load_w) < SHORT_S:
        load_w += [float(rng.randint(80, 1150))] * rng.randint(10, 90)
    return load_w[:SHORT_S]


def _hob(period_s: int, rng: random.Random) -> list[float]:
    """A hob of 900 W at half power on 150 W of base load."""
    first_s = rng.randrange(period_s)
    return [150.0 + 900.0 * ((first_s + s) % period_s < period_s // 2) for s in range(SHORT_S)]


def _ramps(rng: random.Random) -> list[float]:
    """Up and down between 100 and 1000 W with 2, 10 and 50 W/s, resting 30 s at each end."""
    load_w: list[float] = []
    while len(load_w) < SHORT_S:
        slope_w = rng.choice([2, 10, 50])
        rise_w = [float(w) for w in range(100, 1000, slope_w)]
        load_w += [100.0] * 30 + rise_w + [1000.0] * 30 + rise_w[::-1]
    return load_w[:SHORT_S]


def _noise(rng: random.Random) -> list[float]:
    """400 W with slow wandering (30 W, 60 s) and quick noise (10 W)."""
    load_w: list[float] = []
    slow_w = 0.0
    for _ in range(SHORT_S):
        slow_w += -slow_w / 60 + rng.gauss(0, 30 * (2 / 60) ** 0.5)
        load_w.append(max(0.0, round(400 + slow_w + rng.gauss(0, 10), 1)))
    return load_w


_ALL = (
    Case("cassandra", Kind.TUNING, partial(_measured, "cassandra_1hz_3600", 0)),
    Case("h1-04-13", Kind.TUNING, partial(_ukdale, "ukdale_h1_2013-04-13", 36000)),
    Case("h3-03-28", Kind.TUNING, partial(_ukdale, "ukdale_h3_2013-03-28_66000", 0)),
    Case("h3-03-30", Kind.TUNING, partial(_ukdale, "ukdale_h3_2013-03-30_45000", 0)),
    Case("h1-04-15", Kind.CHECK, partial(_ukdale, "ukdale_h1_2013-04-15_64200", 0)),
    Case("h1-04-16", Kind.CHECK, partial(_ukdale, "ukdale_h1_2013-04-16_28200", 0)),
    Case("h3-03-17", Kind.CHECK, partial(_ukdale, "ukdale_h3_2013-03-17_50400", 0)),
    Case("h3-03-26", Kind.CHECK, partial(_ukdale, "ukdale_h3_2013-03-26_32400", 0)),
    Case("levels", Kind.SYNTHETIC, _levels),
    *(Case(f"hob {period_s} s", Kind.SYNTHETIC, partial(_hob, period_s)) for period_s in (8, 16, 30, 60)),
    Case("ramps", Kind.SYNTHETIC, _ramps),
    Case("noise", Kind.SYNTHETIC, _noise),
    Case("solar a", Kind.SOLAR_TUNING, partial(_solar, "ukdale_h3_2013-03-30_45000", 0, BALCONY_W)),
    Case("solar b", Kind.SOLAR_TUNING, partial(_solar, "ukdale_h1_2013-04-13", 39300, BALCONY_W)),
    Case("surplus a", Kind.SOLAR_TUNING, partial(_solar, "ukdale_h3_2013-03-28_66000", 0, ROOF_W)),
    Case("solar c", Kind.SOLAR_CHECK, partial(_solar, "ukdale_h3_2013-03-26_32400", 0, BALCONY_W)),
    Case("solar d", Kind.SOLAR_CHECK, partial(_solar, "ukdale_h1_2013-04-15_64200", 3300, BALCONY_W)),
    Case("surplus b", Kind.SOLAR_CHECK, partial(_solar, "ukdale_h3_2013-03-26_32400", 3300, ROOF_W)),
    Case("heat pump", Kind.EVERYDAY, partial(_everyday, heat_pump)),
    Case("heat + solar", Kind.EVERYDAY, _heat_and_solar),
    Case("car", Kind.EVERYDAY, partial(_everyday, car)),
    Case("well", Kind.EVERYDAY, partial(_everyday, well)),
    Case("night", Kind.EVERYDAY, partial(_everyday, nothing)),
    Case("day", Kind.DAY, _day),
)

CASES: Mapping[str, Case] = {case.name: case for case in _ALL}
"""By name, in the order of the table. The check cases are those two hours of the other four days that have the most
steps above 100 W, on a raster of 5 min."""
