"""From a published release to a plant that regulates, on a machine that looks like a GX: one line, then `init`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.conftest import HERE, another, tool
from tests.deploy.gx import GxMachine
from tests.deploy.test_gx import HOME, is_healthy, version_of
from tests.doubles.devices import PASSWORD, Devices
from tests.doubles.until import until

pytestmark = [pytest.mark.realtime, pytest.mark.long, pytest.mark.timeout(1200)]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def published(folder: Path) -> Iterator[str]:
    """Serve the files of a folder, whose get.sh knows where it comes from; yield the address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        get = folder / "get.sh"
        get.write_text(get.read_text().replace(tool("release").BASE_URL, address))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield address
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def folder(release: Path, tmp_path: Path) -> Path:
    return shutil.copytree(release, tmp_path / "published")


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with published(folder) as where:
        yield where


def put_newer(package: Path, folder: Path, version: str) -> None:
    """Publish another version in place of the one that is there."""
    name = f"opendtu-dcload-{version}-gx-{HERE}"
    another(package, folder / name, version)
    for file in folder.glob("*-gx-*.tar.gz"):
        file.unlink()
    tool("build").pack([folder / name], folder / f"{name}.tar.gz")
    shutil.rmtree(folder / name)
    (folder / "SHA256SUMS").unlink()
    tool("release")._write_sums(folder)


async def test_one_line_and_init_lead_to_a_plant_that_regulates(
    gx: GxMachine, package: Path, folder: Path, address: str, devices: Devices
) -> None:
    line = f"curl -fsSL {address}/get.sh | sh"
    await gx.boot()
    said = await gx.ok(line)
    assert said == f"opendtu-dcload {version_of(package)} is installed. Next: {HOME}/opendtu-dcload init\n"
    assert await gx.ok("ls -A /tmp") == ""

    (gx.data / "dtu.txt").write_text(PASSWORD)
    init = f"cd / && {HOME}/opendtu-dcload init --meter {devices.meter.host} --opendtu {devices.opendtu.host}"
    assert f"{HOME}/config.toml" in await gx.ok(f"{init} --password-file /data/dtu.txt")
    config = gx.data / "opendtu-dcload/config.toml"
    # without a terminal it asks nothing; and there is no bus here
    text = config.read_text().replace("min_voltage_v = 0 ", "min_voltage_v = 40 ")
    config.write_text(text.replace("#enabled = true", "enabled = false"))
    while not await is_healthy(gx):  # noqa: ASYNC110  the service finds the configuration by itself, within a minute
        await asyncio.sleep(1)
    await until(lambda: abs(devices.dtu.house.grid_w - 10) < 40)

    assert "runs" in await gx.ok(line)
    put_newer(package, folder, "99.1")
    text = config.read_text()
    assert "opendtu-dcload 99.1 runs" in await gx.ok(line)
    assert config.read_text() == text
    assert await gx.ok("ls -A /tmp") == ""
    await gx.ok(f"{HOME}/uninstall.sh")
    assert await gx.ok(f"ls -A {HOME}") == "config.toml\n"


def damaged(folder: Path) -> None:
    (bundle,) = folder.glob("*-gx-*.tar.gz")
    bundle.write_bytes(bundle.read_bytes()[:-100])


def for_other_processors(folder: Path) -> None:
    sums = folder / "SHA256SUMS"
    sums.write_text(sums.read_text().replace(f"-gx-{HERE}.tar.gz", "-gx-mips.tar.gz"))


def without_sums(folder: Path) -> None:
    (folder / "SHA256SUMS").unlink()


def with_two_versions(folder: Path) -> None:
    with (folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  opendtu-dcload-0.0.1-gx-{HERE}.tar.gz\n")


def with_a_page_for_sums(folder: Path) -> None:
    (folder / "SHA256SUMS").write_text("<html>log in to this network first</html>\n")


def left_as_it_is(folder: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("spoil", "before", "why"),
    [
        (damaged, ":", "is damaged (its checksum is another): run this again"),
        (for_other_processors, ":", f"has nothing for the processor {HERE} of this GX"),
        (with_a_page_for_sums, ":", f"has nothing for the processor {HERE} of this GX"),
        (without_sums, ":", "SHA256SUMS cannot be fetched from http://127.0.0.1:"),
        (with_two_versions, ":", "has more than one version"),
        (left_as_it_is, "mount -t tmpfs none /opt/victronenergy", "this is neither Venus OS nor a Linux with systemd"),
        (left_as_it_is, "echo v3.55 >/run/v && mount --bind /run/v /opt/victronenergy/version", "update to v3.60"),
        (left_as_it_is, "mount -t tmpfs -o size=1m none /tmp", "cannot be fetched from http://127.0.0.1:"),
        (left_as_it_is, "mount -t tmpfs -o size=10m none /tmp", "cannot be unpacked into /tmp/"),
    ],
    ids=[
        "damaged", "no processor", "a page", "no sums", "two versions", "no Venus", "old Venus", "no room",
        "little room",
    ],
)  # fmt: skip
async def test_refuses_and_leaves_nothing(
    gx: GxMachine, folder: Path, address: str, spoil, before: str, why: str
) -> None:
    spoil(folder)
    await gx.boot()
    await gx.ok(before)
    look = "ls -lR /data /service; ls -A /tmp"
    was = await gx.ok(look)
    code, said = await gx.run(f"curl -fsSL {address}/get.sh | sh")
    assert (code, why in said, said.count("opendtu-dcload: ")) == (1, True, 1), said
    assert await gx.ok(look) == was


async def test_a_download_that_breaks_off_does_nothing(gx: GxMachine, folder: Path) -> None:
    text = (folder / "get.sh").read_text()
    whole = text.removesuffix('main "$@"\n')
    assert whole != text
    (gx.data / "get.sh").write_text(text)
    await gx.boot()
    look = "ls -lR /data /service; ls -A /tmp"
    was = await gx.ok(look)
    ends = [*range(0, len(whole), 60), len(whole)]
    await gx.ok(f"for end in {' '.join(map(str, ends))}; do head -c $end /data/get.sh | sh; done >/dev/null 2>&1 || :")
    assert await gx.ok(look) == was


async def test_a_folder_serves_as_well(gx: GxMachine, folder: Path, package: Path) -> None:
    shutil.copytree(folder, gx.data / "release")
    await gx.boot()
    assert f"{version_of(package)} is installed" in await gx.ok("cd /data/release && sh get.sh .")
    code, said = await gx.run("cd /data/release && rm *.tar.gz && sh get.sh .")
    assert (code, "cannot be copied from ." in said) == (1, True), said
