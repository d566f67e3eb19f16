"""From a published release to a service of a real systemd: one line, then `init`."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

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


async def until_state(debian: DebianMachine, service: str, timer: str) -> None:
    command = "systemctl is-active opendtu-dcload.service opendtu-dcload.timer"
    while (await debian.run(command))[1].split() != [service, timer]:  # noqa: ASYNC110  systemd brings it about
        await asyncio.sleep(0.2)


REFUSED = {
    # as `pipx` does it for root by itself, and in a user's home
    "mkdir -p /root/v && cp -a /opt/opendtu-dcload/. /root/v && /root/v/bin/python -m opendtu_dcload install-service":
        "the program or its Python is in /root/v, where no service may look; install it ",
    "mkdir '/opt/a b' && cp -a /opt/opendtu-dcload/. '/opt/a b' && '/opt/a b/bin/python' -m opendtu_dcload "
    "install-service": "systemd would misread the path /opt/a b/bin/python",
    "chmod 700 /opt/opendtu-dcload && opendtu-dcload install-service; chmod 755 /opt/opendtu-dcload; false":
        "other users than root cannot run the program in /opt/opendtu-dcload",
    "setpriv --reuid=65534 --clear-groups opendtu-dcload install-service": "needs root: sudo opendtu-dcload install-",
    "PATH=/nowhere /opt/opendtu-dcload/bin/opendtu-dcload install-service": "systemctl cannot be started (No such file",
    "mount -o bind,ro /etc /etc && opendtu-dcload install-service; umount /etc; false": "cannot be written (Read-only",
    "mount -o bind,ro /etc /etc && opendtu-dcload uninstall-service; umount /etc; false": "systemctl disable failed: ",
}  # fmt: skip


async def test_one_line_and_init_lead_to_a_plant_that_regulates(
    debian: DebianMachine, address: str, devices: Devices
) -> None:
    line = f"curl -fsSL {address}/get.sh | sh"
    said = await debian.ok(line, **PIP)
    assert said.endswith(f"is installed. Next: sudo opendtu-dcload init --config {CONFIG}\n"), said
    # nobody has filled it in: the service has ended, and its timer waits
    await until_state(debian, "failed", "active")
    assert (await debian.ok(f"stat -c '%a %U %G' {CONFIG}")).split() == ["640", "root", "opendtu-dcload"]
    assert "battery.min_voltage_v" in await debian.ok("journalctl --unit opendtu-dcload")

    look = f"systemctl is-enabled opendtu-dcload; cat {CONFIG} {UNITS}; grep opendtu /etc/passwd"
    was = await debian.ok(look)
    for command, why in REFUSED.items():
        code, said = await debian.run(command)
        assert (code != 0, why in said, said.count("\n")) == (True, True, 1), said
    assert await debian.ok(look) == was

    await debian.ok(f"printf %s {PASSWORD} >/etc/opendtu-dcload/dtu.txt")
    hosts = f"--meter {devices.meter.host} --opendtu {devices.opendtu.host} --password-file /etc/opendtu-dcload/dtu.txt"
    await debian.ok(f"opendtu-dcload init --config {CONFIG} {hosts}")
    # without a terminal it asks nothing
    await debian.ok(f"sed -i 's/min_voltage_v = 0 /min_voltage_v = 40 /' {CONFIG}")
    await until_state(debian, "active", "active")
    await until(lambda: abs(devices.dtu.house.grid_w - 10) < 40)

    config = await debian.ok(f"cat {CONFIG}")
    assert "starts. Look at it with: systemctl status" in await debian.ok(line, **PIP)
    assert await debian.ok(f"cat {CONFIG}") == config
    await until_state(debian, "active", "active")

    # what somebody stops stays so
    await debian.ok("systemctl stop opendtu-dcload")
    await until_state(debian, "inactive", "inactive")
    for _ in range(2):
        said = await debian.ok("opendtu-dcload uninstall-service")
        assert "What stays: the program, /etc/opendtu-dcload, /var/lib/opendtu-dcload, the user" in said
    assert (await debian.run(f"ls {UNITS}"))[0] == 2
    assert (await debian.run("systemctl cat opendtu-dcload"))[0] == 1
    assert devices.dtu.counters.persistent == 0
