"""The program as a process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

from tests.doubles.devices import MAC


async def start(*arguments: str | Path) -> Process:
    environ = {name: value for name, value in os.environ.items() if name != "DBUS_SESSION_BUS_ADDRESS"}
    argv = (sys.executable, "-m", "opendtu_dcload", *map(str, arguments))
    return await asyncio.create_subprocess_exec(*argv, stdout=PIPE, stderr=PIPE, env=environ)


async def run(*arguments: str | Path) -> tuple[int, str, str]:
    process = await start(*arguments)
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")


@contextlib.asynccontextmanager
async def running(*arguments: str | Path) -> AsyncIterator[Process]:
    process = await start(*arguments)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line(program: Process) -> str:
    """Return the next line of its output; what ended instead has failed, and its log says why."""
    assert program.stdout is not None
    assert program.stderr is not None
    read = await program.stdout.readline()
    assert read, (await program.stderr.read()).decode(errors="replace")
    return read.decode(errors="replace")


def resident_kb(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


def on_bus(bus: str, path: str, service: str = f"acload.shelly_{MAC}") -> str:
    """Return what a service answers, empty while it is not on the bus."""
    argv = ["dbus-send", f"--bus={bus}", "--print-reply=literal", f"--dest=com.victronenergy.{service}", path]
    argv.append("com.victronenergy.BusItem.GetValue")
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout
