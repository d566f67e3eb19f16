"""Somebody who never saw it: from a machine without the program to a plant that regulates, command by command.

`pytest -rP tests/deploy/test_walk.py` prints how many commands and questions that takes.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.debian import DebianMachine, needs_systemd
from tests.deploy.gx import GxMachine, Machine
from tests.deploy.test_gx import HOME
from tests.deploy.test_gx_release import published
from tests.deploy.test_gx_stick import ARCHIVE
from tests.deploy.test_systemd import CONFIG, PIP
from tests.doubles import avahi
from tests.doubles.devices import PASSWORD, Devices
from tests.doubles.message_bus import Daemon
from tests.doubles.until import until

pytestmark = [pytest.mark.realtime, pytest.mark.long, pytest.mark.timeout(1200)]

MOST_QUESTIONS = 5
"""Grid meter, password, inverters, floor, and whether it is to be written."""


@dataclass
class Walk:
    """Somebody at the terminal of a machine, and what was typed."""

    machine: Machine
    devices: Devices
    bus: str
    """Where avahi-daemon is heard."""
    commands: int = 0
    questions: int = 0

    async def command(self, line: str) -> str:
        self.commands += 1
        return await self.machine.ok(line, **PIP)

    async def init(self, line: str) -> None:
        """Answer what `init` asks, with Enter where that will do."""
        self.commands += 1
        async with self.machine.typed(line, DBUS_SYSTEM_BUS_ADDRESS=self.bus) as terminal:
            await terminal.answer("Which one measures the grid?", "1")
            await terminal.answer("Admin password of the OpenDTU", PASSWORD)
            await terminal.answer("Which of them are on the battery?", "")
            await terminal.answer("Battery voltage", "")
            await terminal.answer("Write it so?", "")
            assert await terminal.end() == 0, terminal.said
        assert PASSWORD not in terminal.said
        self.questions += terminal.answers

    async def regulates(self, name: str) -> None:
        """Wait for the plant to do so, and tell what it took."""
        await until(lambda: self.devices.dtu.counters.limits > 0 and abs(self.devices.house.grid_w) < 40)
        print(f"{name}: {self.commands} commands, {self.questions} questions")
        assert self.devices.dtu.counters.persistent == 0
        assert self.questions == MOST_QUESTIONS


@pytest.fixture
async def announced(daemon: Daemon, tmp_path: Path, devices: Devices) -> AsyncIterator[str]:
    """Devices that announce themselves; yield the address of the bus that avahi-daemon is on."""
    if avahi.DAEMON is None:
        pytest.skip("avahi-daemon is missing (Debian: avahi-daemon)")
    async with avahi.avahi(daemon, tmp_path) as bus:
        await avahi.announce(bus, "shellypro3em-a0dd6c112233", "_shelly._tcp", devices.meter.host)
        await avahi.announce(bus, "OpenDTU-123456", "_opendtu._tcp", devices.opendtu.host)
        yield str(daemon.tcp_address)


@pytest.fixture
def address(release: Path, tmp_path: Path) -> Iterator[str]:
    with published(shutil.copytree(release, tmp_path / "published")) as where:
        yield where


async def test_a_gx_with_one_line(gx: GxMachine, announced: str, address: str, devices: Devices) -> None:
    await gx.boot()
    walk = Walk(gx, devices, announced)
    said = await walk.command(f"curl -fsSL {address}/get.sh | sh")
    await walk.init(said.partition("Next: ")[2].strip())
    await walk.regulates("GX, one line")
    assert walk.commands == 2


async def test_a_gx_with_a_stick(gx: GxMachine, announced: str, release: Path, devices: Devices) -> None:
    stick = gx.media / "sda1"
    stick.mkdir(parents=True)
    shutil.copy(release / ARCHIVE, stick)
    await gx.boot()
    report = stick / "opendtu-dcload.txt"
    await until(lambda: report.exists() and report.read_text().endswith("\n"))
    walk = Walk(gx, devices, announced)
    await walk.init(report.read_text().partition("Next: ")[2].strip())
    await walk.regulates("GX, a stick")
    assert walk.commands == 1
    assert f"{HOME}/opendtu-dcload init" in report.read_text()


async def test_a_debian(announced: str, address: str, devices: Devices) -> None:
    needs_systemd()
    machine = DebianMachine()
    await machine.boot()
    try:
        walk = Walk(machine, devices, announced)
        said = await walk.command(f"curl -fsSL {address}/get.sh | sh")
        line = said.partition("Next: ")[2].strip()
        assert line == f"sudo opendtu-dcload init --config {CONFIG}"
        await walk.init(line.removeprefix("sudo "))
        await walk.regulates("Debian, one line")
        assert walk.commands == 2
    finally:
        await machine.power_off()
