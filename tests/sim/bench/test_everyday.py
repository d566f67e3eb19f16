"""Each put-together load does what its appliance does: as strong, as quickly, as often."""

from __future__ import annotations

import random
from itertools import groupby, islice, pairwise

import pytest

from opendtu_dcload.sim.bench.everyday import VOLTAGE_V, Part, car, heat_pump, home, nothing, well

HOURS = 20


def part_w(part: Part, seed: int = 1) -> list[float]:
    return list(islice(part(random.Random(seed)), HOURS * 3600))


def runs(load_w: list[float], *, above_w: float) -> tuple[list[int], list[int]]:
    """How long it was above and how long below a power, in s; without the first and the last."""
    lasted = [(is_on, sum(1 for _ in run)) for is_on, run in groupby(w > above_w for w in load_w)][1:-1]
    return [s for is_on, s in lasted if is_on], [s for is_on, s in lasted if not is_on]


@pytest.mark.parametrize("part", [heat_pump, car, well, nothing])
def test_a_home_depends_on_the_seed_only(part):
    one, same, other = (home(3900, part, random.Random(seed)) for seed in (1, 1, 2))
    assert one == same != other
    assert len(one) == 3900


def test_a_heat_pump_wanders_slowly_starts_rests_and_defrosts():
    load_w = part_w(heat_pump)
    on_s, off_s = runs(load_w, above_w=200)
    assert min(on_s) >= 180
    assert all(20 <= s <= 40 or 180 <= s <= 520 for s in off_s)
    assert {s <= 40 for s in off_s} == {True, False}
    running_w = [w for w in load_w if w > 320]
    assert 1450 < max(running_w) < 1520
    slow = [abs(after - before) < 8 for before, after in pairwise(load_w) if min(before, after) > 320]
    assert sum(slow) / len(slow) > 0.95
    assert max(after - before for before, after in pairwise(load_w)) > 800


def test_a_car_takes_six_to_sixteen_amperes_and_gets_there_within_seconds():
    load_w = part_w(car)
    charging_w = [w for w in load_w if w > 0]
    assert VOLTAGE_V * 16 - 1 < max(charging_w) < VOLTAGE_V * 16 + 5
    on_s, off_s = runs(load_w, above_w=0)
    assert min(on_s) > 300
    assert all(60 <= s <= 300 for s in off_s)
    rises_s = [
        next(s for s in range(20) if load_w[first + s] >= 6 * VOLTAGE_V - 5)
        for first in range(1, len(load_w) - 20)
        if load_w[first - 1] == 0 < load_w[first]
    ]
    assert len(rises_s) == len(on_s) + (load_w[-1] > 0)
    assert 1 <= max(rises_s) < 8
    assert any(abs(after - before) > VOLTAGE_V / 4 for before, after in pairwise(load_w) if min(before, after) > 1380)


def test_a_well_runs_for_seconds_and_rests_for_minutes():
    on_s, off_s = runs(part_w(well), above_w=300)
    assert all(21 <= s <= 91 for s in on_s)
    assert all(60 <= s <= 300 for s in off_s)
    strengths_w = [max(islice(well(random.Random(seed)), 3600)) / 2 for seed in range(20)]
    assert 600 <= min(strengths_w) < 800
    assert 900 < max(strengths_w) <= 1100


def test_at_night_there_is_a_fridge_and_little_else():
    load_w = home(HOURS * 3600, nothing, random.Random(1))
    starts = [second for second, w in enumerate(load_w) if w > 200]
    assert 20 <= len(starts) <= 60
    rest_w = [w for w in load_w if w <= 200]
    assert 80 <= min(rest_w) < 100
    assert 120 < max(rest_w) <= 150
    on_s, off_s = runs(load_w, above_w=(min(rest_w) + max(rest_w)) / 2)
    assert all(480 <= s <= 1200 for s in on_s)
    assert all(900 <= s <= 2100 for s in off_s)
