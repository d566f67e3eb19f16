"""The yardstick acts at once, with as few commands as possible, on all radios."""

from __future__ import annotations

import pytest

from opendtu_dcload.sim.bench.bench_plants import PLANTS
from opendtu_dcload.sim.bench.omniscient import Foresighted, Omniscient, limit_for
from opendtu_dcload.sim.plant.house import InverterModel
from opendtu_dcload.sim.plant.world import World


@pytest.mark.parametrize("limit_w", [0.0, 8.0, 20.0, 63.9, 64.0, 64.1, 200.0, 400.0])
@pytest.mark.parametrize("low_error", [0.0, 0.12])
def test_the_limit_for_an_output_is_the_one_that_leads_to_it(limit_w, low_error):
    model = InverterModel("1124a0000001", "", low_error=low_error)
    assert limit_for(model, model.steady_w(limit_w)) == pytest.approx(limit_w, abs=0.01)


def settled(plant: str, load_w: list[float], until_s: float) -> tuple[World, Omniscient]:
    world = PLANTS[plant].world(load_w, seed=1)
    for dtu in world.dtus:
        dtu.loss = 0.0
    pilot = Omniscient(world, PLANTS[plant].minimum_w, PLANTS[plant].rated_w)
    play(world, pilot, until_s)
    return world, pilot


def play(world: World, pilot: Omniscient, until_s: float) -> None:
    while world.house.next_sample_s < until_s:
        world.advance_to_sample()
        pilot.act()


def limits(world: World) -> int:
    return sum(dtu.counters.limits for dtu in world.dtus)


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("load_w", [90.0, 333.0, 1000.0])
def test_it_brings_the_grid_to_zero_and_then_rests(plant, load_w):
    world, pilot = settled(plant, [load_w], 60.0)
    assert world.house.grid_w == pytest.approx(0, abs=10)
    before = limits(world)
    play(world, pilot, 120.0)
    assert limits(world) == before


def test_a_step_that_one_inverter_can_take_costs_one_command_at_the_first_sample():
    world, pilot = settled("hms", [800.0] * 60 + [600.0] * 60, 60.0)
    before = limits(world)
    play(world, pilot, 62.0)
    assert limits(world) == before + 1
    play(world, pilot, 70.0)
    assert limits(world) == before + 1
    assert world.house.grid_w == pytest.approx(0, abs=10)


def test_a_limit_that_waits_for_the_radio_is_replaced_when_the_load_changes_again():
    # Three limits are wanted and the radio takes one in 2 s: what waits follows the load.
    world, pilot = settled("hms", [60.0] * 60 + [1200.0] * 3 + [60.0] * 57, 60.0)
    before = limits(world)
    play(world, pilot, 100.0)
    assert world.house.grid_w == pytest.approx(0, abs=10)
    assert limits(world) - before <= 6


def test_two_dtus_are_used_at_the_same_time():
    world, pilot = settled("mixed", [100.0] * 60 + [2600.0] * 60, 60.0)
    before = [dtu.counters.limits for dtu in world.dtus]
    play(world, pilot, 62.5)
    assert all(dtu.counters.limits > count for dtu, count in zip(world.dtus, before, strict=True))


def test_with_foresight_it_acts_before_the_load_does():
    load_w = [800.0] * 60 + [600.0] * 60
    world = PLANTS["hms"].world(load_w, seed=1)
    play(world, Foresighted(world, PLANTS["hms"].minimum_w, PLANTS["hms"].rated_w), 59.0)
    final_w = sum(inverter.final_limit_w for inverter in world.house.inverters.values())
    on_the_way_w = [world.dtus[0].in_flight_w(serial) for serial in world.house.inverters]
    assert final_w < 700 or any(w is not None for w in on_the_way_w)
