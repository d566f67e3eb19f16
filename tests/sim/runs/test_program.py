"""The program on virtual time is the program: the same twice, the same errors as over real HTTP, no end in silence."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

import aiohttp
import pytest
from pydantic import SecretStr

from opendtu_dcload.config import MeterConfig, OpenDtuConfig
from opendtu_dcload.devices.http import open_session
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.devices.shelly.shelly_meter import ShellyMeter
from opendtu_dcload.errors import DeviceError
from opendtu_dcload.sim.plant.house import House
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.invariants import InvariantChecker
from opendtu_dcload.sim.runs.program import METER, Program, ProgramError, plant_config
from opendtu_dcload.sim.runs.simulate import default_models
from opendtu_dcload.sim.servers.http_server import Faults
from opendtu_dcload.sim.servers.latency import Latency
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from opendtu_dcload.sim.servers.wire import Wire

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


WRONG: dict[str, Callable[[], Faults]] = {
    "500": lambda: Faults(status=500),
    "401": lambda: Faults(status=401),
    "429": lambda: Faults(status=429),
    "404": lambda: Faults(status=404),
    "null": lambda: Faults(body="null"),
    "half": lambda: Faults(body='{"broken'),
    "endless": lambda: Faults(is_oversize=True),
    "hangs": lambda: Faults(delay_s=600.0),
    "hangs mid-body": lambda: Faults(stall=True),
    "drops": lambda: Faults(drop=True),
}


async def _told(session: aiohttp.ClientSession, hosts: tuple[str, str]) -> list[str]:
    """Return the errors of each door."""
    config = OpenDtuConfig(host=hosts[1], password=SecretStr("x"), timeout_s=1.0)
    clock = asyncio.get_running_loop().time
    dtu = OpenDtu(config, session, ["1124a0000001"], clock)
    meter = ShellyMeter(MeterConfig(host=hosts[0], timeout_s=0.5), session, clock)
    told = []
    for ask in (
        meter.read(),
        dtu.live(["1124a0000001"]),
        dtu.limits(),
        dtu.set_limit("1124a0000001", 100.0, minimum_w=20.0, rated_w=400.0),
    ):
        try:
            await ask
        except DeviceError as err:
            told.append(f"{type(err).__name__}: {err}")
        else:
            told.append("well")
    return told


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_goes_wrong_looks_as_it_does_over_real_http(wrong: str) -> None:
    def devices(clock: Callable[[], float]) -> tuple[Gen2Server, OpenDtuServer]:
        dtu = make_world().dtus[0]
        both = Gen2Server(dtu, clock), OpenDtuServer(dtu, clock, password="x")
        for device in both:
            device.faults = WRONG[wrong]()
        return both

    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(server) for server in devices(lambda: 1.0)]
        hosts = servers[0].host, servers[1].host
        over_http = await _told(await stack.enter_async_context(open_session()), hosts)

    wire = Wire()
    for host, device in zip(hosts, devices(lambda: 1.0), strict=True):
        wire.attach(host, device)
    assert await _told(wire.session, hosts) == over_http
    assert "well" not in over_http
