"""Who is sent what by the simulated DTU's websocket, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.sim.plant.house import House
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.runs.simulated_plant import default_models
from opendtu_dcload.sim.servers import opendtu_push
from opendtu_dcload.sim.servers.opendtu_push import MOST_CLIENTS
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from tests.doubles.clock import Clock
from tests.doubles.fake_device import Settings
from tests.doubles.until import until
from tests.sim.conftest import basic

pytestmark = pytest.mark.realtime

PASSWORD = "correct horse"
TICK_S = 0.02


@pytest.fixture
async def server(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenDtuServer]:
    monkeypatch.setattr(opendtu_push, "EVERY_S", TICK_S)
    dtu = SimDtu(House([600.0], default_models(3)), loss=0.0)
    async with OpenDtuServer(dtu, clock, password=PASSWORD, latency_s=0.0) as server:
        yield server


def connect(session: aiohttp.ClientSession, server: OpenDtuServer, **options: Any) -> Any:
    return session.ws_connect(f"ws://{server.host}/livedata", **options)


async def pushed(socket: aiohttp.ClientWebSocketResponse) -> list[str]:
    """Return the inverters of a frame."""
    return [inverter["serial"][-1] for inverter in (await socket.receive_json(timeout=5))["inverters"]]


async def nothing_comes(socket: aiohttp.ClientWebSocketResponse) -> bool:
    try:
        await socket.receive(timeout=10 * TICK_S)
    except TimeoutError:
        return True
    return False


async def test_each_inverter_comes_alone_when_it_has_something_new_and_else_every_10_s(
    server: OpenDtuServer, clock: Clock, session: aiohttp.ClientSession
) -> None:
    clock.now_s = 16.0  # all three have been asked by radio
    async with connect(session, server) as socket:
        assert [await pushed(socket) for _ in range(3)] == [["1"], ["2"], ["3"]]
        assert await nothing_comes(socket)
    async with connect(session, server) as socket:
        clock.now_s = 20.5  # the second has been asked again
        assert await pushed(socket) == ["2"]
    async with connect(session, server) as socket:
        server.dtu.is_polling = False
        clock.now_s = 27.0
        assert [await pushed(socket) for _ in range(2)] == [["1"], ["3"]]


async def test_a_new_client_waits_for_what_is_due(
    server: OpenDtuServer, clock: Clock, session: aiohttp.ClientSession
) -> None:
    clock.now_s = 16.0
    async with connect(session, server) as first:
        await pushed(first)
        async with connect(session, server) as second:
            await asyncio.sleep(5 * TICK_S)
            clock.now_s = 20.5
            assert await pushed(second) == ["2"]


async def test_old_firmware_sends_all_inverters_at_once(
    server: OpenDtuServer, clock: Clock, session: aiohttp.ClientSession
) -> None:
    server.dtu.generation = "old"
    clock.now_s = 16.0
    async with connect(session, server) as socket:
        assert await pushed(socket) == ["1", "2", "3"]


async def test_on_battery_sends_other_things_too(
    server: OpenDtuServer, clock: Clock, session: aiohttp.ClientSession
) -> None:
    server.push.is_on_battery = True
    async with connect(session, server) as socket:
        frames = [json.loads((await socket.receive(timeout=5)).data) for _ in range(5)]
        assert ["inverters" in frame for frame in frames] == [True, True, True, False, False]


async def test_of_more_than_8_clients_the_oldest_is_closed(
    server: OpenDtuServer, session: aiohttp.ClientSession
) -> None:
    server.push.faults.is_silent = True
    sockets = [await connect(session, server) for _ in range(MOST_CLIENTS + 1)]
    assert (await sockets[0].receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
    assert await nothing_comes(sockets[1])
    for socket in sockets:
        await socket.close()


async def test_a_restart_leaves_its_clients_hanging(
    server: OpenDtuServer, clock: Clock, session: aiohttp.ClientSession
) -> None:
    async with connect(session, server) as socket:
        assert [await pushed(socket) for _ in range(3)] == [["1"], ["2"], ["3"]]
        server.dtu.reboot(5.0)
        clock.now_s = 60.0
        assert await nothing_comes(socket)
        async with connect(session, server) as another:
            assert await pushed(another)


@pytest.mark.parametrize(
    ("wants", "shown", "status"),
    [
        ("digest", {}, 401),
        ("digest", basic(PASSWORD), 401),
        ("basic", {}, 401),
        ("basic", basic("wrong"), 401),
        ("basic", basic(PASSWORD), 101),
        ("none", {}, 101),
    ],
)
async def test_the_websocket_has_a_login_of_its_own_where_reading_is_not_open(
    server: OpenDtuServer, session: aiohttp.ClientSession, wants: str, shown: dict[str, str], status: int
) -> None:
    server.allow_readonly, server.push_login = False, wants
    if status == 101:
        async with connect(session, server, headers=shown) as socket:
            assert await pushed(socket)
        return
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await connect(session, server, headers=shown)
    assert caught.value.status == status
    assert caught.value.headers is not None
    assert caught.value.headers["WWW-Authenticate"].lower().startswith(wants)


@pytest.mark.parametrize("wants", ["digest", "basic", "none"])
async def test_the_real_client_logs_in(server: OpenDtuServer, session: aiohttp.ClientSession, wants: str) -> None:
    server.allow_readonly, server.push_login = False, wants
    serials = server.dtu.serials
    client = OpenDtu(Settings(server.host, password=SecretStr(PASSWORD)), session, serials)
    parts = client.pushed()
    assert set((await anext(parts)).inverters) <= set(serials)
    await parts.aclose()
    await until(lambda: server.in_flight == 0)
