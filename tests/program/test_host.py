"""The machine under the program: stopped or starved, with a wall clock that jumps, a full disk, no descriptors left."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.doubles.devices import Devices, simulated
from tests.doubles.until import until
from tests.program.process import running

pytestmark = [pytest.mark.realtime, pytest.mark.long]

STOPPED_S = 12.0
HANGS_AFTER_S, HUNG_S = 4.0, 5.0
STARVED_S = 20.0
NEAR_W = 60.0
"""What is left of a step costs more in commands than it is worth for half a minute."""
JUMPING = """
import os, sys, time
from opendtu_dcload import cli
from opendtu_dcload.tasks import watchdog

watchdog.EVERY_S, watchdog.HANGS_AFTER_S = 0.5, {hangs_after_s}
folder, now, now_ns = {folder!r}, time.time, time.time_ns

def ahead_s():
    jumps = (("back", -5), ("forth", 25))
    return sum(years * 31_557_600 for name, years in jumps if os.path.exists(f"{{folder}}/{{name}}"))

time.time = lambda: now() + ahead_s()
time.time_ns = lambda: now_ns() + ahead_s() * 10**9
sys.exit(cli.main(["--config", {config!r}]))
"""


@pytest.fixture
async def devices() -> AsyncIterator[Devices]:
    """Inverters that obey at once: what is waited for here is the program."""
    async with simulated(dead_time_s=0.3, time_constant_s=0.2) as devices:
        yield devices


def is_regulated(devices: Devices) -> bool:
    return abs(devices.house.grid_w) < NEAR_W


async def start(devices: Devices, folder: Path, hangs_after_s: float = 20.0) -> asyncio.subprocess.Process:
    """Start a program whose wall clock jumps by years as soon as there is a file `back` or `forth`."""
    code = JUMPING.format(folder=str(folder), config=str(devices.config(folder)), hangs_after_s=hangs_after_s)
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=PIPE, stderr=PIPE)


async def test_a_wall_clock_that_jumps_by_years_back_and_forth_changes_nothing(
    devices: Devices, tmp_path: Path
) -> None:
    program = await start(devices, tmp_path)
    try:
        await until(lambda: is_regulated(devices))
        for jump, load_w in (("back", 150.0), ("forth", 400.0)):
            (tmp_path / jump).touch()
            devices.house.load_w = [load_w]
            await until(lambda: not is_regulated(devices))
            await until(lambda: is_regulated(devices))
        program.terminate()
        _, log = await program.communicate()
    finally:
        if program.returncode is None:
            program.kill()
    assert program.returncode == 0
    assert b"WARNING" not in log
    assert b"lost" not in log
    assert all(inverter.is_on for inverter in devices.house.inverters.values())


async def test_stopped_for_seconds_it_regulates_on(devices: Devices, tmp_path: Path) -> None:
    async with running("--config", devices.config(tmp_path)) as program:
        await until(lambda: is_regulated(devices))
        program.send_signal(signal.SIGSTOP)
        devices.house.load_w = [150.0]
        stopped_s = devices.clock()
        await until(lambda: devices.clock() > stopped_s + STOPPED_S)
        assert not is_regulated(devices), "it was stopped"
        program.send_signal(signal.SIGCONT)
        await until(lambda: is_regulated(devices))
        program.terminate()
        assert await program.wait() == 0
    await until(lambda: devices.limits_w == [20, 20])


async def test_stopped_for_longer_than_a_hang_it_ends_after_the_inverters_were_told(
    devices: Devices, tmp_path: Path
) -> None:
    program = await start(devices, tmp_path, hangs_after_s=HANGS_AFTER_S)
    try:
        await until(lambda: is_regulated(devices))
        program.send_signal(signal.SIGSTOP)
        stopped_s = devices.clock()
        await until(lambda: devices.clock() > stopped_s + HUNG_S)
        program.send_signal(signal.SIGCONT)
        _, log = await program.communicate()
    finally:
        if program.returncode is None:
            program.kill()
    assert program.returncode == 1
    assert b"stopping, inverters told minimum" in log
    assert b"Traceback" not in log
    await until(lambda: devices.limits_w == [20, 20])


async def test_starved_of_the_processor_it_regulates_on(devices: Devices, tmp_path: Path) -> None:
    async with running("--config", devices.config(tmp_path)) as program:
        await until(lambda: is_regulated(devices))
        began_s = devices.clock()
        devices.house.load_w = [150.0]
        while devices.clock() < began_s + STARVED_S:
            program.send_signal(signal.SIGSTOP)
            await asyncio.sleep(0.18)
            program.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.02)
        await until(lambda: is_regulated(devices))
        devices.house.load_w = [400.0]
        await until(lambda: is_regulated(devices))
        program.terminate()
        _, log = await program.communicate()
        assert program.returncode == 0
    assert b"hangs" not in log
    assert b"Traceback" not in log


async def test_on_a_full_disk_the_recording_ends_and_the_regulation_does_not(devices: Devices, tmp_path: Path) -> None:
    config = devices.config(tmp_path, more="[log]\nrecord = true\n")
    async with running("--config", config) as program:
        await until(lambda: is_regulated(devices))
        resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        assert program.stderr is not None
        log = await program.stderr.readuntil(b"recording.jsonl ends, regulation goes on")
        devices.house.load_w = [150.0]
        await until(lambda: not is_regulated(devices))
        await until(lambda: is_regulated(devices))
        program.terminate()
        _, last = await program.communicate()
        assert program.returncode == 0
    assert b"Traceback" not in log + last
    await until(lambda: devices.limits_w == [20, 20])


async def test_a_log_on_a_full_disk_stops_nothing(devices: Devices, tmp_path: Path) -> None:
    argv = (sys.executable, "-m", "opendtu_dcload", "--config", str(devices.config(tmp_path)))
    full = os.open("/dev/full", os.O_WRONLY)
    program = await asyncio.create_subprocess_exec(*argv, stdout=full, stderr=full)
    os.close(full)
    try:
        await until(lambda: is_regulated(devices))
        program.terminate()
        assert await program.wait() == 0
    finally:
        if program.returncode is None:
            program.kill()
    await until(lambda: devices.limits_w == [20, 20])


async def test_without_descriptors_it_says_so_lives_on_and_regulates_once_there_are_some(
    devices: Devices, tmp_path: Path
) -> None:
    async with running("--config", devices.config(tmp_path)) as program:
        assert program.stderr is not None
        await until(lambda: is_regulated(devices))
        limits = resource.prlimit(program.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(program.pid, resource.RLIMIT_NOFILE, (4, limits[1]))
        await devices.meter.stop()
        await devices.meter.start()
        log = await program.stderr.readuntil(b"Too many open files")
        resource.prlimit(program.pid, resource.RLIMIT_NOFILE, limits)
        devices.house.load_w = [150.0]
        log += await program.stderr.readuntil(b"meter back")
        await until(lambda: is_regulated(devices))
        program.terminate()
        _, last = await program.communicate()
        assert program.returncode == 0
    assert b"Traceback" not in log + last
