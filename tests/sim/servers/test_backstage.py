from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from opendtu_dcload.sim.runs.score import ideal_waste_wh
from opendtu_dcload.sim.servers.backstage import Backstage, Rules
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from tests.doubles.clock import Clock
from tests.sim.conftest import SERIAL, make_dtu

LOAD_W = [500.0] * 60 + [100.0] * 40 + [700.0] * 100
RULES = Rules(target_w=10.0, minimum_w=40.0, maximum_w=788.0, from_s=20.0)


@pytest.fixture
async def backstage(clock: Clock) -> AsyncIterator[Backstage]:
    dtu = make_dtu(LOAD_W)
    async with (
        OpenDtuServer(dtu, clock, latency_s=0.0) as opendtu,
        Gen2Server(dtu, clock, latency_s=0.0) as meter,
        Backstage(opendtu, meter, RULES) as backstage,
    ):
        yield backstage


async def get(session: aiohttp.ClientSession, backstage: Backstage, name: str) -> Any:
    async with session.get(f"http://{backstage.host}/_sim/{name}") as response:
        return await response.json()


async def post(session: aiohttp.ClientSession, backstage: Backstage, name: str, values: object) -> int:
    async with session.post(f"http://{backstage.host}/_sim/{name}", json=values) as response:
        return response.status


async def test_score_counts_energy_from_its_start_and_commands_from_the_beginning(
    backstage: Backstage, session: aiohttp.ClientSession, clock: Clock
) -> None:
    dtu = backstage.dtu
    dtu.post_limit(SERIAL, 0, 100.0)
    dtu.post_power(SERIAL, on=True)
    clock.now_s = 200.0
    backstage.score.advance(100.0)
    exported_wh = dtu.house.energy.exported_wh
    backstage.score.advance(200.0)
    score = await get(session, backstage, "score")
    assert score["commands"] == 2
    assert score["steps_over_300_w"] == 2
    j0_wh = ideal_waste_wh(LOAD_W[20:], minimum_w=40.0, maximum_w=788.0)
    assert score["j0_wh"] == round(j0_wh, 3)
    assert 0 < score["exported_wh"] < exported_wh
    assert score["waste_wh"] == pytest.approx(2 * score["exported_wh"] + score["avoidable_import_wh"], abs=0.01)
    assert score["waste_over_j0"] == pytest.approx(score["waste_wh"] / j0_wh, abs=0.01)
    assert score["within_60_w_pct"] < 50


async def test_score_of_a_run_that_ends_before_it_begins_has_no_ratio(
    backstage: Backstage, session: aiohttp.ClientSession, clock: Clock
) -> None:
    clock.now_s = 10.0
    score = await get(session, backstage, "score")
    assert (score["waste_wh"], score["waste_over_j0"]) == (0, None)


async def test_live_values_are_the_true_ones(
    backstage: Backstage, session: aiohttp.ClientSession, clock: Clock
) -> None:
    clock.now_s = 70.0
    live = await get(session, backstage, "live")
    assert (live["at_s"], live["load_w"]) == (70, 100)
    assert live["grid_w"] == pytest.approx(100 - sum(live["output_w"].values()), abs=0.2)


async def test_faults_are_set_and_cleared(backstage: Backstage, session: aiohttp.ClientSession, clock: Clock) -> None:
    dtu_url = f"http://{backstage._opendtu.host}/api/limit/status"
    assert await post(session, backstage, "faults", {"device": "dtu", "status": 500, "loss": 1}) == 200
    assert backstage.dtu.loss == 1.0
    async with session.get(dtu_url) as response:
        assert response.status == 500
    assert await post(session, backstage, "faults", {"device": "dtu", "refuse": True}) == 200
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get(dtu_url)
    assert await post(session, backstage, "faults", {"device": "dtu"}) == 200
    async with session.get(dtu_url) as response:
        assert response.status == 200
    assert await post(session, backstage, "faults", {"device": "meter", "sign": -1, "is_frozen": True}) == 200
    assert (backstage._meter.meter.sign, backstage._meter.meter.is_frozen) == (-1, True)


@pytest.mark.parametrize(
    "values",
    [
        [],
        {},
        {"device": "oven"},
        {"device": "dtu", "status": True},
        {"device": "dtu", "sign": 1},
        {"device": "meter", "sign": 1.5},
    ],
    ids=str,
)
async def test_nonsense_is_refused_and_changes_nothing(
    backstage: Backstage, session: aiohttp.ClientSession, values: object
) -> None:
    assert await post(session, backstage, "faults", values) == 400
    async with session.get(f"http://{backstage._opendtu.host}/api/limit/status") as response:
        assert response.status == 200


async def test_inverter_loses_its_battery_and_gets_it_back(
    backstage: Backstage, session: aiohttp.ClientSession, clock: Clock
) -> None:
    clock.now_s = 30.0
    assert await post(session, backstage, "inverter", {"serial": SERIAL, "has_dc": False}) == 200
    clock.now_s = 31.0
    assert (await get(session, backstage, "live"))["output_w"][SERIAL] == 0
    assert await post(session, backstage, "inverter", {"serial": SERIAL, "has_dc": True}) == 200
    clock.now_s = 60.0
    assert (await get(session, backstage, "live"))["output_w"][SERIAL] == 0  # it waits for the grid first
    clock.now_s = 120.0
    assert (await get(session, backstage, "live"))["output_w"][SERIAL] > 300
    assert await post(session, backstage, "inverter", {"serial": "1", "has_dc": True}) == 400


async def test_every_lie_can_be_played_over_http(
    backstage: Backstage, session: aiohttp.ClientSession, clock: Clock
) -> None:
    dtu, view, inverter = backstage.dtu, backstage._meter.meter, backstage.dtu.house.inverters[SERIAL]
    meter = {"is_power_frozen": True, "frozen_w": -88, "tells_only_watts": True, "refresh_s": 10}
    assert await post(session, backstage, "faults", {"device": "meter", **meter}) == 200
    assert {name: getattr(view, name) for name in meter} == meter
    commands = {"withholds_limits": True, "radio_hangs": True, "is_polling": False, "late_posts": 1, "acts_after_s": 3}
    assert await post(session, backstage, "faults", {"device": "dtu", **commands}) == 200
    assert {name: getattr(dtu, name) for name in commands} == commands
    lies: dict[str, float] = {"is_in_reach": False, "is_deaf": True, "answers_limits": False, "obeys": False}
    lies |= {"held_w": 90.0, "reads_back_pct": 100.0, "limit_w": 60.0}
    assert await post(session, backstage, "inverter", {"serial": SERIAL, "is_known": False, **lies}) == 200
    assert {name: getattr(inverter, name) for name in lies} == lies
    assert dtu.unknown_models == {SERIAL}
    assert await post(session, backstage, "inverter", {"serial": SERIAL, "is_known": True}) == 200
    assert dtu.unknown_models == set()
    assert await post(session, backstage, "inverter", {"serial": SERIAL, "colour": 1}) == 400
