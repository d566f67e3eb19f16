"""What goes wrong on the wire without a network looks to the clients as it does over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
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
from opendtu_dcload.sim.runs.simulated_plant import default_models
from opendtu_dcload.sim.servers.http_server import Faults
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from opendtu_dcload.sim.servers.wire import Wire

pytestmark = pytest.mark.realtime

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
    config = OpenDtuConfig(host=hosts[1], password=SecretStr("x"), timeout_s=2.0)
    clock = asyncio.get_running_loop().time
    dtu = OpenDtu(config, session, ["1124a0000001"], clock)
    meter = ShellyMeter(MeterConfig(host=hosts[0], timeout_s=2.0), session, clock)
    told = []
    for ask in (
        meter.read(),
        dtu.live(["1124a0000001"]),
        anext(dtu.pushed()),
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
        dtu = SimDtu(House([500.0], default_models(1)))
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
