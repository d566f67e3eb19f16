"""From a published release to a service of a real systemd: one line, then `init`."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.deploy.conftest import HERE, Once, tool
from tests.deploy.debian import DebianMachine, needs_systemd
from tests.deploy.test_gx_release import published
from tests.doubles.devices import PASSWORD, Devices
from tests.doubles.until import until

pytestmark = [pytest.mark.realtime, pytest.mark.long, pytest.mark.timeout(1200)]

PIP = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
CONFIG = "/etc/opendtu-dcload/config.toml"
UNITS = "/etc/systemd/system/opendtu-dcload.*"


@pytest.fixture
async def debian() -> AsyncIterator[DebianMachine]:
    needs_systemd()
    machine = DebianMachine()
    await machine.boot()
    yield machine
    await machine.power_off()


@pytest.fixture
def address(release: Path, tmp_path: Path) -> Iterator[str]:
    with published(shutil.copytree(release, tmp_path / "published")) as where:
        yield where


async def is_state(debian: DebianMachine, *states: str) -> bool:
    _, said = await debian.run("systemctl is-active opendtu-dcload.service opendtu-dcload.path")
    return tuple(said.split()) == states


async def until_state(debian: DebianMachine, *states: str) -> None:
    while not await is_state(debian, *states):
        pass


async def test_one_line_and_init_lead_to_a_plant_that_regulates(
    debian: DebianMachine, address: str, devices: Devices
) -> None:
    line = f"curl -fsSL {address}/get.sh | sh"
    said = await debian.ok(line, **PIP)
    assert said.endswith(f"is installed. Next: sudo opendtu-dcload init --config {CONFIG}\n"), said
    # nobody has filled it in: the service has ended, and its path waits
    await until_state(debian, "failed", "active")
    assert (await debian.ok(f"stat -c '%a %U %G' {CONFIG}")).split() == ["640", "root", "opendtu-dcload"]
    assert "battery.min_voltage_v" in await debian.ok("journalctl -u opendtu-dcload || cat /run/log 2>/dev/null || :")
