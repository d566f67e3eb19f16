from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.controller import Controller
from opendtu_dcload.control.inverter.derating import Derating
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.sim.runs.controller_alone import unit_of
from tests.control.plant import make_plant, models_of


def ceiling_w(*temperatures_c: float | None) -> float:
    derating = Derating(65.0)
    for temperature_c in temperatures_c:
        derating.add_temperature(temperature_c)
    return derating.ceiling_w(20.0, 420.0)


@pytest.mark.parametrize(
    ("temperatures_c", "expected_w"),
    [
        pytest.param([], 420, id="no temperature seen: all of it"),
        pytest.param([None], 420, id="the inverter tells none: all of it"),
        pytest.param([65.0], 420, id="just as hot as it may be"),
        pytest.param([70.0], 220, id="half way"),
        pytest.param([70.1], 200, id="the next step of half a kelvin"),
        pytest.param([75.0], 20, id="10 K above: the minimum"),
        pytest.param([120.0], 20, id="never less than the minimum"),
        pytest.param([70.0, 67.0], 220, id="3 K cooler: as before"),
        pytest.param([70.0, 66.5], 240, id="cooler still: it gets more, smoothly"),
        pytest.param([70.0, 66.5, 69.0], 240, id="and a little warmer again: as before"),
        pytest.param([70.0, 62.0], 420, id="3 K below: all of it"),
        pytest.param([70.0, None], 420, id="it tells none any more: all of it"),
    ],
)
def test_the_hotter_the_less(temperatures_c, expected_w):
    assert ceiling_w(*temperatures_c) == pytest.approx(expected_w)


@given(st.lists(st.floats(-40, 150), min_size=1))
def test_the_ceiling_lies_between_the_lines_of_warming_and_of_cooling(temperatures_c):
    now_c = temperatures_c[-1]
    assert ceiling_w(now_c + 3.0) - 20.1 <= ceiling_w(*temperatures_c) <= ceiling_w(now_c)


@given(st.floats(60, 80), st.lists(st.floats(0, 2.99)))
def test_a_temperature_that_wavers_by_less_than_3_k_changes_nothing(hottest_c, cooler_k):
    assert ceiling_w(hottest_c, *(hottest_c - k for k in cooler_k)) == ceiling_w(hottest_c)


def test_a_hot_inverter_gives_less_the_others_take_over_and_later_it_gives_all_again():
    plant = make_plant([900.0] * 900, is_warm=True)
    plant.until(120.0)
    hot = max(plant.house.inverters.values(), key=lambda i: i.limit_w)
    hot.temperature_c = 72.0  # 7 K above: 30 % of the range
    plant.until(200.0)
    assert hot.limit_w <= 20 + 0.3 * 380 + 1
    assert plant.house.grid_w == pytest.approx(10, abs=30)
    assert plant.controller.decision is not None
    assert "too hot for full power" in [i.note for i in plant.controller.decision.plan.inverters]
    hot.temperature_c = 55.0
    plant.house.load_w = [1190.0] * 900
    plant.until(400.0)
    assert hot.limit_w >= 390


def test_a_temperature_that_creeps_up_costs_a_command_per_half_kelvin_at_most():
    plant = make_plant([700.0] * 1300, is_warm=True)
    plant.until(120.0)
    (hottest, *_), since_s = sorted(plant.house.inverters.values(), key=lambda i: -i.limit_w), plant.now_s

    def warm() -> None:
        hottest.temperature_c = 65.0 + 8.0 * (plant.now_s - since_s) / 1000

    plant.until(since_s + 1000, warm)
    falls = [
        s
        for s in plant.limits(since_s)
        if s.command.serial == hottest.model.serial and s.limit_w < (s.wanted_w or 0.0) - 1
    ]
    assert hottest.limit_w < 130
    assert 0 < len(falls) <= 17


def test_a_stale_temperature_is_not_acted_on():
    plant = make_plant([900.0] * 300, is_warm=True)
    plant.until(100.0)
    seen = plant.run.advance_second()
    controller = Controller(Settings(), [unit_of(m) for m in models_of()], seen.now_s - 500)
    old = {s: replace(i, at_s=seen.now_s - 400, temperature_c=90.0) for s, i in seen.inverters.items()}
    controller.decide(replace(seen, inverters=old))
    assert [t.ceiling_w for t in controller.trackers.values()] == [400.0] * 3
    hot = {s: replace(i, at_s=seen.now_s, temperature_c=90.0) for s, i in seen.inverters.items()}
    controller.decide(replace(seen, inverters=hot))
    assert [t.ceiling_w for t in controller.trackers.values()] == [20.0] * 3
