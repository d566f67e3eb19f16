"""The meter as the GX's grid meter: only where that is allowed, and never beside another one."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from opendtu_dcload.state import State
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.venus.gx.service_watch import ServiceWatch
from opendtu_dcload.venus.services.acload import BACK_S, FREE_S, SILENT_S, Role
from opendtu_dcload.venus.services.device import NAME_QUIET_S
from tests.doubles.bus_client import Client, owned, system_python
from tests.doubles.gx_services import GRID, GRID_VALUES, VEBUS, VEBUS_VALUES, Gx, systemcalc
from tests.doubles.localsettings_process import SettingsProcess
from tests.doubles.message_bus import Daemon
from tests.doubles.until import until
from tests.venus.services.test_acload import INFO, METER, NAME, meter_service

pytestmark = pytest.mark.realtime

AS_GRID = NAME.replace("acload", "grid")
SHOWN_S = 15.0
"""As `test_acload.meter_service` has it."""
BOTH = ["as", ["acload", "grid"]]


class ShownMeter:
    now_s = 100.0
    state = State()
    watch: ServiceWatch


@contextlib.asynccontextmanager
async def running(
    daemon: Daemon, role: Role = "acload", *, is_allowed: bool = True, settings: LocalSettings | None = None
) -> AsyncIterator[ShownMeter]:
    state, meter = State(), ShownMeter()
    meter.state = state
    state.set_meter_info(INFO)
    state.set_meter(METER)
    watch = meter.watch = ServiceWatch(daemon.address, retry_delays_s=(0.01,))
    other_grids = watch if is_allowed else None
    service = meter_service(state, daemon.address, lambda: meter.now_s, role, other_grids, settings)
    tasks = [asyncio.create_task(watch.run())]
    if settings is not None:
        tasks.append(asyncio.create_task(settings.run()))
    await watch.wait_ready()
    tasks.append(asyncio.create_task(service.run()))
    yield meter
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)


@pytest.fixture
async def stand_in(daemon):
    stand_in = Gx(daemon.address)
    yield stand_in
    await stand_in.end()


async def choose(client: Client, name: str, role: str) -> int:
    reply = await client.call(name, "/Role", "SetValue", "v", ["s", role])
    return int(reply["ok"][1])


async def gone(client: Client, name: str) -> None:
    while "ok" in await client.call(name, "/", "Ping"):  # noqa: ASYNC110 - the bus tells this client nothing
        await asyncio.sleep(0.005)


async def stays(client: Client, name: str) -> None:
    await asyncio.sleep(0.05)
    assert "ok" in await client.call(name, "/", "Ping")


async def test_a_grid_meter_has_the_role_in_its_name_and_nothing_of_a_load(daemon, client):
    async with running(daemon, "grid"):
        await owned(client, AS_GRID)
        items = (await client.call(AS_GRID, "/", "GetItems"))["ok"]
    assert items["/Role"]["Value"] == ["s", "grid"]
    assert items["/AllowedRoles"]["Value"] == BOTH
    assert items["/Ac/Power"]["Value"] == ["d", -175.0]
    assert [items[f"/Ac/L{phase}/Power"]["Value"][1] for phase in (1, 2, 3)] == [-310.0, 120.0, 15.0]
    assert not {"/Position", "/IsGenericEnergyMeter"} & set(items)


async def test_a_choice_in_the_menu_of_the_gx_registers_the_meter_again_and_back(daemon, client):
    async with running(daemon):
        await owned(client, NAME)
        assert await client.get(NAME, "/AllowedRoles") == BOTH
        assert await choose(client, NAME, "grid") == 0
        await gone(client, NAME)
        await owned(client, AS_GRID)
        assert await client.get(AS_GRID, "/Role") == ["s", "grid"]
        assert await choose(client, AS_GRID, "acload") == 0
        await gone(client, AS_GRID)
        await owned(client, NAME)


async def kept_as(kept: SettingsProcess, place: str) -> None:
    await until(lambda: place in kept.values.values())


async def test_a_chosen_role_outlives_the_program_where_localsettings_is(daemon, client, tmp_path):
    kept = SettingsProcess(system_python(), str(daemon.address), tmp_path)
    kept.start()
    time = ShownMeter()
    try:
        for chosen, other in (("grid", "acload"), ("acload", "grid")):
            settings = LocalSettings(daemon.address, lambda: time.now_s, retry_delays_s=(0.01,))
            async with running(daemon, settings=settings):
                await owned(client, NAME.replace("acload", other))
                assert await choose(client, NAME.replace("acload", other), chosen) == 0
                time.now_s += NAME_QUIET_S
                await owned(client, NAME.replace("acload", chosen))
                settings._wake.set()
                await kept_as(kept, f"{chosen}:59")
            settings = LocalSettings(daemon.address, lambda: time.now_s, retry_delays_s=(0.01,))
            async with running(daemon, settings=settings):
                await owned(client, NAME.replace("acload", chosen))
            async with running(daemon, settings=settings, is_allowed=False):
                await owned(client, NAME)
    finally:
        kept.stop()


@pytest.mark.parametrize("role", ["grid", "pvinverter", "", "GRID"])
async def test_without_leave_no_other_role_is_offered_or_taken(daemon, client, role):
    async with running(daemon, is_allowed=False):
        await owned(client, NAME)
        assert await client.get(NAME, "/AllowedRoles") == ["as", ["acload"]]
        assert await choose(client, NAME, role) != 0
        assert await client.get(NAME, "/Role") == ["s", "acload"]
        await stays(client, NAME)


async def test_a_role_that_does_not_exist_is_refused_though_grid_is_allowed(daemon, client):
    async with running(daemon):
        await owned(client, NAME)
        assert await choose(client, NAME, "genset") != 0
        await stays(client, NAME)


async def test_beside_another_grid_meter_the_choice_is_refused(daemon, client, stand_in, caplog):
    await stand_in.join(GRID, GRID_VALUES)
    async with running(daemon):
        await owned(client, NAME)
        assert await choose(client, NAME, "grid") != 0
        await stays(client, NAME)
    assert "or there is another one" in caplog.text


async def test_a_configured_grid_meter_waits_until_another_one_has_been_away_for_a_minute(
    daemon, client, stand_in, caplog
):
    caplog.set_level(logging.INFO)
    await stand_in.join(GRID, GRID_VALUES)
    async with running(daemon, "grid") as meter:
        await owned(client, NAME)
        await stand_in.leave(GRID)
        await until(lambda: not meter.watch.of_class("grid"))
        meter.now_s += FREE_S - 1
        await stays(client, NAME)
        meter.now_s += 2
        meter.state.set_meter(replace(METER, at_s=meter.now_s))
        await owned(client, AS_GRID)
    said = [record.message for record in caplog.records if record.name.endswith("acload")]
    assert said == [
        f"the meter stays an acload: {GRID} is the GX's grid meter already, remove one of them",
        "the meter is the GX's grid meter now: there is no other one any more",
    ]


async def test_a_grid_meter_makes_way_for_another_one_that_appears(daemon, client, stand_in):
    async with running(daemon, "grid"):
        await owned(client, AS_GRID)
        await stand_in.join(GRID, GRID_VALUES)
        await gone(client, AS_GRID)
        await owned(client, NAME)


async def test_acload_chosen_while_another_meter_is_the_grid_meter_holds_when_that_goes(
    daemon, client, stand_in, localsettings
):
    localsettings.start()
    time = ShownMeter()
    settings = LocalSettings(daemon.address, lambda: time.now_s, retry_delays_s=(0.01,))
    async with running(daemon, "grid", settings=settings) as meter:
        await owned(client, AS_GRID)
        await stand_in.join(GRID, GRID_VALUES)
        await owned(client, NAME)
        assert await choose(client, NAME, "acload") == 0
        time.now_s += NAME_QUIET_S
        settings._wake.set()
        await kept_as(localsettings, "acload:59")
        await stand_in.leave(GRID)
        meter.now_s += FREE_S + 1
        meter.state.set_meter(replace(METER, at_s=meter.now_s))
        await stays(client, NAME)
    settings = LocalSettings(daemon.address, lambda: time.now_s, retry_delays_s=(0.01,))
    async with running(daemon, "grid", settings=settings):
        await owned(client, NAME)
        await stays(client, NAME)


async def test_acload_chosen_holds_without_localsettings_too(daemon, client, stand_in):
    async with running(daemon, "grid") as meter:
        await owned(client, AS_GRID)
        await stand_in.join(GRID, GRID_VALUES)
        await owned(client, NAME)
        assert await choose(client, NAME, "acload") == 0
        await stand_in.leave(GRID)
        meter.now_s += FREE_S + 1
        meter.state.set_meter(replace(METER, at_s=meter.now_s))
        await stays(client, NAME)


@pytest.mark.parametrize(
    ("in_file", "chosen", "then_in_file", "is_now"),
    [
        ("grid", "acload", "grid", "acload"),
        ("acload", "grid", "acload", "grid"),
        ("acload", None, "grid", "grid"),
        ("grid", None, "acload", "acload"),
        ("grid", "acload", "acload", "acload"),
    ],
)
async def test_a_choice_on_the_gx_holds_at_the_next_start_and_what_nobody_chose_follows_the_file(
    daemon, client, localsettings, in_file, chosen, then_in_file, is_now
):
    localsettings.start()
    time = ShownMeter()
    for role in (in_file, then_in_file):
        settings = LocalSettings(daemon.address, lambda: time.now_s, retry_delays_s=(0.01,))
        async with running(daemon, role, settings=settings):
            if role == in_file and chosen is not None and f"{chosen}:59" not in localsettings.values.values():
                await owned(client, NAME.replace("acload", in_file))
                await choose(client, NAME.replace("acload", in_file), chosen)
                await owned(client, NAME.replace("acload", chosen))
            elif role == in_file:
                await owned(client, NAME.replace("acload", chosen or in_file))
            if role == then_in_file:
                await owned(client, NAME.replace("acload", is_now))
    assert f"{is_now}:59" in localsettings.values.values()


async def test_a_role_that_localsettings_is_told_is_taken_while_the_program_runs(daemon, client, localsettings):
    localsettings.start()
    time = ShownMeter()
    settings = LocalSettings(daemon.address, lambda: time.now_s, retry_delays_s=(0.01,))
    async with running(daemon, settings=settings):
        await owned(client, NAME)
        path = "/Settings/Devices/shelly_34945470a1b2/ClassAndVrmInstance"
        await client.call("com.victronenergy.settings", path, "SetValue", "v", ["s", "grid:59"])
        await owned(client, AS_GRID)


async def test_a_dead_shelly_leaves_the_grid_to_what_the_multiplus_measures(daemon, client, stand_in, caplog):
    caplog.set_level(logging.INFO, "opendtu_dcload.venus.services.acload")
    await stand_in.join(VEBUS, VEBUS_VALUES)
    async with running(daemon, "grid") as meter, systemcalc(daemon.address) as system:
        await owned(client, AS_GRID)
        await until(lambda: system.values["/Ac/Grid/L1/Power"] == -310.0)
        meter.now_s += SHOWN_S
        await stays(client, AS_GRID)
        meter.now_s += 1
        await until(lambda: system.values["/Ac/Grid/L1/Power"] is None)
        await stays(client, AS_GRID)
        meter.now_s += SILENT_S
        await gone(client, AS_GRID)
        await until(lambda: system.values["/Ac/Grid/L1/Power"] == 380.0)
        meter.state.set_meter(replace(METER, at_s=meter.now_s))
        await asyncio.sleep(0.05)
        assert "error" in await client.call(AS_GRID, "/", "Ping"), "one reading is not enough"
        meter.now_s += BACK_S
        meter.state.set_meter(replace(METER, at_s=meter.now_s))
        await owned(client, AS_GRID)
        await until(lambda: system.values["/Ac/Grid/L1/Power"] == -310.0)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the grid meter leaves the bus",
        "the grid meter is on the bus again",
    ]


async def test_a_load_meter_stays_with_invalid_values_since_nobody_regulates_by_it(daemon, client):
    async with running(daemon) as meter:
        await owned(client, NAME)
        meter.now_s += 10 * SILENT_S
        await stays(client, NAME)
        assert await client.get(NAME, "/Ac/Power") == ["ai", []]
