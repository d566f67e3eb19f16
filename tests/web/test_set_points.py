"""What is set on the page rules the simulated house, with a GX and without one, and the GX keeps it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from opendtu_dcload.venus.gx import gx_control
from tests.doubles.bus_client import Client
from tests.doubles.devices import SERIALS, Devices
from tests.doubles.localsettings_process import SettingsProcess
from tests.doubles.message_bus import Daemon
from tests.doubles.ports import free_port
from tests.doubles.until import until
from tests.program.in_process import METER, SWITCH, InProcess, shown, write

pytestmark = pytest.mark.realtime

TOKEN = "a-token-of-these-tests"


@contextlib.asynccontextmanager
async def page(plant: InProcess) -> AsyncIterator[Page]:
    async with aiohttp.ClientSession() as session:
        yield Page(session, plant.table["web"]["port"])


class Page:
    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._url = f"http://127.0.0.1:{port}/api/"

    async def set(self, **values: Any) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self._session.put(f"{self._url}set-points", json=values, headers=headers) as answer:
            assert answer.status == 200, await answer.text()

    async def set_points(self) -> Any:
        async with self._session.get(f"{self._url}state") as answer:
            return json.loads(await answer.text())["set_points"]


def with_page(devices: Devices, folder: Path, bus: str) -> InProcess:
    web = f'listen = "127.0.0.1"\nport = {free_port()}\ntoken = "{TOKEN}"\n'
    return InProcess(devices, folder, devices.table(bus=bus, web=web))


@pytest.mark.parametrize("has_bus", [False, True])
async def test_each_set_point_rules_the_plant(has_bus: bool, devices: Devices, daemon: Daemon, tmp_path: Path):
    plant = with_page(devices, tmp_path, str(daemon.address) if has_bus else "")
    async with plant.program(), page(plant) as page_of_it:
        await until(lambda: plant.holds(0))
        await page_of_it.set(grid_target_w=180)
        await until(lambda: plant.holds(180))
        await page_of_it.set(max_feed_in_w=60)
        await until(lambda: sum(plant.limits_w) <= 60)
        await page_of_it.set(max_feed_in_w=800, inverters={SERIALS[0]: {"is_enabled": False}})
        await until(lambda: plant.limits_w[0] == 0 and plant.holds(180))
        await page_of_it.set(is_regulating=False)
        await until(lambda: plant.limits_w == [0, 20])


async def test_gx_and_page_show_what_was_set_on_the_other_and_the_gx_keeps_it(
    devices: Devices,
    daemon: Daemon,
    client: Client,
    localsettings: SettingsProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(gx_control, "QUIET_S", 0.05)
    localsettings.start()
    plant = with_page(devices, tmp_path, str(daemon.address))
    async with plant.program(), page(plant) as page_of_it:
        await until(lambda: plant.holds(0))
        await page_of_it.set(grid_target_w=180)
        for name, path in ((SWITCH, "/SwitchableOutput/target/Dimming"), (METER, "/GridTarget")):
            while await shown(client, name, path) != 180:
                pass
        await until(lambda: localsettings.values.get("/Settings/OpenDtuDcload/GridTarget") == 180)
        await write(client, METER, "/MaxFeedIn", 70)
        while (await page_of_it.set_points())["max_feed_in_w"] != 70:
            pass
        await until(lambda: localsettings.values.get("/Settings/OpenDtuDcload/MaxFeedIn") == 70)
    async with plant.program(), page(plant) as page_of_it:
        kept: Any = None
        while kept is None or kept["grid_target_w"] == 0:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                kept = await page_of_it.set_points()
        assert (kept["grid_target_w"], kept["max_feed_in_w"]) == (180, 70)
