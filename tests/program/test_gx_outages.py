"""The whole program beside systemcalc: what the GX concludes while OpenDTU or the meter is away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opendtu_dcload import app
from opendtu_dcload.config import load_config
from opendtu_dcload.venus.services import acload, dcsystem
from tests.doubles.devices import Devices
from tests.doubles.gx_services import VEBUS, VEBUS_VALUES, Gx, SystemCalc, systemcalc
from tests.doubles.localsettings_process import SettingsProcess
from tests.doubles.message_bus import Daemon
from tests.doubles.until import until

pytestmark = pytest.mark.realtime


@pytest.fixture
async def system(
    devices: Devices,
    daemon: Daemon,
    localsettings: SettingsProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[SystemCalc]:
    """Run the program with its meter as the grid meter, its waits shortened, until the GX sees both sums."""
    monkeypatch.setattr(acload, "METER_SHOWN_S", 2.0)
    monkeypatch.setattr(acload, "SILENT_S", 1.0)
    monkeypatch.setattr(acload, "BACK_S", 1.0)
    monkeypatch.setattr(dcsystem, "dtu_summed_s", lambda _: 2.0)
    monkeypatch.setattr(dcsystem, "BACK_S", 1.0)
    localsettings.start()
    config = devices.config(tmp_path, bus=str(daemon.address))
    with config.open("a") as file:
        file.write('meter_role = "grid"\nallow_grid_role = true\n')
    gx = Gx(daemon.address)
    await gx.join(VEBUS, VEBUS_VALUES)
    async with systemcalc(daemon.address) as system:
        task = asyncio.create_task(app.run(load_config(config), tmp_path))
        await until(lambda: (system.values.get("/Dc/System/Power") or 0.0) > 200)
        await until(lambda: system.values.get("/Ac/Grid/L1/Power") not in {None, 380.0})
        system.seen.clear()
        yield system
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await gx.end()


async def test_while_opendtu_is_silent_the_gx_knows_no_dc_power_and_never_takes_it_for_zero(
    devices: Devices, system: SystemCalc
) -> None:
    devices.opendtu.faults.drop = True
    await until(lambda: system.values["/Dc/System/Power"] is None)
    assert 0.0 not in system.seen["/Dc/System/Power"]
    devices.opendtu.faults.drop = False
    await until(lambda: (system.values["/Dc/System/Power"] or 0.0) > 20)


async def test_while_the_meter_is_dead_the_gx_goes_by_the_multiplus(devices: Devices, system: SystemCalc) -> None:
    devices.meter.faults.drop = True
    await until(lambda: system.values["/Ac/Grid/L1/Power"] == 380.0)
    devices.meter.faults.drop = False
    await until(lambda: system.values["/Ac/Grid/L1/Power"] not in {None, 380.0})
