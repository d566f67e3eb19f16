"""The program in the process of the test, and what the GX is shown of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from opendtu_dcload.app import run
from opendtu_dcload.config import parse_config
from tests.doubles.bus_client import Client
from tests.doubles.devices import SERIALS, Devices

METER = "com.victronenergy.acload.shelly_a0dd6c112233"
SWITCH = "com.victronenergy.switch.opendtu_dcload"
FIRST = f"com.victronenergy.dcload.opendtu_{SERIALS[0]}"


class InProcess:
    """The program in this process, at simulated devices."""

    def __init__(self, devices: Devices, folder: Path, table: dict[str, Any]) -> None:
        self.dtu = devices.dtu
        self.house = devices.house
        self.clock = devices.clock
        self.folder = folder
        self.table = table

    @contextlib.asynccontextmanager
    async def program(self) -> AsyncIterator[None]:
        """Run the program, and let it leave the inverters at the end."""
        task = asyncio.create_task(run(parse_config(self.table), self.folder))
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    @property
    def limits_w(self) -> list[float]:
        return [inverter.limit_w if inverter.is_on else 0.0 for inverter in self.house.inverters.values()]

    def holds(self, grid_w: float) -> bool:
        return abs(self.house.grid_w - grid_w) < 40


async def write(client: Client, name: str, path: str, value: int) -> None:
    answer = await client.call(name, path, "SetValue", "v", ["i", value])
    assert answer == {"ok": ["i", 0]}


async def shown(client: Client, name: str, path: str) -> Any:
    answer = await client.call(name, path, "GetValue")
    return answer["ok"][1] if "ok" in answer else None
