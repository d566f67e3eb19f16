"""The program's commands as installed on a machine that looks like a GX, against simulated devices and a bus."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.config import load_config
from tests.deploy.gx import GxMachine
from tests.deploy.test_gx import HOME, SERVICE, put, version_of
from tests.doctor.original_config import OLD
from tests.doubles.devices import MAC, PASSWORD, SERIALS, Devices
from tests.doubles.message_bus import Daemon
from tests.doubles.until import until
from tests.program.process import on_bus

pytestmark = [pytest.mark.realtime, pytest.mark.long, pytest.mark.timeout(1200)]

COMMAND = f"cd {HOME} && ./opendtu-dcload"
OURS = {
    f"com.victronenergy.{name}"
    for name in (
        f"acload.shelly_{MAC}",
        *(f"dcload.opendtu_{serial}" for serial in SERIALS),
        "dcsystem.opendtu",
        "digitalinput.opendtu_dcload",
        "switch.opendtu_dcload",
    )
}


@pytest.fixture
def bus(daemon: Daemon) -> str:
    """The address of a bus that the GX reaches over the network."""
    return str(daemon.tcp_address)


def names(bus: str) -> set[str]:
    argv = ["dbus-send", f"--bus={bus}", "--print-reply", "--dest=org.freedesktop.DBus", "/"]
    argv.append("org.freedesktop.DBus.ListNames")
    listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r'"(com\.victronenergy\..*?)"', listed))


def told(findings: str, level: str) -> list[str]:
    found: list[dict[str, Any]] = json.loads(findings)
    return [finding["text"] for finding in found if finding["level"] == level]


async def test_the_commands_work_on_a_gx_and_write_nothing_elsewhere(
    gx: GxMachine, devices: Devices, package: Path, bus: str
) -> None:
    put(gx, package)
    await gx.boot()
    await gx.ok("/data/package/install.sh")
    assert await gx.ok(f"{COMMAND} --version") == f"opendtu-dcload {version_of(package)}\n"
    code, said = await gx.run(f"{COMMAND} check")
    assert (code, "meter.host" in said, "opendtu.host" in said) == (2, True, True), said
    # the service has tried it too: it is not to start in the middle of what follows
    await gx.ok("until grep -qs 'next start in 60 s' /var/log/opendtu-dcload/current; do sleep 1; done")

    home = gx.data / "opendtu-dcload"
    (home / "dtu.txt").write_text(f"{PASSWORD}\n")
    (home / "config.ini").write_text(OLD)
    await gx.ok(f"{COMMAND} import-config config.ini --config imported.toml")
    imported = load_config(home / "imported.toml")
    assert imported.relay is not None
    assert imported.solar is not None
    assert (imported.relay.host, imported.solar.host) == ("192.168.1.60", "192.168.1.61")

    addresses = f"--meter {devices.meter.host} --opendtu {devices.opendtu.host}"
    said = await gx.ok(f"{COMMAND} init {addresses} --password-file dtu.txt")
    assert "to be filled in: battery.min_voltage_v" in said
    config = home / "config.toml"
    text = config.read_text().replace("min_voltage_v = 0 ", "min_voltage_v = 40 ")
    text = text.replace("enabled = false", f'bus = "{bus}"')
    config.write_text(text)
    checked = await gx.ok(f"{COMMAND} check --json")
    assert told(checked, "problem") == []
    assert "all names are free" in told(checked, "ok"), checked

    said = await gx.ok(f"{HOME}/restart.sh")
    assert f"{version_of(package)} runs" in said
    await shows_one_version(bus, version_of(package), devices)
    code, checked = await gx.run(f"{COMMAND} check --step --yes --json")
    assert (code, "service" in told(checked, "problem")[0]) == (1, True), checked
    await gx.ok(f"svc -d {SERVICE} && until svstat {SERVICE} | grep -q ': down'; do sleep 1; done")
    await until(lambda: max(devices.limits_w) < 50)  # their lowest, which the service leaves them at
    checked = await gx.ok(f"{COMMAND} check --step --yes --json")
    steps = [text for text in told(checked, "ok") if "the meter shows" in text]
    assert len(steps) == len(SERIALS), checked
    assert all("dead time" in text and "gain" in text for text in steps)

    assert {path.name for path in home.iterdir()} == {
        "config.ini", "config.toml", "current", "days.jsonl", "dtu.txt", "imported.toml", "opendtu-dcload",
        "restart.sh", "service", "status", "uninstall.sh", "versions",
    }  # fmt: skip
    assert {path.name for path in gx.data.iterdir()} == {"log", "opendtu-dcload", "package", "rc.local"}
    assert (await gx.ok("ls /run /tmp /service")).split() == [
        "/run:", "booted", "opendtu-dcload", "/service:", "opendtu-dcload", "/tmp:",
    ]  # fmt: skip


async def shows_one_version(bus: str, version: str, devices: Devices) -> None:
    while not names(bus) >= OURS:  # noqa: ASYNC110  another process brings it about
        await asyncio.sleep(0.1)
    assert names(bus) == OURS
    for name in OURS:
        service = name.removeprefix("com.victronenergy.")
        assert on_bus(bus, "/Mgmt/ProcessVersion", service).split() == ["variant", version]
        # a meter shows the firmware of the Shelly that it is
        firmware = devices.meter.firmware if "acload" in name else version
        while (shown := on_bus(bus, "/FirmwareVersion", service).split()[-1]) != firmware:
            assert shown in {"]", "[", "int32"}, (service, shown)
            await asyncio.sleep(0.1)
