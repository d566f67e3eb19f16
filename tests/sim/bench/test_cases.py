"""The loads of the bench are the measured ones, and nobody can learn their raster."""

from __future__ import annotations

import random
from importlib import resources
from itertools import groupby, pairwise

import pytest

from opendtu_dcload.sim.bench.bench_plants import PLANTS
from opendtu_dcload.sim.bench.cases import CASES, WINDOW_S, Kind, jittered
from opendtu_dcload.sim.runs.score import ideal_waste_wh, steps
from opendtu_dcload.sim.runs.simulate import SKIPPED_S
from opendtu_dcload.sim.runs.trace import load_trace

HMS = PLANTS["hms"]
UKDALE = [case for case in CASES.values() if case.name.startswith("h") and case.seconds == WINDOW_S]
SOLAR = [case for case in CASES.values() if case.kind in (Kind.SOLAR_TUNING, Kind.SOLAR_CHECK)]


@pytest.mark.parametrize(
    ("load_w", "minimum_w", "ideal_wh"),
    [
        pytest.param(load_trace("cassandra_1hz_3600"), 60, 114, id="cassandra from 3600 s"),
        pytest.param(load_trace("cassandra_1hz_3600"), 24, 96, id="cassandra, minima of 8 W"),
        pytest.param(load_trace("ukdale_h1_2013-04-13")[36000:43200], 60, 385, id="house 1 from 36000 s"),
    ],
)
def test_the_ideal_waste_is_the_known_one(load_w, minimum_w, ideal_wh):
    counted_w = load_w[SKIPPED_S:]
    assert len(load_w) == WINDOW_S
    assert ideal_waste_wh(counted_w, minimum_w=minimum_w, maximum_w=HMS.rated_w) == pytest.approx(ideal_wh, abs=0.5)


def levels(load_w: list[float]) -> list[float]:
    return [level for level, _ in groupby(load_w)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_jitter_keeps_the_order_of_all_levels_and_moves_each_by_at_most_the_raster(seed):
    load_w = [float(level) for level in (100, 900, 120, 2000, 80, 400) for _ in range(12)] + [50.0] * 20
    moved_w = jittered(load_w, random.Random(seed))
    assert levels(moved_w) == levels(load_w)
    moves_s = [after - before for before, after in zip(steps(load_w, 0), steps(moved_w, 0), strict=True)]
    assert all(0 <= s <= 6 for s in moves_s)
    assert len(set(moves_s)) > 1


def test_jitter_keeps_changes_apart_that_are_closer_than_it_moves_them():
    load_w = [float(s) for s in range(50)] + [0.0] * 60
    moved_w = jittered(load_w, random.Random(1))
    assert levels(moved_w) == levels(load_w)


@pytest.mark.parametrize("case", UKDALE, ids=lambda case: case.name)
def test_jitter_keeps_the_energy(case):
    first_wh, second_wh = (sum(case.load_w(seed)) / 3600 for seed in (1, 2))
    assert first_wh == pytest.approx(second_wh, rel=0.02)
    assert case.load_w(1) != case.load_w(2)


def test_the_raster_of_six_seconds_is_gone():
    def on_raster(load_w: list[float]) -> float:
        gaps_s = [after - before for before, after in pairwise(steps(load_w, 20))]
        return sum(gap_s % 6 == 0 for gap_s in gaps_s) / len(gaps_s)

    assert on_raster(load_trace("ukdale_h3_2013-03-30_45000")) > 0.9
    assert on_raster(CASES["h3-03-30"].load_w(1)) < 0.4


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_a_case_depends_on_the_seed_only_and_is_a_house_load(case):
    load_w = case.load_w(1)
    assert load_w == case.load_w(1)
    assert len(load_w) == case.seconds
    assert (min(load_w) < 0) == (case in SOLAR or case.name in ("heat + solar", "day"))
    assert len(levels(load_w)) > 20


@pytest.mark.parametrize("case", SOLAR, ids=lambda case: case.name)
def test_with_solar_the_house_has_now_too_much_and_now_too_little(case):
    for seed in (1, 2, 3):
        load_w = case.load_w(seed)
        surplus = sum(w < 0 for w in load_w) / len(load_w)
        assert (0.05 if case.name.startswith("solar") else 0.3) < surplus < 0.6
        assert sum(HMS.floor_w < w < HMS.rated_w for w in load_w) / len(load_w) > 0.15


def test_the_day_has_sun_between_morning_and_evening_only():
    house_w, net_w = load_trace("ukdale_h1_2013-04-13"), CASES["day"].load_w(1)
    sun_w = [sum(house_w[s : s + 3600]) / 3600 - sum(net_w[s : s + 3600]) / 3600 for s in range(0, 86400, 3600)]
    assert max(abs(w) for w in sun_w[:6] + sun_w[20:]) < 5  # an edge moved across the full hour
    assert min(sun_w[9:17]) > 100
    assert max(sun_w) < 800


def test_surplus_of_the_panels_is_no_waste_of_the_plant_but_its_minima_are():
    surplus_w, load_w = [-400.0] * 3600, [30.0] * 3600
    assert ideal_waste_wh(surplus_w, minimum_w=60, maximum_w=1200) == pytest.approx(2 * 60)
    assert ideal_waste_wh(load_w, minimum_w=60, maximum_w=1200) == pytest.approx(2 * 30)


def test_what_is_carried_stays_small():
    folder = resources.files("opendtu_dcload.sim.runs") / "traces"
    assert sum(len(f.read_bytes()) for f in folder.iterdir()) < 400_000
