"""Simulated devices behind real HTTP, and a configuration for them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.servers.http_server import tick
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server

SERIALS = ("1124a0000001", "1124a0000002")
PASSWORD = "s3cret-of-the-dtu"
MAC = "a0dd6c112233"
LOAD_W = 300.0


@dataclass
class Devices:
    dtu: SimDtu
    opendtu: OpenDtuServer
    meter: Gen2Server

    def config(
        self, folder: Path, *, inverters: bool = True, control: str = "", password: str = PASSWORD, bus: str = ""
    ) -> Path:
        path = folder / "config.toml"
        blocks = "".join(f'[[inverter]]\nserial = "{serial}"\nmin_power_w = 20\n' for serial in SERIALS)
        path.write_text(
            f'[meter]\nhost = "{self.meter.host}"\npoll_interval_s = 0.5\n'
            f'[opendtu]\nhost = "{self.opendtu.host}"\npassword = "{password}"\npoll_interval_s = 1\n'
            f"{blocks if inverters else ''}[battery]\nmin_voltage_v = 40\n"
            f"[control]\n{control}[dbus]\n"
            + (f'bus = "{bus}"\n' if bus else "enabled = false\n")
        )  # fmt: skip
        return path


@pytest.fixture
async def devices() -> AsyncIterator[Devices]:
    models = [InverterModel(serial, f"HMS {number}", power_on_wait_s=1.0) for number, serial in enumerate(SERIALS)]
    warm_up_s = 300.0
    dtu = SimDtu(House([LOAD_W], models, start_s=-warm_up_s), poll_interval_s=1.0, loss=0.0)
    dtu.advance(0.0)
    began_s = time.monotonic()

    def clock() -> float:
        return time.monotonic() - began_s

    opendtu = OpenDtuServer(dtu, clock, password=PASSWORD)
    meter = Gen2Server(dtu, clock)
    ticker = asyncio.create_task(tick(dtu, clock))
    async with opendtu, meter:
        yield Devices(dtu, opendtu, meter)
    ticker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await ticker


def limits_w(devices: Devices) -> list[float]:
    return [inverter.limit_w for inverter in devices.dtu.house.inverters.values()]
