"""Install, update, reboot and uninstall on a machine that looks like a GX, against simulated devices."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.deploy.conftest import another
from tests.deploy.gx import GxMachine
from tests.doubles.devices import Devices
from tests.doubles.until import until

pytestmark = [pytest.mark.realtime, pytest.mark.long, pytest.mark.timeout(1200)]

HOME = "/data/opendtu-dcload"
SERVICE = "/service/opendtu-dcload"
LINE = f"ln -sfn {HOME}/service {SERVICE} # opendtu-dcload\n"
OTHERS = "#!/bin/sh\n# mine\nln -s /data/other /service/other\n\nexit 0\n"
WITHOUT = (
    "library=$(dirname $(python3 -c 'import os; print(os.__file__)')) && cp -R $library /tmp/library && "
    "rm -r /tmp/library/{} && mount --bind /tmp/library $library"
)
NO_ROOM = (
    "mkdir /tmp/p && cp -R /data/package /tmp/p && mount -t tmpfs -o size=20m none /data && "
    "mkdir /data/package && mount --bind /tmp/p/package /data/package"
)
ORIGINAL = (
    "mkdir /tmp/o && printf '#!/bin/sh\\nexec sleep 1000\\n' >/tmp/o/run && chmod 755 /tmp/o/run && "
    "ln -s /tmp/o /service/dbus-opendtu && until svstat /service/dbus-opendtu | grep -q ': up'; do sleep 1; done"
)
VERSION = re.compile(r"opendtu_dcload-(.*)\.dist-info")


def version_of(package: Path) -> str:
    found = VERSION.match(next(package.glob("app/opendtu_dcload-*.dist-info")).name)
    assert found
    return found[1]


async def install(gx: GxMachine, package: Path) -> tuple[int, str]:
    await gx.ok(f"mkdir -p /tmp/{package.name}")
    return await gx.run(f"/data/{package.name}/app/share/opendtu-dcload/install.sh")


def put(gx: GxMachine, package: Path, version: str = "", **files: str) -> Path:
    """Copy a package onto the GX, as another version if one is given."""
    return another(package, gx.data / f"package{version}", version or version_of(package), **files)


async def logged(gx: GxMachine, text: str) -> None:
    """Wait until the log has it; a multilog that was killed has left its part of the log under another name."""
    await until(lambda: any(text in file.read_text() for file in (gx.data / "log/opendtu-dcload").iterdir()))


async def pid(gx: GxMachine, service: str = SERVICE) -> str:
    found = re.search(r": up \(pid (\d+)\)", await gx.ok(f"svstat {service}"))
    assert found
    return found[1]


async def is_healthy(gx: GxMachine) -> bool:
    return (await gx.run(f"{HOME}/status"))[0] == 0


def what_there_is(gx: GxMachine) -> dict[str, str]:
    """Every file of the installation, with its target or size."""
    base = gx.data / "opendtu-dcload"
    return {
        str(path.relative_to(base)): str(path.readlink()) if path.is_symlink() else str(path.stat().st_size)
        for path in base.rglob("*")
        if path.is_symlink() or (path.is_file() and "supervise" not in path.parts)
    }


async def fresh_install(gx: GxMachine, package: Path, devices: Devices) -> None:
    (gx.data / "rc.local").write_text(OTHERS)
    (gx.data / "rc.local").chmod(0o755)
    other = gx.data / "other"
    other.mkdir()
    (other / "run").write_text("#!/bin/sh\nexec sleep 10000\n")
    (other / "run").chmod(0o755)
    await gx.boot()
    code, said = await install(gx, package)
    assert (code, f"Next: {HOME}/opendtu-dcload init" in said) == (0, True), said
    assert (gx.data / "rc.local").read_text() == OTHERS.replace("#!/bin/sh\n", "#!/bin/sh\n" + LINE)
    config = gx.data / "opendtu-dcload/config.toml"
    assert config.stat().st_mode & 0o777 == 0o600
    assert config.read_text() == (package / "app/share/opendtu-dcload/config.toml").read_text()
    devices.config(config.parent)
    said = await gx.ok(f"{HOME}/restart.sh")
    assert f"{version_of(package)} runs" in said
    assert await is_healthy(gx)
    await logged(gx, f"INFO opendtu-dcload {version_of(package)}: Python 3")
    await until(lambda: abs(devices.dtu.house.grid_w - 10) < 40)


async def second_run(gx: GxMachine, package: Path) -> None:
    before, process, boot = what_there_is(gx), await pid(gx), (gx.data / "rc.local").read_bytes()
    code, said = await install(gx, package)
    assert code == 0, said
    assert what_there_is(gx) == before
    assert await pid(gx) == process
    assert (gx.data / "rc.local").read_bytes() == boot


async def update(gx: GxMachine, package: Path) -> None:
    config = (gx.data / "opendtu-dcload/config.toml").read_bytes()
    newer = put(gx, package, "99.1")
    template = newer / "app/share/opendtu-dcload/config.toml"
    new = "#brand_new = 1  # an option that the version before had not\n#[newest]  # nor this section\n#level = 2\n"
    template.write_text(template.read_text() + new)
    code, said = await install(gx, newer)
    assert (code, said.splitlines()[0].endswith("config.toml: log.brand_new newest.level")) == (0, True), said
    assert (gx.data / "opendtu-dcload/config.toml").read_bytes() == config
    await logged(gx, "INFO opendtu-dcload 99.1: ")
    assert re.search(r"health: version 99\.1, ", await gx.ok(f"{HOME}/status"))
    assert {path.name for path in (gx.data / "opendtu-dcload/versions").iterdir()} == {version_of(package), "99.1"}


async def broken_updates(gx: GxMachine, package: Path) -> None:
    process, before = await pid(gx), what_there_is(gx)
    code, said = await install(gx, put(gx, package, "99.2", health="import nothing_of_this_name\n"))
    assert (code, "nothing_of_this_name is missing" in said) == (1, True), said
    assert (await pid(gx), what_there_is(gx)) == (process, before)

    code, said = await install(gx, put(gx, package, "99.3", __main__='raise SystemExit("it cannot run")\n'))
    assert (code, "it ended within seconds" in said, "it cannot run" in said) == (1, True, True), said
    assert "went back to 99.1" in said
    assert what_there_is(gx) == before
    assert re.search(r"health: version 99\.1, ", await gx.ok(f"{HOME}/status"))


async def reboot(gx: GxMachine) -> None:
    await gx.power_off()
    await gx.boot()
    await gx.ok("until grep -q ^ok /run/opendtu-dcload/health; do sleep 1; done")
    await gx.ok("until svstat /service/other | grep -q ': up'; do sleep 1; done")
    assert (await gx.ok("ls /service")).split() == ["opendtu-dcload", "other"]


async def uninstall(gx: GxMachine, devices: Devices) -> None:
    process = await pid(gx, "/service/other")
    await gx.ok(f"{HOME}/uninstall.sh")
    await logged(gx, "stopping, inverters told minimum")
    await until(lambda: devices.limits_w == [20, 20])
    assert (gx.data / "rc.local").read_text() == OTHERS
    assert (gx.data / "rc.local").stat().st_mode & 0o777 == 0o755
    assert (await gx.ok("ls /service")).split() == ["other"]
    assert await pid(gx, "/service/other") == process
    assert [path.name for path in (gx.data / "opendtu-dcload").iterdir()] == ["config.toml"]
    assert "opendtu_dcload" not in await gx.ok("ps")
    (gx.data / "rc.local").write_text("")
    assert sorted(path.name for path in gx.data.iterdir() if not path.name.startswith("package")) == [
        "log", "opendtu-dcload", "other", "rc.local",
    ]  # fmt: skip


async def test_a_firmware_update_that_takes_a_python_package_away_is_told(
    gx: GxMachine, package: Path, devices: Devices
) -> None:
    here = put(gx, package)
    await gx.boot()
    await install(gx, here)
    devices.config(gx.data / "opendtu-dcload")
    await gx.ok(WITHOUT.format("email"))
    code, said = await gx.run(f"{HOME}/restart.sh")
    assert (code, "it ended within seconds" in said) == (1, True), said
    # what is missing stands in the log as soon as Python has tried
    await gx.ok("until grep -qs 'opkg install python3-email' /var/log/opendtu-dcload/current; do sleep 1; done")


async def test_what_nobody_has_filled_in_follows_an_update(gx: GxMachine, package: Path) -> None:
    here, newer = put(gx, package), put(gx, package, "99.1")
    template = newer / "app/share/opendtu-dcload/config.toml"
    template.write_text(template.read_text() + "# more\n")
    await gx.boot()
    await install(gx, here)
    code, said = await install(gx, newer)
    assert (code, f"99.1 is installed. Next: {HOME}/opendtu-dcload init" in said) == (0, True), said
    config = gx.data / "opendtu-dcload/config.toml"
    assert config.read_text() == template.read_text()
    assert config.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("source", ["package", "plain"], ids=["bundle", "pip install --target"])
async def test_lives_on_a_gx(gx: GxMachine, devices: Devices, source: str, request: pytest.FixtureRequest) -> None:
    package = put(gx, request.getfixturevalue(source))
    await fresh_install(gx, package, devices)
    await second_run(gx, package)
    await update(gx, package)
    await broken_updates(gx, package)
    await reboot(gx)
    await uninstall(gx, devices)
    assert devices.dtu.counters.persistent == 0


async def test_the_same_service_under_runit(gx: GxMachine, devices: Devices, package: Path) -> None:
    here = put(gx, package)
    await gx.boot()
    await install(gx, here)
    await gx.power_off()
    devices.config(gx.data / "opendtu-dcload")
    gx.supervisor = "runit"
    await gx.boot()
    well = "until grep -q ^ok /run/opendtu-dcload/health; do sleep 1; done"
    await gx.ok(well)
    assert (await gx.ok(f"sv status {SERVICE}")).startswith(f"run: {SERVICE}: ")
    first = (await gx.ok("cut -d' ' -f3 /run/opendtu-dcload/health")).strip()
    await gx.ok(f"kill -9 {first} && rm /run/opendtu-dcload/health /run/opendtu-dcload/started && {well}")
    assert (await gx.ok("cut -d' ' -f3 /run/opendtu-dcload/health")).strip() != first
    await gx.ok(f"sv -w 20 stop {SERVICE}")
    assert (await gx.ok(f"sv status {SERVICE}")).startswith(f"down: {SERVICE}: ")
    await logged(gx, "stopping, inverters told minimum")


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        ("echo v3.55 >/tmp/v && mount --bind /tmp/v /opt/victronenergy/version", "v3.55 is too old: update to v3.60"),
        ("mount -t tmpfs none /opt/victronenergy", "this is no Venus OS"),
        ("cd /data/package/app/pydantic_core && mv *.so _pydantic_core.cpython-312-arm-linux-gnueabihf.so",
         "it is built for cpython-312-arm-linux-gnueabihf, but here is Python 3."),
        (WITHOUT.format("html"), "opkg install python3-html"),
        (WITHOUT.format("email"), "opkg install python3-email"),
        (NO_ROOM, "MB free, "),
        (ORIGINAL, "svc -d /service/dbus-opendtu"),
    ],
    ids=["old Venus", "no Venus", "other processor", "no html", "no email", "no room", "the original runs"],
)  # fmt: skip
async def test_refuses_and_touches_nothing(gx: GxMachine, package: Path, prepare: str, why: str) -> None:
    put(gx, package)
    await gx.boot()
    await gx.run(prepare)
    before = await gx.ok("ls -lR /data /service")
    code, said = await gx.run("/data/package/app/share/opendtu-dcload/install.sh")
    assert (code, why in said, said.count("\n")) == (1, True, 1), said
    assert await gx.ok("ls -lR /data /service") == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "#!/bin/sh\n" + LINE),
        ("#!/bin/sh\nfoo\nexit 0", "#!/bin/sh\n" + LINE + "foo\nexit 0\n"),
        ("foo\n", LINE + "foo\n"),
        ("", LINE),
        ("#!/bin/sh\nexit 0\nan older line # opendtu-dcload\n", "#!/bin/sh\n" + LINE + "exit 0\n"),
    ],
    ids=["none", "no newline at the end", "no shebang", "empty", "an older line of ours"],
)
async def test_rc_local(gx: GxMachine, package: Path, before: str | None, after: str) -> None:
    put(gx, package)
    boot = gx.data / "rc.local"
    if before is not None:
        boot.write_text(before)
    await gx.boot()
    said = await gx.ok("/data/package/install.sh")
    assert boot.read_text() == after
    assert (f"chmod 755 /{boot.relative_to(gx.data.parent)}" in said) == (before is not None)
    if before is None:
        assert boot.stat().st_mode & 0o777 == 0o755


SETUP_HELPER = """scriptAction=$1
scriptDir=/data/package
installFailed=false
EXIT_ERROR=255
setInstallFailed() { installFailed=true; echo "failed: $*"; }
logMessage() { echo "log: $*"; }
endScript() { exit 0; }
"""


async def test_setup_helper_installs_and_uninstalls(gx: GxMachine, package: Path) -> None:
    here = put(gx, package)
    helpers = gx.data / "SetupHelper/HelperResources/IncludeHelpers"
    helpers.parent.mkdir(parents=True)
    helpers.write_text(SETUP_HELPER)
    assert (here / "version").read_text() == f"v{version_of(package)}\n"
    assert (here / "firstCompatibleVersion").read_text() == "v3.60\n"
    assert re.fullmatch(r"\w+:\w+\n", (here / "gitHubInfo").read_text())
    await gx.boot()
    assert "log: opendtu-dcload" in await gx.ok("/data/package/setup INSTALL")
    for file in ("run", "log/run"):
        ours = (gx.data / f"opendtu-dcload/service/{file}").read_text()
        assert (here / f"services/opendtu-dcload/{file}").read_text() == ours
    assert "is uninstalled" in await gx.ok("/data/package/setup UNINSTALL")
    assert await gx.ok("ls /service") == ""
    await gx.ok("mount -t tmpfs none /opt/victronenergy")
    assert "failed: 255 opendtu-dcload: this is no Venus OS" in await gx.ok("/data/package/setup INSTALL")
