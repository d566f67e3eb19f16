"""The simulated meter's samples come in order, about a second apart, and no two of them by the same clock."""

from __future__ import annotations

import random
import statistics
from itertools import pairwise

from opendtu_dcload.sim.plant.meter_clock import IDEAL, MeterClock, Samples, uneven_clock


def waits_s(clock: MeterClock) -> list[float]:
    samples, at_s = Samples(clock, 0.0, random.Random(1)), [0.0]
    for _ in range(2000):
        at_s.append(samples.after(at_s[-1]))
    return [later_s - sooner_s for sooner_s, later_s in pairwise(at_s)]


def test_an_ideal_clock_is_even():
    assert set(waits_s(IDEAL)) == {1.0}


def test_an_uneven_one_is_late_by_chance_and_drifts():
    for seed in range(5):
        waits = waits_s(uneven_clock(seed))
        assert min(waits) > 0.5
        assert 0.99 < statistics.fmean(waits) < 1.01
        assert 0.02 < statistics.stdev(waits) < 0.1
    assert len({uneven_clock(seed).period_s for seed in range(5)}) == 5
