"""The whole program beside what a GX has on its bus."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from opendtu_dcload.venus.gx.service_watch import ServiceWatch, number
from opendtu_dcload.venus.services.dcsystem import NAME as DC_SYSTEM
from tests.doubles.devices import Devices
from tests.doubles.gx_services import BATTERY, GRID, GRID_VALUES, VEBUS, Gx, gx
from tests.doubles.message_bus import Daemon
from tests.doubles.until import until
from tests.program.process import running

pytestmark = pytest.mark.realtime

METER = "com.victronenergy.acload.shelly_a0dd6c112233"
OTHER = "com.victronenergy.dcsystem.ttyUSB1"
TEMPERATURE = "com.victronenergy.temperature.opendtu_battery"


@contextlib.asynccontextmanager
async def watching(daemon: Daemon) -> AsyncIterator[ServiceWatch]:
    watch = ServiceWatch(daemon.address)
    task = asyncio.create_task(watch.run())
    await watch.wait_ready()
    yield watch
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_dc_sum_is_right_steady_and_gone_with_the_dtu_or_beside_another_one(
    devices: Devices, tmp_path: Path, daemon: Daemon
) -> None:
    house = devices.dtu.house
    config = devices.config(tmp_path, bus=str(daemon.address))
    config.write_text(config.read_text() + "battery_temperature = true\n")
    async with watching(daemon) as watch, gx(daemon.address) as stand_in, running("--config", config) as program:

        async def power_w() -> float | None:
            return number(await watch.read(DC_SYSTEM, "/Dc/0/Power"), 0, 10_000)

        await until(lambda: abs(house.grid_w - 10) < 30)
        await until(lambda: DC_SYSTEM in (watch.names or ()))
        drawn_w: list[float | None] = []
        for _ in range(20):
            drawn_w.append(await power_w())
            await asyncio.sleep(0.1)
        assert None not in drawn_w
        while await power_w() != pytest.approx(house.output_w / 0.95, rel=0.1):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.1)
        await until(lambda: TEMPERATURE in (watch.names or ()))
        assert await watch.read(TEMPERATURE, "/Temperature") == 19.5

        await stand_in.join(OTHER, {"/DeviceInstance": 1})
        await until(lambda: DC_SYSTEM not in (watch.names or ()))
        await stand_in.leave(OTHER)
        await until(lambda: DC_SYSTEM in (watch.names or ()))

        await stand_in.fall_silent(VEBUS)
        await stand_in.leave(BATTERY)
        await devices.opendtu.stop()
        await until(lambda: DC_SYSTEM not in (watch.names or ()))
        assert await watch.read(METER, "/Connected") == 1
        program.terminate()
        _, log = await program.communicate()
        assert program.returncode == 0, log
    assert b"battery: com.victronenergy.battery.ttyUSB0" in log
    assert f"{OTHER} is a DC system meter already".encode() in log
    assert b"battery lost" in log
    assert b"inverter/charger lost" in log


@contextlib.asynccontextmanager
async def measuring(stand_in: Gx, grid_w: Callable[[], float]) -> AsyncIterator[None]:
    """Let the GX have a grid meter that shows what the house draws."""

    async def measure() -> None:
        while True:
            stand_in.set(GRID, {"/Ac/Power": grid_w()})
            await asyncio.sleep(0.1)

    await stand_in.join(GRID, GRID_VALUES)
    task = asyncio.create_task(measure())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_meter_of_the_gx_serves_instead_of_a_shelly(devices: Devices, tmp_path: Path, daemon: Daemon) -> None:
    house = devices.dtu.house
    config = devices.config(tmp_path, bus=str(daemon.address))
    written = config.read_text().replace(f'host = "{devices.meter.host}"', 'source = "gx"', 1)
    config.write_text(written)
    await devices.meter.stop()
    async with (
        gx(daemon.address) as stand_in,
        measuring(stand_in, lambda: house.grid_w),
        running("--config", config) as program,
    ):
        await until(lambda: abs(house.grid_w - 10) < 30)
        house.load_w = [500.0]
        await until(lambda: abs(house.grid_w - 10) < 30)
        program.terminate()
        _, log = await program.communicate()
        assert program.returncode == 0, log
    assert b"meter of the GX" in log
    assert b"WARNING" not in log
