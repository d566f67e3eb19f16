"""The program on virtual time is the program: the same twice, the same errors as over real HTTP, no end in silence."""

from __future__ import annotations

import random

import pytest

from opendtu_dcload.sim.plant.house import House
from opendtu_dcload.sim.plant.meter_clock import uneven_clock
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.invariants import InvariantChecker
from opendtu_dcload.sim.runs.played import METER, ProgramError
from opendtu_dcload.sim.runs.program import Program, plant_config
from opendtu_dcload.sim.runs.simulated_plant import default_models
from opendtu_dcload.sim.servers.latency import Latency

RESTLESS_W = [300.0 + 500.0 * (second // 40 % 2) for second in range(900)]


def make_world(load_w: list[float] = RESTLESS_W) -> World:
    house = House(load_w, default_models(), seed=3, cap_w=1200.0)
    return World(house, [SimDtu(house, seed=3)])


def program(world: World) -> Program:
    return Program(world, plant_config(world, minimum_w=20.0, cap_w=1200.0), InvariantChecker, seed=3)


def played() -> tuple[object, ...]:
    world = make_world()
    with program(world) as playing:
        playing.advance(900.0)
        house, dtu = world.house, playing.dtus["opendtu"]
        return house.energy, dtu.posted, dtu.requests, playing.meter.requests, playing.state.plan


def test_two_runs_with_one_seed_are_identical():
    first, second = played(), played()
    assert first == second
    assert first[1], "it has told the inverters something"


def test_the_plant_follows_the_load_though_one_answer_in_ten_is_lost():
    world = make_world([500.0] * 900)
    with program(world) as playing:
        for server in (playing.meter, playing.dtus["opendtu"]):
            server.latency = Latency(0.05, 0.1, lost_share=0.1, rng=random.Random(3))
        playing.advance(600.0)
        assert playing.state.commands
        assert abs(world.house.grid_w) < 60


@pytest.mark.parametrize("pause_s", [14.2, 14.5, 14.8, 15.1, 15.4, 15.7])
@pytest.mark.parametrize("seed", range(6))
def test_inverters_at_their_minimum_are_raised_though_the_meter_shows_the_same_from_the_first_answer_on(seed, pause_s):
    models = default_models(2)
    house = House([300.0], models, seed=seed, cap_w=800.0, meter_clock=uneven_clock(seed))
    world = World(house, [SimDtu(house, seed=seed)])
    world.advance(20.0)
    for model in models:
        world.dtus[0].post_limit(model.serial, 0, 20.0)
    world.advance(20.0 + pause_s)
    config = plant_config(world, minimum_w=20.0, cap_w=800.0, sections={"meter": {"poll_interval_s": 0.5}})
    with Program(world, config, InvariantChecker, seed=seed) as playing:
        playing.advance(world.house.now_s + 30.0)
        assert abs(house.grid_w) < 60


def test_a_task_that_ends_is_an_error():
    with program(make_world()) as playing:
        playing.meter.device = "pro3em-mono"  # two channels, and none is named: the configuration does not fit
        with pytest.raises(ProgramError, match="meter has ended"):
            playing.advance(10.0)


def test_a_meter_that_cannot_be_reached_takes_the_plant_down():
    world = make_world([500.0] * 900)
    with program(world) as playing:
        playing.advance(200.0)
        playing.wire.cut = {METER}
        playing.advance(300.0)
        assert playing.state.plan is not None
        assert world.house.output_w < 70
