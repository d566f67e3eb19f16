"""What of the full sun reaches a small array below broken clouds.

A field of clouds drifts over the array: sun and cloud take turns, each for a while, with an edge of 5 to 60 s between
them, and within each the light wanders smoothly by a few percent. Stretches of many clouds and calm ones, in which the
sky is clear or a thin layer lies before the sun, take turns every 6 to 20 min, as on a day of fair-weather clouds.

Of minute means, over 500 hours: the change from one minute to the next is 9.9 % of full sun on average, 2 % in the
middle, more than 37 % in 7 of 100 minutes, and at most 75 %. On four measured days of broken clouds, from 9 to 16 h,
it is 7 to 11 % on average, 1 to 4 % in the middle, more than 37 % in 5 to 9 of 100 minutes, and at most 65 %.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import islice

CLOUDS_S, CALM_S = (360, 900), (600, 1200)
"""How long many clouds pass, and how long none."""
EDGE_S = (5.0, 60.0)
"""How long an edge takes to pass; short ones are more frequent."""
SUN_S, CLOUD_S = 70.0, 45.0
"""Mean time of sun and of cloud between two edges, where many clouds pass."""
LEAST_S = 5.0
FULL = (0.8, 1.0)
SHADE = (0.2, 0.55)
"""What comes through beside a cloud and through it, as a share."""
LAYER = (0.35, 0.9)
"""What comes through where no clouds pass: a thin layer, or nearly nothing, is before the sun."""
WANDER = 0.03
"""Standard deviation of the light between two edges, as a share of itself."""
WANDER_S = 40.0
DAY_S = 86400
SUNRISE_S, SUNSET_S = 23400, 72000


def sky(seconds: int, rng: random.Random) -> list[float]:
    """Return what of the full sun comes through, 0 to 1, one value per second."""
    wander = _wander(rng)
    return [min(level * (1 + next(wander)), 1.0) for level in islice(_levels(rng), seconds)]


def daylight(rng: random.Random) -> list[float]:
    """Return what of its peak an array gives on a whole day of such clouds in April, one value per second."""
    day_s = SUNSET_S - SUNRISE_S
    height = [math.sin(math.pi * second / day_s) for second in range(day_s)]
    light = [share * through for share, through in zip(height, sky(day_s, rng), strict=True)]
    return [0.0] * SUNRISE_S + light + [0.0] * (DAY_S - SUNSET_S)


def _levels(rng: random.Random) -> Iterator[float]:
    """Yield the light without its wandering."""
    level = rng.uniform(*FULL)
    is_calm = rng.random() < 0.5
    while True:
        left_s = rng.uniform(*(CALM_S if is_calm else CLOUDS_S))
        is_cloud = False
        while left_s > 0:
            is_cloud = not is_cloud
            if is_calm:
                next_level, rest_s = rng.uniform(*LAYER), left_s
            else:
                next_level = rng.uniform(*(SHADE if is_cloud else FULL))
                rest_s = LEAST_S + rng.expovariate(1 / (CLOUD_S if is_cloud else SUN_S))
            edge_s = math.exp(rng.uniform(*map(math.log, EDGE_S)))
            for second in range(round(edge_s)):
                yield level + (next_level - level) * _smooth((second + 0.5) / edge_s)
            level = next_level
            for _ in range(round(rest_s)):
                yield level
            left_s -= round(edge_s) + round(rest_s)
        is_calm = not is_calm


def _smooth(share: float) -> float:
    """Return how much of an edge has passed: it begins and ends softly."""
    share = min(share, 1.0)
    return share * share * (3 - 2 * share)


def _wander(rng: random.Random) -> Iterator[float]:
    """Yield a share that wanders around 0: noise behind two low passes."""
    first = second = 0.0
    # Two equal low passes of time constant T let through 1 / (4 T) of the variance of white noise.
    noise = WANDER * math.sqrt(4 * WANDER_S)
    while True:
        first += (rng.gauss(0, noise) - first) / WANDER_S
        second += (first - second) / WANDER_S
        yield second
