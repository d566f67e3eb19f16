"""Signs of life for whoever supervises the program, and Python libraries with gaps."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from opendtu_dcload import __version__
from opendtu_dcload.freshness import PLAN_S
from opendtu_dcload.model import Plan, Reason
from opendtu_dcload.state import State
from opendtu_dcload.tasks.watchdog import Supervisor, report_health
from tests.doubles.devices import Devices
from tests.doubles.until import until
from tests.program.process import running

pytestmark = pytest.mark.realtime


def listen(folder: Path) -> tuple[socket.socket, str]:
    """Return a socket as systemd's, and its name."""
    name = str(folder / "notify")
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(name)
    receiver.setblocking(False)
    return receiver, name


async def test_the_program_tells_systemd_and_the_health_file(
    devices: Devices,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receiver, name = listen(tmp_path)
    health = tmp_path / "health"
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    monkeypatch.setenv("OPENDTU_DCLOAD_HEALTH", str(health))
    loop = asyncio.get_running_loop()
    with receiver:
        async with running("--config", devices.config(tmp_path)) as program:
            for _ in range(3):
                said = (await loop.sock_recv(receiver, 4096)).decode()
                assert said.startswith("READY=1\nWATCHDOG=1\nSTATUS=")
            line = rf"ok \d+ {program.pid} {re.escape(__version__)} .+, \d+ W wanted\n"
            assert re.fullmatch(line, health.read_text())
            program.terminate()
            while said != "STOPPING=1":  # before the end: the socket holds only so many
                said = (await loop.sock_recv(receiver, 4096)).decode()
            _, log = await program.communicate()
    assert not health.exists()
    first = log.decode().splitlines()[0]
    assert first.startswith(f"INFO opendtu-dcload {__version__}: Python {sys.version.split()[0]} ")
    for part in ("aiohttp 3.", "dbus-next 0.2.3", "pydantic 2.", "tomli 2.", devices.meter.host, devices.opendtu.host):
        assert part in first


async def test_a_relay_and_plug_in_solar_that_are_silent_keep_no_sign_of_life_away(
    devices: Devices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = tmp_path / "health"
    monkeypatch.setenv("OPENDTU_DCLOAD_HEALTH", str(health))
    path = devices.config(tmp_path)
    path.write_text(f'{path.read_text()}[relay]\nhost = "127.0.0.1:1"\n[solar]\nhost = "127.0.0.1:1"\n')
    async with running("--config", path) as program:
        await until(lambda: abs(devices.dtu.house.grid_w - 10) < 30)
        assert re.match(rf"ok \d+ {program.pid} ", health.read_text())


@pytest.mark.parametrize("age_s", [None, PLAN_S + 0.1], ids=["no decision yet", "the loop hangs"])
async def test_says_nothing_without_a_fresh_decision(age_s: float | None, tmp_path: Path) -> None:
    receiver, name = listen(tmp_path)
    fed: list[int] = []
    state = State()
    if age_s is not None:
        state.set_plan(Plan(100.0 - age_s, 0.0, 0.0, Reason.STARTING))
    supervisor = Supervisor(name, 0.001, None)
    with receiver:
        report = asyncio.create_task(report_health(supervisor, state, "1", lambda: 100.0, lambda: fed.append(1)))
        await asyncio.sleep(0.02)
        with pytest.raises(BlockingIOError):
            receiver.recv(4096)
        assert not fed
        state.set_plan(Plan(99.0, 0.0, 0.0, Reason.STARTING))
        said = await asyncio.get_running_loop().sock_recv(receiver, 4096)
        assert said.startswith(b"READY=1")
        assert fed
        report.cancel()


@pytest.mark.parametrize(
    ("watchdog", "every_s"),
    [("", 2.0), ("0", 2.0), ("x", 2.0), ("30000000", 2.0), ("3000000", 1.0)],
    ids=["none", "off", "nonsense", "30 s", "3 s"],
)
def test_feeds_the_watchdog_in_time(watchdog: str, every_s: float) -> None:
    assert Supervisor.of({"WATCHDOG_USEC": watchdog}).every_s == every_s


def test_an_abstract_socket_is_reached() -> None:
    name = f"\0opendtu-dcload-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name)
        Supervisor("@" + name[1:], 1.0, None).say(systemd="READY=1", line="")
        assert receiver.recv(100) == b"READY=1"


def test_a_supervisor_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    Supervisor(str(tmp_path / "nothing"), 1.0, tmp_path / "no folder/health").say(systemd="READY=1", line="ok")


def test_runs_without_zoneinfo() -> None:
    code = (
        "import sys\n"
        "class Lacking(sys.modules['_frozen_importlib_external'].PathFinder):\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        "        return None if name == 'zoneinfo' else super().find_spec(name, path, target)\n"
        "sys.meta_path[-1] = Lacking\n"
        "import opendtu_dcload.config, zoneinfo\n"
        "print(zoneinfo.__doc__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Stand-in" in done.stdout
