"""A stick for a GX without a terminal: it installs at boot, as often as one likes, and over a power cut."""

from __future__ import annotations

import asyncio
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.deploy.conftest import HERE, tool
from tests.deploy.gx import GxMachine
from tests.deploy.test_gx import HOME, OTHERS, SERVICE, is_healthy, version_of
from tests.deploy.test_gx_broken import FILL, FRESH, machine, small_package, state, steps  # noqa: F401  a fixture
from tests.doubles.devices import Devices
from tests.doubles.until import until

pytestmark = [pytest.mark.realtime, pytest.mark.long, pytest.mark.timeout(1200)]

ARCHIVE = "venus-data.tar.gz"
FOLDER = "/data/opendtu-dcload-stick"


@pytest.fixture
def stick(gx: GxMachine, release: Path) -> Path:
    """A stick in the GX, with what a release has for it."""
    folder = gx.media / "sda1"
    folder.mkdir(parents=True)
    shutil.copy(release / ARCHIVE, folder)
    return folder


async def told(stick: Path) -> str:
    """Wait for the installer to end; return what it leaves on the stick."""
    report = stick / "opendtu-dcload.txt"
    await until(lambda: report.exists() and report.read_text().endswith("\n"))
    text = report.read_text()
    report.unlink()
    return text


async def test_without_a_terminal(gx: GxMachine, stick: Path, package: Path, devices: Devices) -> None:
    (gx.data / "rc.local").write_text(OTHERS)
    (gx.data / "rc.local").chmod(0o755)
    given = devices.config(stick)
    text = given.read_text()
    version = version_of(package)
    await gx.boot()
    assert await told(stick) == f"opendtu-dcload {version} runs. Look at it with {HOME}/status\n"
    assert await is_healthy(gx)
    await until(lambda: abs(devices.dtu.house.grid_w - 10) < 40)
    config = gx.data / "opendtu-dcload/config.toml"
    assert (config.read_text(), config.stat().st_mode & 0o777) == (text, 0o600)
    there = {"log", "media", "opendtu-dcload", "rc.local"}
    assert {path.name for path in gx.data.iterdir()} <= there
    boot = (gx.data / "rc.local").read_bytes()

    # it stays plugged in, and somebody changes the configuration of the GX
    config.write_text(f"{text}# mine\n")
    given.write_text("this is no configuration any more\n")
    await gx.power_off()
    await gx.boot()
    runs = "(runs|was installed already and runs on)"  # whether the supervisor was quicker
    assert re.fullmatch(rf"opendtu-dcload {version} {runs}\. Look at it with {HOME}/status\n", await told(stick))
    assert config.read_text() == f"{text}# mine\n"
    assert {path.name for path in gx.data.iterdir()} <= there
    assert (gx.data / "rc.local").read_bytes() == boot
    assert await gx.ok("ls -A /tmp") == ""


async def test_without_a_configuration_it_waits_for_init_or_for_one_on_the_stick(
    gx: GxMachine, stick: Path, package: Path, devices: Devices
) -> None:
    installed = f"opendtu-dcload {version_of(package)} is installed. Next: {HOME}/opendtu-dcload init\n"
    await gx.boot()
    assert await told(stick) == installed
    while ": up (pid" not in await gx.ok(f"svstat {SERVICE}"):  # noqa: ASYNC110  the supervisor finds it by itself
        await asyncio.sleep(0.2)
    config = gx.data / "opendtu-dcload/config.toml"
    shipped = config.read_text()
    assert shipped == (package / "app/share/opendtu-dcload/config.toml").read_text()

    (stick / "config.toml").write_text('[meter]\nhost = "192.0.2.20"\n')
    await gx.power_off()
    await gx.boot()
    said = await told(stick)
    assert said.startswith("opendtu-dcload: /media/sda1/config.toml is not taken: "), said
    assert "opendtu" in said
    assert config.read_text() == shipped

    text = devices.config(stick).read_text()
    await gx.power_off()
    await gx.boot()
    assert " runs. " in await told(stick)
    assert config.read_text() == text


async def test_what_cannot_be_unpacked_or_has_no_room_is_told_on_the_stick(
    gx: GxMachine, stick: Path, package: Path
) -> None:
    whole = (stick / ARCHIVE).read_bytes()
    (stick / ARCHIVE).write_bytes(whole[: len(whole) // 2])
    await gx.boot()
    hook = Path(__file__).parents[2] / "deploy/stick/post-hook.sh"
    shutil.copy(hook, gx.data / "hook.sh")  # where the half archive has none
    await gx.ok("sh /data/hook.sh extraction-failed")
    assert "cannot be unpacked over /data (extraction-failed): is /data full" in await told(stick)
    assert {path.name for path in gx.data.iterdir()} == {"hook.sh", "log"}


async def test_a_stick_that_is_gone_does_no_harm(gx: GxMachine, stick: Path, package: Path) -> None:
    with tarfile.open(stick / ARCHIVE) as archive:
        archive.extractall(gx.data, filter="tar")
    shutil.rmtree(stick)
    await gx.boot()
    await gx.ok("sh /data/rc/post-hook.sh success")
    while await gx.ok(f"ls -d {FOLDER} 2>/dev/null || :"):  # noqa: ASYNC110  it works on in the background
        await asyncio.sleep(0.2)
    assert "is installed" in await gx.ok("cat /run/opendtu-dcload-stick.txt")


# ---- power cuts

CHAIN = "cd / && setsid bash /run/post-hook.sh success 9>&1"
"""The run ends for whoever reads its output when the last of its processes has ended."""
KILL_ALL = "kill -9 0"
UPDATED = " && /data/p1.0/share/opendtu-dcload/install.sh"
BASH = "mkdir -p /run/bin && printf '#!/usr/bin/busybox sh\\nexec bash \"$@\"\\n' >/run/bin/sh && chmod 755 /run/bin/sh"
"""Makes each script of the chain one whose steps can be counted."""
BOOTS = (
    "rm -rf /tmp/tmp.* /run/opendtu-dcload /run/opendtu-dcload-stick.txt /service/opendtu-dcload /data/hooks; "
    "/data/rc.local; rm -f /service/other; tar -xzf /media/sda1/venus-data.tar.gz -C /data; rm -rf /data/rc"
)
"""What a power cut leaves nothing of, and what happens at the next boot with the stick."""


def small_release(folder: Path, version: str) -> None:
    """A stick's archive whose bundle is a small stand-in."""
    folder.mkdir(parents=True)
    work = folder / "work"
    name = f"opendtu-dcload-{version}-gx-{HERE}"
    small_package(work / name / "app", version)
    bundle = tool("build").pack([work / name], work / f"{name}.tar.gz")
    get = Path(__file__).parents[2] / "deploy/get.sh"
    tool("build").pack(tool("release")._stick(work, [get, bundle]), folder / ARCHIVE)
    shutil.rmtree(work)


async def chain(gx: GxMachine, number: int, action: str) -> int:
    """Boot with the stick, with `action` before a step of what it installs; return how many steps it came."""
    await gx.ok(BOOTS)
    _, last = await steps(
        gx, "-c 'exec env PATH=/run/bin:$PATH " + CHAIN.removeprefix("cd / && ") + "'", number, action
    )
    return last


@pytest.mark.parametrize(
    ("before", "action"),
    [("", KILL_ALL), (UPDATED, KILL_ALL), (UPDATED, FILL)],
    ids=["installing", "updating", "disk full"],
)
async def test_the_next_boot_mends_what_a_power_cut_has_left(
    machine: GxMachine,  # noqa: F811  the fixture
    before: str,
    action: str,
) -> None:
    small_release(machine.media / "sda1", "2.0")
    await machine.ok(BASH)
    hook = (Path(__file__).parents[2] / "deploy/stick/post-hook.sh").read_text()
    await machine.ok(f"cat >/run/post-hook.sh <<'END'\n{hook}END")
    prepare = FRESH + before

    await machine.ok(prepare)
    last = await chain(machine, 0, ":")
    assert last > 10
    wanted = await state(machine)
    assert "versions/2.0" in wanted
    assert FOLDER.removeprefix("/data") not in wanted
    for number in range(1, last + 1):
        await machine.ok(prepare)
        await chain(machine, number, action)
        await machine.ok("rm -f /data/fill")
        await chain(machine, 0, ":")
        assert await state(machine) == wanted, number
