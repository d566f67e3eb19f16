"""No task of the program ends unnoticed, however it ends: the program ends with a word, and is started anew."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from opendtu_dcload import app
from opendtu_dcload.config import parse_config
from opendtu_dcload.errors import TaskEndedError
from opendtu_dcload.lasting import Task, lasting
from tests.doubles.devices import Devices
from tests.doubles.until import until
from tests.program.in_process import InProcess

pytestmark = pytest.mark.realtime

ENDING = """
import asyncio, os, sys
from opendtu_dcload import app, cli

async def regulate(loop, controls):
    regulating = asyncio.create_task(loop.run())
    asyncio.get_running_loop().call_soon(int, "a mishap")
    while not os.path.exists({told!r}):
        await asyncio.sleep(0.05)
    regulating.cancel()

app._regulate = regulate
sys.exit(cli.main(["--config", {config!r}]))
"""
PASSING = re.compile(r"Task-\d+|commands to .*|watch over tasks|push of .*")
"""Tasks that end when what they are for is done, and those of the test and of the simulated DTU."""
LASTING = {
    "meter",
    "DTU opendtu",
    "push opendtu",
    "control",
    "health",
    "battery",
    "D-Bus settings",
    "D-Bus watch",
    "D-Bus meter",
    "settings connection",
    "notifications",
    "telling alarms",
    "com.victronenergy.acload.shelly_a0dd6c112233",
    "instance of com.victronenergy.switch.opendtu_dcload",
}


def tasks() -> dict[str, asyncio.Task[object]]:
    found = {task.get_name(): task for task in asyncio.all_tasks()}
    return {name: task for name, task in found.items() if not PASSING.fullmatch(name)}


async def test_a_task_that_is_gone_ends_the_program_which_names_it(plant: InProcess) -> None:
    names = set(LASTING)
    ended: set[str] = set()
    while names - ended:
        program = asyncio.create_task(app.run(parse_config(plant.table), plant.folder))
        await until(lambda: tasks().keys() >= LASTING)
        names |= tasks().keys()
        name = min(names - ended)
        tasks()[name].cancel()
        with pytest.raises(ExceptionGroup) as caught:
            await program
        assert caught.group_contains(TaskEndedError, match=re.escape(f'"{name}"'))
        ended.add(name)


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_returns_ends_what_it_runs_beside() -> None:
    async def returns() -> None:
        pass

    with pytest.raises(ExceptionGroup) as caught:
        async with lasting([Task("short", returns()), Task("long", asyncio.Event().wait())]):
            await turns()
    assert caught.group_contains(TaskEndedError, match='the task "short" has ended')


async def test_what_may_end_ends_nothing_and_what_may_not_ends_with_the_body() -> None:
    done, waiting = asyncio.Event(), asyncio.Event()

    async def passes() -> None:
        done.set()

    async def stays() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            waiting.set()

    async with lasting([Task("passes", passes(), may_end=True), Task("stays", stays())]):
        await done.wait()
        await asyncio.sleep(0)
        assert not waiting.is_set()
    assert waiting.is_set()


async def test_a_task_that_returns_costs_one_sentence_and_exit_code_1_after_the_inverters_were_told(
    devices: Devices, tmp_path: Path
) -> None:
    code = ENDING.format(told=str(tmp_path / "now"), config=str(devices.config(tmp_path)))
    program = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=PIPE, stderr=PIPE)
    await until(lambda: program.returncode is not None or abs(devices.house.grid_w - 10) < 30)
    (tmp_path / "now").touch()
    _, log = await program.communicate()
    assert program.returncode == 1
    assert log.count(b'the task "control" has ended, which it never should') == 1
    assert (
        log.count(b"invalid literal for int() with base 10: 'a mishap'), and the program goes on: please report") == 1
    )
    assert b"stopping, inverters told minimum" in log
    assert b"Traceback" not in log
    await until(lambda: devices.limits_w == [20, 20])
