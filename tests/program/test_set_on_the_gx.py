"""The whole program beside a localsettings: what a user sets on the GX rules the simulated house, and is kept."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.app import run
from opendtu_dcload.config import parse_config
from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.servers.http_server import tick
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from opendtu_dcload.venus.gx import gx_control
from tests.doubles.bus_client import Client
from tests.doubles.localsettings_process import SettingsProcess
from tests.doubles.message_bus import Daemon
from tests.doubles.until import until

pytestmark = pytest.mark.realtime

SERIALS = ("1124a0000001", "1124a0000002")
METER = "com.victronenergy.acload.shelly_a0dd6c112233"
SWITCH = "com.victronenergy.switch.opendtu_dcload"
FIRST = f"com.victronenergy.dcload.opendtu_{SERIALS[0]}"
LOAD_W = 300.0


@dataclass
class Plant:
    dtu: SimDtu
    clock: Callable[[], float]
    table: dict[str, Any]
    folder: Path

    @contextlib.asynccontextmanager
    async def program(self) -> AsyncIterator[None]:
        """Run the program in this process, and let it leave the inverters at the end."""
        task = asyncio.create_task(run(parse_config(self.table), self.folder))
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    @property
    def house(self) -> House:
        return self.dtu.house

    @property
    def limits_w(self) -> list[float]:
        return [inverter.limit_w if inverter.is_on else 0.0 for inverter in self.house.inverters.values()]

    def holds(self, grid_w: float) -> bool:
        return abs(self.house.grid_w - grid_w) < 40


@pytest.fixture
async def plant(daemon: Daemon, tmp_path: Path) -> AsyncIterator[Plant]:
    models = [InverterModel(serial, f"HMS {number}", power_on_wait_s=1.0) for number, serial in enumerate(SERIALS)]
    dtu = SimDtu(House([LOAD_W], models, start_s=-300.0), poll_interval_s=1.0, loss=0.0)
    dtu.advance(0.0)
    began_s = time.monotonic()

    def clock() -> float:
        return time.monotonic() - began_s

    opendtu, meter = OpenDtuServer(dtu, clock, password="secret"), Gen2Server(dtu, clock)
    ticker = asyncio.create_task(tick(dtu, clock))
    async with opendtu, meter:
        yield Plant(
            dtu,
            clock,
            {
                "meter": {"host": meter.host, "poll_interval_s": 0.5},
                "opendtu": {"host": opendtu.host, "password": "secret", "poll_interval_s": 1.0},
                "inverter": [{"serial": serial, "min_power_w": 20.0} for serial in SERIALS],
                "battery": {"min_voltage_v": 40.0, "surplus_soc_pct": 95.0},
                "dbus": {"bus": str(daemon.address)},
            },
            tmp_path,
        )
    ticker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await ticker


async def write(client: Client, name: str, path: str, value: int) -> None:
    answer = await client.call(name, path, "SetValue", "v", ["i", value])
    assert answer == {"ok": ["i", 0]}


async def shown(client: Client, name: str, path: str) -> Any:
    answer = await client.call(name, path, "GetValue")
    return answer["ok"][1] if "ok" in answer else None


async def test_each_control_rules_the_plant_and_outlives_the_program(
    plant: Plant,
    client: Client,
    localsettings: SettingsProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gx_control, "QUIET_S", 0.05)
    monkeypatch.setattr(gx_control, "SWITCH_QUIET_S", 0.05)
    localsettings.start()
    async with plant.program():
        await until(lambda: plant.holds(10))
        assert await shown(client, SWITCH, "/PowerFeedInSoc") == 95
        await write(client, SWITCH, "/SwitchableOutput/target/Dimming", 180)
        await until(lambda: plant.holds(180))
        await write(client, METER, "/MaxFeedIn", 60)
        await until(lambda: sum(plant.limits_w) <= 60)
        await write(client, SWITCH, "/SwitchableOutput/max_feed_in/Dimming", 800)
        await write(client, SWITCH, f"/SwitchableOutput/opendtu_{SERIALS[0]}/State", 0)
        await until(lambda: plant.limits_w[0] == 0 and plant.holds(180))
        await write(client, SWITCH, "/SwitchableOutput/regulation/State", 0)
        await until(lambda: plant.limits_w == [0, 20])
        kept = {"GridTarget": 180, "Regulation": 0, f"Inverters/opendtu_{SERIALS[0]}": 0}
        await until(
            lambda: (
                kept.items()
                <= {
                    path.removeprefix("/Settings/OpenDtuDcload/"): v for path, v in localsettings.values.items()
                }.items()
            )
        )
    async with plant.program():
        while await shown(client, METER, "/Plan/Reason") != "switched off on the GX":  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)
        assert plant.limits_w == [0, 20]
        await write(client, METER, "/Regulation", 1)
        await until(lambda: plant.holds(180))
        assert plant.limits_w[0] == 0
