from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import aiohttp
import pytest
from pydantic import SecretStr

from opendtu_dcload.devices.shelly.shelly_meter import ShellyMeter
from opendtu_dcload.errors import DeviceAnswerError
from opendtu_dcload.model import MeterReading
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.servers.shelly_gen2 import Device, Gen2Server
from opendtu_dcload.sim.servers.shelly_server import Gen1Server, ShellyServer
from tests.doubles.clock import Clock
from tests.doubles.fake_device import Settings
from tests.sim.conftest import basic

PASSWORD = "correct horse"
GRID_W = -288.0  # 500 W of load less 788 W of output


async def get(session: aiohttp.ClientSession, server: ShellyServer, path: str) -> Any:
    async with session.get(f"http://{server.host}{path}") as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def refused(session: aiohttp.ClientSession, server: ShellyServer, path: str) -> tuple[int, Any]:
    async with session.get(f"http://{server.host}{path}") as response:
        assert response.status != 200
        return response.status, (await response.json())["code"]


# Shapes --------------------------------------------------------------------------------------------------------------


async def test_3em_shows_three_phases_and_their_sum(dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession) -> None:
    async with Gen1Server(dtu, clock, device="3em") as server:
        clock.now_s = 60.5
        about = await get(session, server, "/shelly")
        assert (about["type"], about["num_emeters"], about["auth"]) == ("SHEM-3", 3, False)
        status = await get(session, server, "/status")
        emeters = status["emeters"]
        keys = {"power", "pf", "current", "voltage", "is_valid", "total", "total_returned"}
        assert [emeter.keys() for emeter in emeters] == [keys] * 3
        assert (
            status["total_power"] == pytest.approx(sum(e["power"] for e in emeters)) == pytest.approx(GRID_W, abs=0.2)
        )
        assert await get(session, server, "/emeter/1") == emeters[1]
        assert status["uptime"] == 60
        async with session.get(f"http://{server.host}/emeter/3") as response:
            assert (response.status, await response.text()) == (404, "Not Found")


async def test_em_shows_the_grid_and_the_inverters_and_no_sum(
    dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession
) -> None:
    async with Gen1Server(dtu, clock, device="em") as server:
        clock.now_s = 60.0
        status = await get(session, server, "/status")
        grid, inverters = status["emeters"]
        assert grid["power"] == pytest.approx(GRID_W, abs=0.2)
        assert inverters["power"] == pytest.approx(-788, abs=0.2)
        assert "reactive" in grid
        assert "current" not in grid
        assert "total_power" not in status


async def test_1pm_counts_watt_minutes_and_shows_export_as_import(
    dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession
) -> None:
    async with Gen1Server(dtu, clock, device="1pm") as server:
        clock.now_s = 60.0
        assert (await get(session, server, "/meter/0"))["power"] == pytest.approx(-GRID_W, abs=0.2)
        for inverter in dtu.house.inverters.values():
            inverter.set_dc(60.0, on=False)
        clock.now_s = 3700.0
        before = await get(session, server, "/meter/0")
        clock.now_s = 7300.0
        after = await get(session, server, "/meter/0")
        assert after["power"] == 500
        assert after["total"] - before["total"] == pytest.approx(500 * 60, abs=2)
        status = await get(session, server, "/status")
        assert "emeters" not in status
        assert status["meters"][0].keys() == {"power", "overpower", "is_valid", "timestamp", "counters", "total"}


async def test_pro_3em_has_one_em_or_three_em1_as_its_profile_says(
    dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession
) -> None:
    async with Gen2Server(dtu, clock) as server:
        clock.now_s = 61.5  # the counters are saved at each full minute
        assert (await get(session, server, "/shelly"))["profile"] == "triphase"
        em = await get(session, server, "/rpc/EM.GetStatus?id=0")
        assert em["total_act_power"] == pytest.approx(GRID_W, abs=0.2)
        assert em["n_current"] is None
        data = await get(session, server, "/rpc/EMData.GetStatus?id=0")
        assert data["total_act_ret"] == pytest.approx(data["a_total_act_ret_energy"])
        assert data["b_total_act_energy"] == pytest.approx(150 / 60, abs=0.1)
        assert await refused(session, server, "/rpc/EM1.GetStatus?id=0") == (404, 404)
        server.device = "pro3em-mono"
        assert (await get(session, server, "/shelly"))["profile"] == "monophase"
        assert await refused(session, server, "/rpc/EM.GetStatus?id=0") == (404, 404)
        phases = [await get(session, server, f"/rpc/EM1.GetStatus?id={index}") for index in range(3)]
        assert [phase["act_power"] for phase in phases] == [em[f"{letter}_act_power"] for letter in "abc"]
        assert (await get(session, server, "/rpc/EM1Data.GetStatus?id=1")).keys() == {
            "id",
            "total_act_energy",
            "total_act_ret_energy",
        }


async def test_pm_mini_and_switch(dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession) -> None:
    async with Gen2Server(dtu, clock, device="pm-mini") as mini, Gen2Server(dtu, clock, device="plus1pm") as plug:
        clock.now_s = 60.0
        pm1 = await get(session, mini, "/rpc/PM1.GetStatus?id=0")
        assert pm1["apower"] == pytest.approx(GRID_W, abs=0.2)
        assert pm1["aenergy"]["total"] > pm1["ret_aenergy"]["total"] > 0
        switch = await get(session, plug, "/rpc/Switch.GetStatus?id=0")
        assert switch["apower"] == -pm1["apower"]
        assert switch["aenergy"]["total"] == pm1["aenergy"]["total"]
        assert switch["output"] is False
        assert not switch.keys() & {"ret_aenergy", "freq", "pf"}


async def test_errors_of_remote_calls(dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession) -> None:
    async with Gen2Server(dtu, clock) as server:
        assert await refused(session, server, "/rpc/No.Such") == (404, 404)
        assert await refused(session, server, "/rpc/EM.GetStatus") == (500, -103)
        assert await refused(session, server, "/rpc/EM.GetStatus?id=3") == (500, -105)
        frame = {"id": 7, "src": "me", "method": "EM.GetStatus", "params": {"id": 0}}
        async with session.post(f"http://{server.host}/rpc", json=frame) as response:
            answer = await response.json()
        assert (answer["id"], answer["src"], answer["dst"]) == (7, server.id, "me")
        assert "total_act_power" in answer["result"]


async def test_relay_timers_of_both_generations_expire(
    dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession
) -> None:
    async with Gen1Server(dtu, clock, device="1pm") as first, Gen2Server(dtu, clock, device="plus1pm") as second:
        relay = await get(session, first, "/relay/0?turn=on&timer=900")
        assert (relay["ison"], relay["timer_remaining"]) == (True, 900)
        assert await get(session, second, "/rpc/Switch.Set?id=0&on=true&toggle_after=900") == {"was_on": False}
        clock.now_s = 899.0
        assert (await get(session, first, "/relay/0"))["ison"] is True
        assert (await get(session, second, "/rpc/Switch.GetStatus?id=0"))["timer_duration"] == 900
        clock.now_s = 900.5
        assert (await get(session, first, "/relay/0"))["ison"] is False
        assert (await get(session, second, "/rpc/Switch.GetStatus?id=0"))["output"] is False
        async with session.get(f"http://{first.host}/relay/0?turn=on&timer=x") as response:
            assert (response.status, await response.text()) == (400, "Bad timer!")


# Faults --------------------------------------------------------------------------------------------------------------


async def test_invalid_meter_of_both_generations(dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession) -> None:
    async with Gen1Server(dtu, clock) as first, Gen2Server(dtu, clock) as second:
        first.meter.is_valid = second.meter.is_valid = False
        assert {e["is_valid"] for e in (await get(session, first, "/status"))["emeters"]} == {False}
        em = await get(session, second, "/rpc/EM.GetStatus?id=0")
        assert (em["a_act_power"], em["total_act_power"]) == (None, None)
        assert em["errors"] == ["power_meter_failure"]


async def test_reboot_loses_uptime_and_timer(dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession) -> None:
    async with Gen2Server(dtu, clock, device="plus1pm") as server:
        clock.now_s = 100.0
        await get(session, server, "/rpc/Switch.Set?id=0&on=true&toggle_after=900")
        await get(session, server, "/rpc/Shelly.Reboot")
        clock.now_s = 104.0
        with pytest.raises(aiohttp.ClientConnectionError):
            await get(session, server, "/shelly")
        clock.now_s = 107.0
        assert (await get(session, server, "/rpc/Sys.GetStatus"))["uptime"] == 2
        assert "timer_duration" not in await get(session, server, "/rpc/Switch.GetStatus?id=0")


# Logins --------------------------------------------------------------------------------------------------------------


async def test_generation_1_wants_basic_everywhere_but_at_shelly(
    dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession
) -> None:
    async with Gen1Server(dtu, clock, password=PASSWORD) as server:
        assert (await get(session, server, "/shelly"))["auth"] is True
        url = f"http://{server.host}/status"
        for headers, status in (({}, 401), (basic("wrong"), 401), (basic(PASSWORD), 200)):
            async with session.get(url, headers=headers) as response:
                assert response.status == status


@pytest.mark.parametrize("firmware", ["1.7.1", "2.0.0"])
async def test_one_digest_state_needs_one_challenge(dtu: SimDtu, clock: Clock, firmware: str) -> None:
    digest = aiohttp.DigestAuthMiddleware("admin", PASSWORD)
    async with (
        Gen2Server(dtu, clock, password=PASSWORD, firmware=firmware, latency_s=0.0) as server,
        aiohttp.ClientSession(middlewares=(digest,)) as session,
    ):
        for _ in range(5):
            await get(session, server, "/rpc/EM.GetStatus?id=0")
        assert server.guard.issued == 1
        assert (await get(session, server, "/shelly"))["auth_domain"] == server.id


async def test_new_digest_state_per_request_exhausts_the_slots_of_firmware_2(dtu: SimDtu, clock: Clock) -> None:
    async with Gen2Server(dtu, clock, password=PASSWORD, firmware="2.0.0", latency_s=0.0) as server:
        codes = []
        async with aiohttp.ClientSession() as session:
            for second in range(34):
                clock.now_s = second / 10
                digest = aiohttp.DigestAuthMiddleware("admin", PASSWORD)
                url = f"http://{server.host}/rpc/EM.GetStatus?id=0"
                async with session.get(url, middlewares=(digest,)) as response:
                    codes.append(response.status)
        assert codes == [200] * 32 + [429] * 2


# With the real client ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("device", "channel"), [("3em", None), ("3em", "b"), ("em", "0")])
async def test_the_real_client_reads_generation_1(
    dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession, device: Literal["3em", "em"], channel: str | None
) -> None:
    async with Gen1Server(dtu, clock, device=device, password=PASSWORD) as server:
        clock.now_s = 60.0
        settings = Settings(server.host, password=SecretStr(PASSWORD), channel=channel)
        reading = await ShellyMeter(settings, session, clock).read()
        assert reading.power_w == pytest.approx(150 if channel == "b" else GRID_W, abs=0.2)
        assert server.max_in_flight == 1


@pytest.mark.parametrize(("device", "channel"), [("pro3em", None), ("pro3em-mono", "sum"), ("pm-mini", None)])
async def test_the_real_client_reads_generation_2(
    dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession, device: Device, channel: str | None
) -> None:
    async with Gen2Server(dtu, clock, device=device, password=PASSWORD, firmware="2.0.0") as server:
        clock.now_s = 61.5
        settings = Settings(server.host, password=SecretStr(PASSWORD), channel=channel)
        meter = ShellyMeter(settings, session, clock)
        reading = await meter.read()
        assert reading.power_w == pytest.approx(GRID_W, abs=0.2)
        assert reading.energy_export_wh is not None
        assert reading.energy_import_wh is not None
        assert reading.energy_export_wh > reading.energy_import_wh > 0
        server.meter.is_valid = False
        with pytest.raises(DeviceAnswerError):
            await meter.read()


@pytest.mark.parametrize("make", [Gen1Server, Gen2Server])
async def test_the_real_client_sees_a_healthy_meter_move_and_a_frozen_one_stand_still(
    dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession, make: type[Gen1Server | Gen2Server]
) -> None:
    async with make(dtu, clock, latency_s=0.0) as server:
        meter = ShellyMeter(Settings(server.host), session, clock)

        async def told() -> set[MeterReading]:
            """All that 90 s of answers differ in, but the time."""
            readings = set()
            for _ in range(90):
                clock.now_s += 1.0
                readings.add(replace(await meter.read(), at_s=0.0))
            return readings

        clock.now_s = 61.5
        assert len(await told()) > 80
        server.meter.is_power_frozen = True
        clock.now_s += 1.0
        moving = await told()
        assert len(moving) > 80
        assert len({reading.power_w for reading in moving}) == 1
        server.meter.is_frozen = True
        clock.now_s += 61.0
        await meter.read()
        assert len(await told()) == 1


async def test_the_real_client_reads_a_meter_that_tells_only_watts(
    dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession
) -> None:
    async with Gen1Server(dtu, clock) as first, Gen2Server(dtu, clock) as second:
        for server in (first, second):
            server.meter.tells_only_watts = True
        clock.now_s = 61.5
        for server in (first, second):
            reading = await ShellyMeter(Settings(server.host), session, clock).read()
            assert reading.power_w == round(reading.power_w) == pytest.approx(GRID_W, abs=2)
            assert {(phase.voltage_v, phase.current_a) for phase in reading.phases if phase} == {(None, None)}
            assert (reading.frequency_hz, reading.energy_import_wh) == (None, None)


async def test_the_real_client_takes_loads_that_hide_export_for_solar_only(
    dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession
) -> None:
    async with Gen1Server(dtu, clock, device="1pm") as first, Gen2Server(dtu, clock, device="plus1pm") as second:
        for server in (first, second):
            clock.now_s = 60.0
            with pytest.raises(DeviceAnswerError, match="cannot measure the grid"):
                await ShellyMeter(Settings(server.host), session, clock).read()
            reading = await ShellyMeter(Settings(server.host), session, clock, section="solar").read()
            assert reading.power_w == pytest.approx(-GRID_W, abs=0.2)
