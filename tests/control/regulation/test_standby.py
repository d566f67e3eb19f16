"""Inverters that are not needed for long rest, and come back in time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from opendtu_dcload.control.commands.command_policy import SetPower
from opendtu_dcload.control.regulation.standby import BUSY_S, IDLE_S, PAIRS_A_DAY
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import Reason
from tests.control.plant import Plant, make_plant

SMALL_W, LARGE_W = 120.0, 900.0
WAIT_S = 600.0
"""More than the others' being busy, twice, and the longest grid-connection wait of the simulated inverters."""


def house(load_w: list[float], *, may_rest: bool = True, cap_w: float = 1200.0) -> Plant:
    return make_plant(load_w, settings=Settings(may_rest=may_rest, max_feed_in_w=cap_w), is_warm=True)


def asleep(plant: Plant) -> int:
    return sum(t.standby_count > 0 for t in plant.controller.trackers.values())


def switched(plant: Plant, *, on: bool) -> list[float]:
    return [s.at_s for s in plant.controller.sent if isinstance(s.command, SetPower) and s.command.on is on]


def test_what_was_not_needed_for_half_an_hour_is_powered_off_and_the_rest_regulates_on():
    plant = house([SMALL_W] * 4000)
    plant.until(IDLE_S - 60)
    assert asleep(plant) == 0
    plant.until(IDLE_S + 400)
    assert asleep(plant) == 2, "the last one stays"
    assert plant.house.grid_w == pytest.approx(0, abs=20)
    assert {i.note for i in plant.controller.decision.plan.inverters} == {"", "standby, number 1 since the start"}  # type: ignore[union-attr]  # decided long ago


@pytest.mark.long
def test_by_default_nobody_rests():
    plant = house([SMALL_W] * 4000, may_rest=False)
    plant.until(IDLE_S + 400)
    assert asleep(plant) == 0
    assert switched(plant, on=False) == []


@pytest.mark.long
def test_the_last_hours_peak_has_to_be_within_reach_of_the_others():
    load_w = ([LARGE_W] * 120 + [SMALL_W] * 2280) * 2
    plant = house(load_w)
    plant.until(2390.0)
    assert asleep(plant) == 0


def test_when_the_others_are_nearly_at_their_limit_one_after_the_other_comes_back():
    plant = house([SMALL_W] * 2400 + [LARGE_W] * 1200)
    plant.until(2400.0)
    assert asleep(plant) == 2
    plant.until(2400.0 + 3 * BUSY_S + WAIT_S)
    assert asleep(plant) == 0
    on_s = switched(plant, on=True)
    assert all(later - sooner >= BUSY_S for sooner, later in pairwise(on_s))
    assert plant.house.grid_w == pytest.approx(0, abs=30)


@pytest.mark.long
def test_under_a_cap_that_the_others_reach_alone_nobody_is_woken_for_nothing():
    plant = house([SMALL_W] * 2400 + [LARGE_W] * 1200, cap_w=380.0)
    plant.until(2400.0)
    resting = asleep(plant)
    plant.until(3500.0)
    assert asleep(plant) == resting == 2


@pytest.mark.long
def test_each_rests_only_a_few_times_a_day():
    load_w = ([SMALL_W] * 2400 + [LARGE_W] * 1200) * 5
    plant = house(load_w)
    plant.until(len(load_w) - 1.0)
    assert len(switched(plant, on=False)) <= PAIRS_A_DAY * 3
    assert asleep(plant) <= 1


def test_one_that_the_user_switches_off_and_on_again_comes_back_at_once():
    plant = house([SMALL_W] * 4000)
    plant.until(IDLE_S + 400)
    resting = next(s for s, t in plant.controller.trackers.items() if t.standby_count)
    fixed = plant.controller.settings
    plant.controller.settings = replace(fixed, switched_off=frozenset({resting}))
    plant.until(plant.now_s + 5)
    assert not plant.house.inverters[resting].is_on
    plant.controller.settings = fixed
    plant.until(plant.now_s + 10)
    assert plant.house.inverters[resting].is_on


def test_when_the_user_switches_off_who_is_awake_another_one_takes_its_part():
    plant = house([SMALL_W] * 4000)
    plant.until(IDLE_S + 400)
    first_rested = next(s for s, t in plant.controller.trackers.items() if t.standby_count)
    awake = next(s for s, t in plant.controller.trackers.items() if not t.standby_count)
    plant.controller.settings = replace(plant.controller.settings, switched_off=frozenset({awake, first_rested}))
    plant.until(plant.now_s + 30)
    assert plant.reason is Reason.NO_INVERTER
    plant.until(plant.now_s + BUSY_S + 60)
    assert plant.house.grid_w == pytest.approx(0, abs=30)


@pytest.mark.long
def test_a_silent_dtu_wakes_nobody():
    plant = house([SMALL_W] * 4000)
    plant.until(IDLE_S + 400)
    plant.run.silent.add("opendtu")
    plant.until(plant.now_s + 3 * BUSY_S)
    assert plant.reason is Reason.DTU_SILENT
    assert asleep(plant) == 2
