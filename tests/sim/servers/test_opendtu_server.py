from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.model import CommandState
from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.servers.http_server import Faults
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from tests.doubles.clock import Clock
from tests.doubles.fake_device import Settings
from tests.sim.conftest import OTHER, SERIAL, basic, make_dtu

PASSWORD = "correct horse"
LOGIN = basic(PASSWORD)


@pytest.fixture
async def server(dtu: SimDtu, clock: Clock) -> AsyncIterator[OpenDtuServer]:
    async with OpenDtuServer(dtu, clock, password=PASSWORD, latency_s=0.0) as server:
        yield server


@pytest.fixture
async def old(clock: Clock) -> AsyncIterator[OpenDtuServer]:
    async with OpenDtuServer(make_dtu(generation="old"), clock, password=PASSWORD, latency_s=0.0) as server:
        yield server


async def get(session: aiohttp.ClientSession, server: OpenDtuServer, path: str, **options: Any) -> Any:
    async with session.get(f"http://{server.host}/api/{path}", **options) as response:
        assert response.status == 200
        assert response.headers["Connection"] == "close"
        return await response.json()


async def post(session: aiohttp.ClientSession, server: OpenDtuServer, path: str, values: object) -> Any:
    text = values if isinstance(values, str) else json.dumps(values)
    async with session.post(f"http://{server.host}/api/{path}", data={"data": text}, headers=LOGIN) as response:
        assert response.status == 200
        return await response.json()


async def status(session: aiohttp.ClientSession, server: OpenDtuServer, method: str, path: str, **options: Any) -> int:
    async with session.request(method, f"http://{server.host}/api/{path}", **options) as response:
        return response.status


# Read ----------------------------------------------------------------------------------------------------------------


async def test_an_input_that_is_not_connected_shows_a_stray_voltage_which_the_real_client_does_not_believe(
    session: aiohttp.ClientSession, clock: Clock
) -> None:
    model = InverterModel(SERIAL, "HM", 800.0, inputs=2, connected_inputs=1)
    dtu = SimDtu(House([500.0], [model]), loss=0.0)
    async with OpenDtuServer(dtu, clock, latency_s=0.0) as server:
        clock.now_s = 120.0
        inputs = (await get(session, server, f"livedata/status?inv={SERIAL}"))["inverters"][0]["DC"]
        assert [inputs["1"][leaf]["v"] for leaf in ("Power", "Voltage", "Current")] == [0, 0.5, 0.01]
        live = await OpenDtu(Settings(server.host), session, [SERIAL], clock).live([SERIAL])
        assert live.inverters[SERIAL].dc_voltage_v == pytest.approx(inputs["0"]["Voltage"]["v"])


async def test_new_firmware_shows_headers_only_and_one_inverter_on_request(
    server: OpenDtuServer, session: aiohttp.ClientSession, clock: Clock
) -> None:
    clock.now_s = 62.0
    every = await get(session, server, "livedata/status")
    assert [entry["serial"] for entry in every["inverters"]] == [SERIAL, OTHER]
    assert not every["inverters"][0].keys() & {"AC", "DC", "INV", "events"}
    assert every["hints"].keys() == {"time_sync", "radio_problem", "default_password", "pin_mapping_issue"}
    one = await get(session, server, f"livedata/status?inv={OTHER.upper()}")
    (entry,) = one["inverters"]
    assert entry["serial"] == OTHER
    assert entry["data_age"] == int(entry["data_age_ms"] / 1000) == 6
    assert entry["INV"]["0"].keys() == {"Power DC", "YieldDay", "YieldTotal", "Temperature", "Efficiency"}
    assert entry["DC"]["0"]["name"] == {"u": "Battery 1"}
    assert entry["AC"]["0"]["Power"] == {"v": 394, "u": "W", "d": 1}
    assert entry["AC"]["0"]["Current"] == {"v": 1.710000038, "u": "A", "d": 2}  # a 32-bit float in full
    assert one["total"]["Power"] == {"v": 788, "u": "W", "d": 1}


async def test_new_firmware_answers_an_unknown_serial_with_an_empty_list(
    server: OpenDtuServer, session: aiohttp.ClientSession
) -> None:
    assert (await get(session, server, "livedata/status?inv=1124a0000009"))["inverters"] == []


async def test_old_firmware_shows_everything_at_once_and_ignores_the_serial(
    old: OpenDtuServer, session: aiohttp.ClientSession, clock: Clock
) -> None:
    clock.now_s = 12.0
    document = await get(session, old, f"livedata/status?inv={SERIAL}")
    assert len(document["inverters"]) == 2
    entry = document["inverters"][0]
    assert entry.keys().isdisjoint({"data_age_ms", "radio_stats"})
    assert entry["INV"]["0"].keys() == {"Temperature"}
    assert {"Power DC", "YieldDay", "YieldTotal", "Efficiency"} <= entry["AC"]["0"].keys()
    assert "pin_mapping_issue" not in document["hints"]


async def test_after_boot_it_looks_alive_and_knows_nothing(
    server: OpenDtuServer, session: aiohttp.ClientSession, dtu: SimDtu, clock: Clock
) -> None:
    clock.now_s = 100.0
    dtu.clock_set_after_s = 30.0
    dtu.advance(100.0)
    dtu.boot()
    clock.now_s = 105.0
    document = await get(session, server, f"livedata/status?inv={SERIAL}")
    (entry,) = document["inverters"]
    assert document["hints"]["time_sync"] is True
    assert (entry["reachable"], entry["producing"], entry["data_age"]) == (True, False, 5)
    assert (entry["limit_relative"], entry["limit_absolute"]) == (0, -1)
    assert entry["AC"]["0"]["Power"]["v"] == 0
    limits = await get(session, server, "limit/status")
    assert limits[SERIAL] == {"limit_relative": 0, "max_power": 0, "limit_set_status": "Ok"}


async def test_default_password_is_hinted_at(clock: Clock, dtu: SimDtu, session: aiohttp.ClientSession) -> None:
    async with OpenDtuServer(dtu, clock) as server:
        assert (await get(session, server, "livedata/status"))["hints"]["default_password"] is True


async def test_documents_of_the_dtu_itself(server: OpenDtuServer, session: aiohttp.ClientSession, clock: Clock) -> None:
    clock.now_s = 33.7
    system = await get(session, server, "system/status")
    assert (system["uptime"], system["git_hash"]) == (33, "v26.3.30")
    assert (await get(session, server, "dtu/config", headers=LOGIN))["pollinterval"] == 5
    (first, _) = (await get(session, server, "inverter/list", headers=LOGIN))["inverter"]
    assert (first["serial"], first["command_enable"], first["reachable_threshold"]) == (SERIAL, True, 2)
    assert (await get(session, server, f"devinfo/status?inv={SERIAL}"))["max_power"] == 400
    assert await get(session, server, "devinfo/status?inv=1") == {}
    assert (await get(session, server, "power/status"))[SERIAL] == {"power_set_status": "Ok"}
    assert (await get(session, server, "security/authenticate", headers=LOGIN))["code"] == 10002


# Logins --------------------------------------------------------------------------------------------------------------

READS = ("livedata/status", "limit/status", "power/status", "system/status", "devinfo/status", "eventlog/status")
ADMIN_READS = ("dtu/config", "inverter/list", "security/authenticate")
POSTS = ("limit/config", "power/config", "maintenance/reboot")


async def test_reading_is_open_and_everything_else_wants_the_password(
    server: OpenDtuServer, session: aiohttp.ClientSession
) -> None:
    assert {await status(session, server, "GET", path) for path in READS} == {200}
    assert {await status(session, server, "GET", path) for path in ADMIN_READS} == {401}
    assert {await status(session, server, "POST", path, data={"data": "{}"}) for path in POSTS} == {401}
    assert {await status(session, server, "GET", path, headers=basic("wrong")) for path in ADMIN_READS} == {401}
    assert {await status(session, server, "GET", path, headers=LOGIN) for path in ADMIN_READS} == {200}


async def test_without_readonly_access_reading_wants_the_password_too(
    server: OpenDtuServer, session: aiohttp.ClientSession
) -> None:
    server.allow_readonly = False
    assert {await status(session, server, "GET", path) for path in READS} == {401}
    assert {await status(session, server, "GET", path, headers=LOGIN) for path in READS} == {200}


async def test_challenge_is_basic_and_left_out_for_scripts(
    server: OpenDtuServer, session: aiohttp.ClientSession
) -> None:
    url = f"http://{server.host}/api/security/authenticate"
    async with session.get(url) as response:
        assert response.headers["WWW-Authenticate"] == 'Basic realm="Login Required"'
        assert await response.read() == b""
    async with session.get(url, headers={"X-Requested-With": "x"}) as response:
        assert response.status == 401
        assert "WWW-Authenticate" not in response.headers


# Write ---------------------------------------------------------------------------------------------------------------


def limit(serial: object = SERIAL, limit_type: object = 0, limit_value: object = 100.0) -> dict[str, object]:
    return {"serial": serial, "limit_type": limit_type, "limit_value": limit_value}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (limit(limit_value=312.5), 1001),
        (limit(limit_value=0), 1001),
        (limit(limit_type=1, limit_value=2250), 1001),
        ("{broken", 1004),
        ("", 1004),
        ([], 1005),
        ({"serial": SERIAL, "limit_type": 0}, 1005),
        (limit(serial=1124), 1005),
        (limit(limit_value="100"), 1005),
        (limit(limit_value=True), 1005),
        (limit(limit_type=0.0), 1005),
        (limit(limit_type=-1), 1005),
        (limit(serial="0", limit_value=9999), 5001),
        (limit(serial="xyz"), 5001),
        (limit(limit_value=2250.1, limit_type=9), 5002),
        (limit(limit_type=256, serial="1"), 5003),
        (limit(serial="1"), 5004),
    ],
    ids=str,
)
async def test_codes_of_a_limit_and_their_order(
    server: OpenDtuServer, session: aiohttp.ClientSession, values: object, code: int
) -> None:
    answer = await post(session, server, "limit/config", values)
    assert answer["code"] == code
    assert answer["type"] == ("success" if code == 1001 else "warning")
    assert server.dtu.counters.limits == (code == 1001)


async def test_json_body_is_not_understood(server: OpenDtuServer, session: aiohttp.ClientSession) -> None:
    async with session.post(f"http://{server.host}/api/limit/config", json=limit(), headers=LOGIN) as response:
        assert (await response.json())["code"] == 1002


async def test_refused_limit_names_the_bound(server: OpenDtuServer, session: aiohttp.ClientSession) -> None:
    assert (await post(session, server, "limit/config", limit(limit_value=3000)))["param"] == {"max": 2250}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (limit(limit_value="100"), 1001),
        (limit(limit_type=256), 1001),
        (limit(limit_type=2), 5003),
        (limit() | {"padding": "x" * 1024}, 1003),
    ],
    ids=["any type", "old persistent", "new persistent", "too large"],
)
async def test_old_firmware_takes_any_type_and_its_own_limit_types(
    old: OpenDtuServer, session: aiohttp.ClientSession, values: object, code: int
) -> None:
    assert (await post(session, old, "limit/config", values))["code"] == code


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"serial": SERIAL, "power": True}, 1001),
        ({"serial": SERIAL, "restart": False}, 1001),
        ({"serial": SERIAL, "power": 1}, 1005),
        ({"power": True}, 1005),
        ({"serial": SERIAL}, 1005),
        ({"serial": "0", "power": True}, 11001),
        ({"serial": "1", "power": True}, 11002),
    ],
    ids=str,
)
async def test_codes_of_a_power_command(
    server: OpenDtuServer, session: aiohttp.ClientSession, values: object, code: int
) -> None:
    assert (await post(session, server, "power/config", values))["code"] == code


async def test_old_firmware_takes_a_number_for_power(old: OpenDtuServer, session: aiohttp.ClientSession) -> None:
    assert (await post(session, old, "power/config", {"serial": SERIAL, "power": 0}))["code"] == 1001
    old.dtu.advance(5.0)
    assert not old.dtu.house.inverters[SERIAL].is_on


async def test_power_wins_over_restart_and_restart_false_does_nothing(
    server: OpenDtuServer, session: aiohttp.ClientSession
) -> None:
    await post(session, server, "power/config", {"serial": SERIAL, "power": False, "restart": True})
    await post(session, server, "power/config", {"serial": OTHER, "restart": False})
    server.dtu.advance(5.0)
    assert not server.dtu.house.inverters[SERIAL].is_on
    assert server.dtu.house.inverters[OTHER].output_w > 0


async def test_reboot_takes_it_away_and_it_comes_back_empty(
    server: OpenDtuServer, session: aiohttp.ClientSession, clock: Clock
) -> None:
    clock.now_s = 60.0
    assert (await post(session, server, "maintenance/reboot", {"reboot": False}))["code"] == 6002
    assert (await post(session, server, "maintenance/reboot", {"reboot": True}))["code"] == 6001
    clock.now_s = 65.0
    with pytest.raises(aiohttp.ClientConnectionError):
        await status(session, server, "GET", "system/status")
    clock.now_s = 70.0
    assert (await get(session, server, "system/status"))["uptime"] == 1
    assert (await get(session, server, "limit/status"))[SERIAL]["limit_relative"] == 0


async def test_pending_is_seen_until_the_radio_is_done(
    server: OpenDtuServer, session: aiohttp.ClientSession, clock: Clock
) -> None:
    clock.now_s = 6.0
    await get(session, server, "limit/status")
    await post(session, server, "limit/config", limit(limit_value=100))
    clock.now_s = 7.9
    assert (await get(session, server, "limit/status"))[SERIAL]["limit_set_status"] == "Pending"
    clock.now_s = 8.1
    assert (await get(session, server, "limit/status"))[SERIAL] == {
        "limit_relative": 25,
        "max_power": 400,
        "limit_set_status": "Ok",
    }


# Faults --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [401, 404, 429, 500])
async def test_http_fault_holds_for_so_many_requests(
    server: OpenDtuServer, session: aiohttp.ClientSession, code: int
) -> None:
    server.faults = Faults(status=code, requests=2)
    assert [await status(session, server, "GET", "limit/status") for _ in range(3)] == [code, code, 200]


async def test_busy_answer_asks_for_a_minute(server: OpenDtuServer, session: aiohttp.ClientSession) -> None:
    server.faults = Faults(status=429)
    async with session.get(f"http://{server.host}/api/livedata/status") as response:
        assert response.headers["Retry-After"] == "60"
        assert await response.text() == "Too Many Requests"


async def test_body_faults(server: OpenDtuServer, session: aiohttp.ClientSession) -> None:
    url = f"http://{server.host}/api/livedata/status"
    for text in ("null", '{"inverters":['):
        server.faults = Faults(body=text, requests=1)
        async with session.get(url) as response:
            assert (response.status, await response.text()) == (200, text)
    server.faults = Faults(is_oversize=True, requests=1)
    async with session.get(url) as response:
        assert len(await response.read()) > 1_000_000


async def test_stalled_answer_begins_and_never_ends(server: OpenDtuServer, session: aiohttp.ClientSession) -> None:
    server.faults = Faults(stall=True)
    async with session.get(f"http://{server.host}/api/livedata/status") as response:
        assert response.status == 200
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(response.read(), 0.05)


async def test_dropped_and_refused_connections_and_back_on_the_same_port(
    server: OpenDtuServer, session: aiohttp.ClientSession
) -> None:
    server.faults = Faults(drop=True)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await status(session, server, "GET", "limit/status")
    server.faults = Faults()
    host = server.host
    await server.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await status(session, server, "GET", "limit/status")
    await server.start()
    assert server.host == host
    assert await status(session, server, "GET", "limit/status") == 200


async def test_requests_in_parallel_are_noticed(dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession) -> None:
    async with OpenDtuServer(dtu, clock, latency_s=0.05) as server:
        for _ in range(2):
            await status(session, server, "GET", "limit/status")
        assert server.max_in_flight == 1
        await asyncio.gather(*(status(session, server, "GET", "limit/status") for _ in range(3)))
        assert server.max_in_flight == 3
        assert (server.in_flight, server.requests) == (0, 5)


# With the real client ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", ["new", "old"])
async def test_the_real_client_reads_and_commands_it(
    clock: Clock, session: aiohttp.ClientSession, generation: str
) -> None:
    async with OpenDtuServer(make_dtu(generation=generation), clock, password=PASSWORD, latency_s=0.0) as server:
        settings = Settings(server.host, password=SecretStr(PASSWORD))
        client = OpenDtu(settings, session, [SERIAL], clock)
        clock.now_s = 62.0
        await client.check_password()
        inverter = (await client.live([SERIAL])).inverters[SERIAL]
        assert (inverter.ac_power_w, inverter.reachable) == (394.0, True)
        await client.set_limit(SERIAL, 123.4, minimum_w=20.0, rated_w=400.0)
        assert (await client.limits())[SERIAL].state is CommandState.PENDING
        clock.now_s = 70.0
        status = (await client.limits())[SERIAL]
        assert (status.limit_pct, status.rated_w) == (30.8 if generation == "new" else 30.7, 400)
        assert (await client.system()).uptime_s == 70
        assert server.max_in_flight == 1
        assert server.dtu.counters.persistent == 0
