"""Loads put together of what many homes have: a heat pump, a car that charges, a well, a night with a fridge.

Each stands on a base load of its own, and has one value in W per second.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from itertools import islice

Part = Callable[[random.Random], Iterator[float]]
"""Yields what an appliance takes in W, second by second without end."""
VOLTAGE_V = 230.0


def home(seconds: int, part: Part, rng: random.Random) -> list[float]:
    """Return what an appliance and the base load of its home take together."""
    load_w = zip(_base(rng), part(rng), strict=False)
    return [round(base_w + part_w, 1) for base_w, part_w in islice(load_w, seconds)]


def nothing(_: random.Random) -> Iterator[float]:
    """Yield nothing: the base load is all there is at night."""
    while True:
        yield 0.0


def heat_pump(rng: random.Random) -> Iterator[float]:
    """Yield a compressor whose speed wanders between 300 and 1500 W, with pauses, starts and defrosting.

    It runs for 15 to 40 min and rests for 3 to 8; its power drifts to another level every 1 to 4 min with 1 to 6 W/s.
    At the end of every other run it defrosts: half a minute nearly nothing, then 3 to 5 min at 900 to 1200 W.
    """
    ripple = _ripple(6.0, rng)
    power_w, defrosts = 0.0, rng.random() < 0.5
    left_s = rng.uniform(60, 900)
    while True:
        while left_s > 0:
            aim_w = rng.uniform(300, 1500)
            slope_w = 25.0 if power_w == 0 else rng.uniform(1, 6)
            for _ in range(rng.randint(60, 240)):
                power_w += max(-slope_w, min(aim_w - power_w, slope_w))
                left_s -= 1
                yield power_w + next(ripple)
        if defrosts:
            yield from [60.0] * rng.randint(20, 40)
            strong_w = rng.uniform(900, 1200)
            for _ in range(rng.randint(180, 300)):
                yield strong_w + next(ripple)
        defrosts = not defrosts
        power_w = 0.0
        yield from [15.0] * rng.randint(180, 480)
        left_s = rng.uniform(900, 2400)


def car(rng: random.Random) -> Iterator[float]:
    """Yield a car on one phase, 6 to 16 A: it charges for 5 to 15 min and pauses for 1 to 5.

    The current rises within 3 to 8 s and is adjusted, within 2 to 4 s, every 1 to 5 min.
    """
    ripple = _ripple(4.0, rng)
    while True:
        yield from [0.0] * rng.randint(60, 300)
        current_a, left_s, rise_s = 0.0, rng.randint(300, 900), rng.randint(3, 8)
        while left_s > 0:
            aim_a = rng.randint(6, 16)
            for second in range(1, rise_s + 1):
                yield VOLTAGE_V * (current_a + (aim_a - current_a) * second / rise_s)
            current_a = aim_a
            for _ in range(rng.randint(60, 300)):
                left_s -= 1
                yield VOLTAGE_V * current_a + next(ripple)
            rise_s = rng.randint(2, 4)


def well(rng: random.Random) -> Iterator[float]:
    """Yield a pump of 600 to 1100 W: on for 20 to 90 s, off for 1 to 5 min; it takes twice as much for a second."""
    pump_w = rng.uniform(600, 1100)
    while True:
        yield from [0.0] * rng.randint(60, 300)
        yield 2 * pump_w
        for _ in range(rng.randint(20, 90)):
            yield pump_w * rng.gauss(1, 0.01)


def _base(rng: random.Random) -> Iterator[float]:
    """Yield 80 to 150 W: what is always on, and a fridge that runs for 8 to 20 min and rests for 15 to 35.

    The fridge takes 300 W more for a second when it starts.
    """
    steady_w, fridge_w = rng.uniform(85, 95), rng.uniform(40, 50)
    ripple = _ripple(1.5, rng)
    left_s, is_on, is_start = rng.randint(60, 1200), rng.random() < 0.5, False
    while True:
        for _ in range(left_s):
            yield steady_w + next(ripple) + is_on * fridge_w + is_start * 300
            is_start = False
        is_on = is_start = not is_on
        left_s = rng.randint(480, 1200) if is_on else rng.randint(900, 2100)


def _ripple(most_w: float, rng: random.Random) -> Iterator[float]:
    """Yield a slow ripple of a third to three thirds of `most_w`, whose periods are 10 to 60 s."""
    waves = [(rng.uniform(10, 60), rng.uniform(0, 2 * math.pi), rng.uniform(most_w / 9, most_w / 3)) for _ in range(3)]
    second = 0
    while True:
        yield sum(w * math.sin(2 * math.pi * second / period_s + phase) for period_s, phase, w in waves)
        second += 1
