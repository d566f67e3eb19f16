"""A reader of stdout or stderr that is stuck: nothing in the program waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.doubles.devices import Devices
from tests.doubles.ports import free_port
from tests.doubles.until import until
from tests.program.process import line, running

pytestmark = pytest.mark.realtime


def full_pipe() -> tuple[int, int]:
    """A pipe that takes nothing more; return where it is read and written."""
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"." * size)
    return reader, writer


@contextlib.asynccontextmanager
async def unread(which: str, *arguments: str | Path) -> AsyncIterator[tuple[Process, int]]:
    """The program with an output that nobody reads; yield where it could be read."""
    reader, writer = full_pipe()
    outputs: dict[str, int] = {"stdout": PIPE, "stderr": PIPE, which: writer}
    argv = (sys.executable, "-m", "opendtu_dcload", *map(str, arguments))
    program = await asyncio.create_subprocess_exec(*argv, stdout=outputs["stdout"], stderr=outputs["stderr"])
    os.close(writer)
    try:
        yield program, reader
    finally:
        os.close(reader)
        if program.returncode is None:
            program.kill()
        await program.wait()


@pytest.mark.parametrize("which", ["stderr", "stdout"])
async def test_output_that_nobody_reads_stops_neither_the_regulation_nor_the_orderly_end(
    devices: Devices,
    tmp_path: Path,
    which: str,
) -> None:
    config = devices.config(tmp_path)
    config.write_text(config.read_text() + '[log]\nlevel = "debug"\n')
    async with unread(which, "--config", config, "--live") as (program, _):
        await until(lambda: abs(devices.dtu.house.grid_w - 10) < 30)
        program.terminate()
        assert await program.wait() == 0
    await until(lambda: devices.limits_w == [20, 20])


async def ends_on_full_disk(*arguments: str | Path, unbuffered: bool) -> None:
    argv = (sys.executable, *(["-u"] if unbuffered else []), "-m", "opendtu_dcload", *map(str, arguments))
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    full = os.open("/dev/full", os.O_WRONLY)
    program = await asyncio.create_subprocess_exec(*argv, stdout=full, stderr=PIPE, env=environ)
    os.close(full)
    _, said = await program.communicate()
    assert "Traceback" not in said.decode()
    *_, last = said.decode().splitlines()
    assert last.startswith("what is printed cannot be written to stdout (No space left on device): ")
    assert program.returncode == 1


@pytest.mark.parametrize("unbuffered", [True, False])
@pytest.mark.parametrize("command", [("check",), ("check", "--json"), ("status",), ("status", "--json")])
async def test_a_full_disk_costs_one_sentence(
    devices: Devices, tmp_path: Path, command: tuple[str, ...], *, unbuffered: bool
) -> None:
    config = devices.config(tmp_path, web=f"port = {free_port()}\n")
    async with running("--config", config, "--live") as service:
        while " regulating" not in await line(service):
            pass
        await ends_on_full_disk(*command, "--config", config, unbuffered=unbuffered)


@pytest.mark.parametrize("unbuffered", [True, False])
@pytest.mark.parametrize("command", ["demo --duration 3", "simulate --trace ukdale_h3_2013-03-17_50400"])
async def test_a_full_disk_costs_what_plays_one_sentence(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, unbuffered: bool
) -> None:
    monkeypatch.chdir(tmp_path)  # where their pictures go
    await ends_on_full_disk(*command.split(), unbuffered=unbuffered)


@pytest.mark.parametrize("command", ["--help", "--version", "simulate --help"])
async def test_help_that_finds_no_room_is_told(command: str) -> None:
    await ends_on_full_disk(*command.split(), unbuffered=False)


async def test_a_watched_status_ends_when_the_disk_is_full(devices: Devices, tmp_path: Path) -> None:
    config = devices.config(tmp_path, web=f"port = {free_port()}\n")
    async with running("--config", config, "--live") as service:
        while " regulating" not in await line(service):
            pass
        await ends_on_full_disk("status", "--watch", "--config", config, unbuffered=False)


async def test_a_wrong_configuration_ends_the_program_although_nobody_reads_why(tmp_path: Path) -> None:
    async with unread("stderr", "--config", tmp_path / "missing.toml") as (program, _):
        assert await program.wait() == 2


def test_what_was_lost_is_counted_where_it_is_missing() -> None:
    reader, writer = full_pipe()
    code = (
        "import sys, time\n"
        "from opendtu_dcload import patient_stream\n"
        "with patient_stream.unblocked():\n"
        "    for number in range(patient_stream.MOST_WAITING + 7):\n"
        "        sys.stderr.write(f'line {number}\\n')\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    sys.stderr.write('last\\n')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writer
    ) as program:
        os.close(writer)
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        said = b""
        while b"line 900\n" not in said:
            said += os.read(reader, 65536)
        program.stdin.write(b"\n")
        program.stdin.flush()
        while chunk := os.read(reader, 65536):
            said += chunk
        os.close(reader)
    lines = said.lstrip(b".").decode().splitlines()
    kept = [line for line in lines if line.startswith("line ")]
    assert kept == [f"line {number}" for number in range(len(kept))]
    assert lines[len(kept) :] == [
        f"WARNING {1007 - len(kept)} lines are missing here: nobody read them in time",
        "last",
    ]


def test_an_output_that_was_closed_before_the_start_is_written_to_no_other_file(tmp_path: Path) -> None:
    other = tmp_path / "other"
    code = (
        f"import os\nassert os.open({str(other)!r}, os.O_WRONLY | os.O_CREAT) == 2\n"
        "import sys\nfrom opendtu_dcload.patient_stream import unblocked\n"
        "with unblocked():\n    print('said', file=sys.stderr)\n"
    )
    done = subprocess.run(["sh", "-c", f'exec "{sys.executable}" -c "$1" 2>&-', "sh", code], check=False)
    assert (done.returncode, other.read_text()) == (0, "")


def test_an_output_that_others_made_non_blocking_loses_nothing() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    code = (
        "import sys\nfrom opendtu_dcload.patient_stream import unblocked\n"
        "with unblocked():\n    sys.stderr.write('x' * 300_000)\n    sys.stderr.write('end\\n')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=writer) as program:
        os.close(writer)
        said = b""
        while chunk := os.read(reader, 65536):
            said += chunk
        os.close(reader)
    assert program.returncode == 0
    assert said == b"x" * 300_000 + b"end\n"
