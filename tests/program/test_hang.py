"""A program that hangs ends by itself, so that any supervisor starts it anew, and tells the inverters where it can."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from opendtu_dcload.freshness import PLAN_S
from opendtu_dcload.tasks import watchdog
from tests.doubles.devices import Devices
from tests.doubles.until import until

pytestmark = pytest.mark.realtime

HANGING = """
import asyncio, itertools, os, socket, sys
from opendtu_dcload import app, cli, state
from opendtu_dcload.tasks import watchdog

watchdog.EVERY_S, watchdog.HANGS_AFTER_S, watchdog.ENDS_WITHIN_S, state.PLAN_S = 0.5, 4.0, {ends_within_s}, 2.0

def hang():
    {hang}

async def hangs_when_told(*_, **__):
    while not os.path.exists({told!r}):
        await asyncio.sleep(0.05)
    hang()

async def regulate(loop, controls):
    regulating = asyncio.create_task(loop.run())
    while not os.path.exists({told!r}):
        await asyncio.sleep(0.05)
    regulating.cancel()
    await asyncio.Event().wait()

if {hang!r} == "stuck":
    app._regulate = regulate
else:
    app.print_live = hangs_when_told
sys.exit(cli.main(["--config", {config!r}, "--live"]))
"""
FROM_PYTHON = {
    "a loop without end": "while True: pass",
    "a wait for the network": "pair = socket.socketpair(); pair[0].recv(1)",
    "a control task that waits for ever": "stuck",
}
NO_PYTHON = "sum(itertools.repeat(0))"
"""Holds the interpreter for ever and looks at no signal."""


async def start(devices: Devices, folder: Path, hang: str, ends_within_s: float) -> Process:
    """Start a program that does `hang` as soon as there is a file `now`, and wait until it regulates."""
    told = str(folder / "now")
    config = str(devices.config(folder))
    code = HANGING.format(hang=hang, told=told, config=config, ends_within_s=ends_within_s)
    program = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=PIPE, stderr=PIPE)
    await until(lambda: program.returncode is not None or abs(devices.dtu.house.grid_w - 10) < 30)
    (folder / "now").touch()
    return program


@pytest.mark.parametrize("hang", FROM_PYTHON.values(), ids=FROM_PYTHON)
async def test_a_hang_ends_the_program_after_the_inverters_were_told(
    devices: Devices,
    tmp_path: Path,
    hang: str,
) -> None:
    program = await start(devices, tmp_path, hang, 60.0)
    _, log = await program.communicate()
    assert program.returncode == 1
    assert log.count(b"hangs in ") == 1, log
    assert b"Traceback" not in log
    assert re.search(rb"stopping, inverters told minimum: (acknowledged by|taken by the DTU)", log), log
    await until(lambda: devices.limits_w == [20, 20])


async def test_a_hang_that_lets_no_python_run_ends_the_program_all_the_same(
    devices: Devices,
    tmp_path: Path,
) -> None:
    program = await start(devices, tmp_path, NO_PYTHON, 1.0)
    await program.communicate()
    assert program.returncode == 1


def test_it_comes_before_systemds_watchdog_and_after_the_start_scripts_pause() -> None:
    unit = (Path(__file__).parents[2] / "deploy/debian/opendtu-dcload.service").read_text()
    watchdog_s = int(unit.split("WatchdogSec=")[1].split()[0])
    assert watchdog.EVERY_S + PLAN_S < watchdog.HANGS_AFTER_S < watchdog_s - 5
