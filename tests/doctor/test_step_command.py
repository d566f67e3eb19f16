"""`check --step` as a command, at a terminal and without one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opendtu_dcload import cli
from tests.doctor.plant import plant
from tests.doctor.terminal import at_terminal
from tests.doubles.devices import Devices

pytestmark = pytest.mark.realtime


def test_without_a_terminal_it_asks_for_yes_and_sets_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "config.toml"
    path.write_text('[meter]\nhost = "127.0.0.1:1"\n[opendtu]\nhost = "127.0.0.1:1"\n')
    assert cli.main(["check", "--step", "--config", str(path)]) == 2
    assert "--yes" in capsys.readouterr().err


PROGRAM = """
import sys
from opendtu_dcload import cli
from opendtu_dcload.doctor.checks import check
from opendtu_dcload.doctor.step import step_test
check.WATCHED_S, step_test.TAIL_S = 0, float(sys.argv[1])
sys.exit(cli.main(sys.argv[2:]))
"""
HASTE = 5
"""So much quicker than a clock the plant moves."""


@contextlib.asynccontextmanager
async def moving(plant: Devices) -> AsyncIterator[None]:
    async def move() -> None:
        while True:
            await plant.clock.sleep(0.02 * HASTE)
            plant.dtu.advance(plant.clock.now_s)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(move())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_at_a_terminal_it_says_that_limits_above_the_cap_are_lowered_and_takes_a_german_no_and_yes(
    tmp_path: Path,
):
    question = "Nothing else may command them meanwhile. Go on? [y/N]"
    async with plant(count=1, limits_w=(400.0,)) as devices, moving(devices):
        path = devices.config(tmp_path, control="max_feed_in_w = 300\n")
        arguments = ("0.6", "check", "--step", "--config", path)
        async with at_terminal(*arguments, program=PROGRAM) as terminal:
            await terminal.hear("Their limits allow 400 W together, more than control.max_feed_in_w = 300")
            await terminal.answer(question, "vielleicht", "nein")
            assert await terminal.end() == 1
            assert '"vielleicht" is neither yes nor no' in terminal.said
            assert "nothing was set" in terminal.said
            assert devices.opendtu.posted == []
        async with at_terminal(*arguments, program=PROGRAM) as terminal:
            await terminal.answer(question, "ja")
            assert await terminal.end() == 0
            assert "ok       inverter 1124a0000001: of a step of 200 W the meter shows" in terminal.said
        assert devices.final_limits_w == [20.0]


async def test_ctrl_d_and_a_closed_terminal_at_the_question_set_nothing(tmp_path: Path):
    async with plant(count=1) as devices, moving(devices):
        async with at_terminal(
            "0.6", "check", "--step", "--config", devices.config(tmp_path), program=PROGRAM
        ) as terminal:
            await terminal.hear("Go on? [y/N]")
            terminal.type(b"\x04")
            assert await terminal.end() == 1
            assert "Traceback" not in terminal.said
        assert devices.opendtu.posted == []


async def test_without_a_bus_the_service_on_this_machine_is_seen_and_not_disturbed(tmp_path: Path):
    async with plant(count=1) as devices, moving(devices):
        path = devices.config(tmp_path)
        service = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "opendtu_dcload", "--config", str(path), stderr=PIPE
        )
        while not devices.opendtu.posted:  # noqa: ASYNC110  another process brings it about
            await asyncio.sleep(0.02)
        process = await start(devices, tmp_path)
        out, err = await process.communicate()
        service.terminate()
        _, log = await service.communicate()
    assert (process.returncode, err) == (1, b"")
    assert b"problem  the service runs (on this machine), so no step was made: stop it" in out
    assert b"note     this program runs already (on this machine): do not start it twice" in out
    assert b"another controller sets limits" not in out
    assert b"another controller" not in log


async def start(plant: Devices, folder: Path, *, tail_s: float = 0.6) -> asyncio.subprocess.Process:
    arguments = (str(tail_s), "check", "--step", "--yes", "--config", str(plant.config(folder)))
    return await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, *arguments, stdout=PIPE, stderr=PIPE)


async def test_the_command_makes_the_step_and_says_what_it_found(tmp_path: Path):
    async with plant(count=1) as devices, moving(devices):
        process = await start(devices, tmp_path)
        out, err = await process.communicate()
        assert devices.final_limits_w == [100.0]
    assert (process.returncode, err) == (0, b"")
    assert b"ok       inverter 1124a0000001: of a step of 200 W the meter shows" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
async def test_a_signal_ends_the_command_with_the_inverter_set_back(tmp_path: Path, number: signal.Signals):
    async with plant(count=1) as devices, moving(devices):
        process = await start(devices, tmp_path, tail_s=30.0)  # or it may be over before the signal
        while process.returncode is None and not devices.opendtu.posted:  # noqa: ASYNC110  another process does it
            await asyncio.sleep(0.02)
        process.send_signal(number)
        out, err = await process.communicate()
        devices.dtu.advance(devices.clock.now_s + 30)
        assert devices.final_limits_w == [100.0]
    assert process.returncode == 1
    assert b"set back to 100 W" in out
    assert b"Traceback" not in err


async def test_without_a_terminal_it_tells_each_phase_once_and_json_stays_clean(tmp_path: Path):
    async with plant(count=1) as devices, moving(devices):
        path = devices.config(tmp_path)
        told = {}
        for more in ((), ("--json",)):
            arguments = ("0.6", "check", "--step", "--yes", "--config", str(path), *more)
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, *arguments, stdout=PIPE)
            told[more] = (await process.communicate())[0].decode()
            assert process.returncode == 0
    phases = [line for line in told[()].splitlines() if line.startswith("inverter 1124a0000001: ")]
    assert [phase.partition(": ")[2] for phase in phases] == [
        "waiting for a quiet meter",
        "told 300 W",
        "waiting for a quiet meter",
        "told 100 W",
    ]
    assert "problem" not in {finding["level"] for finding in json.loads(told[("--json",)])}


async def test_at_a_terminal_a_line_shows_how_the_step_gets_on(tmp_path: Path):
    async with plant(count=1) as devices, moving(devices):
        path = devices.config(tmp_path)
        async with at_terminal("0.6", "check", "--step", "--yes", "--config", path, program=PROGRAM) as terminal:
            await terminal.hear("\r\x1b[Kinverter 1124a0000001: told 300 W, ")
            await terminal.hear("acknowledged, grid ")
            await terminal.hear("\r\x1b[Kok       inverter 1124a0000001: of a step of")
            assert await terminal.end() == 0
