"""Installer and uninstaller that are killed at any step, find the disk full at any step, or links in their way.

A second run must lead to where one undisturbed run leads. The package is a small stand-in, the scripts are the real
ones.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.deploy.gx import GxMachine
from tests.deploy.test_gx import HOME, LINE, OTHERS

pytestmark = [pytest.mark.realtime, pytest.mark.long, pytest.mark.timeout(1200)]

DEPLOY = Path(__file__).parents[2] / "deploy/gx"
SCRIPTS = ("install.sh", "uninstall.sh", "restart.sh", "paths.sh", "status", "start", "opendtu-dcload")
TREE = """import os, sys
def files(tree):
    return {path[len(tree):]: open(path).read() for folder, _, names in os.walk(tree)
            for path in (f"{folder}/{name}" for name in names) if "__pycache__" not in path}
question, *trees = sys.argv[1:]
if question == "same" and files(trees[0]) != files(trees[1]):
    sys.exit("they differ")
"""
INSTALL = "/data/{}/share/opendtu-dcload/install.sh"
UNINSTALL = f"{HOME}/uninstall.sh"
CHANGING = "rm |mkdir |cp |mv |ln |cat |svc |tar |python3 "
"""How those commands begin before which it is worth to stop."""
STEP = """
[ -n "${{COUNTING-}}" ] || echo 0 >/run/steps
export COUNTING=yes # what is started by it goes on
sync() {{ :; }} # the disk of the machine that runs the tests
set -T
at_step() {{
    case $BASH_COMMAND in at_step*|*imports*|*fits*|*same*) return 0 ;; esac
    [[ $BASH_COMMAND =~ ^({changing}) ]] || return 0
    read step </run/steps # which subshells count too
    echo $((step += 1)) >/run/steps
    if [ $step = {number} ]; then {action}; fi
}}
trap at_step DEBUG
"""
KILL = "kill -9 $$"
FILL = "yes >>/data/fill 2>/dev/null || :"


def small_package(folder: Path, version: str) -> None:
    """A tree that the scripts take for the program's, and for which Python need not be asked."""
    share = folder / "share/opendtu-dcload"
    (share / "service/log").mkdir(parents=True)
    for name in SCRIPTS:
        shutil.copy(DEPLOY / name, share / name)
    (share / "tree.py").write_text(TREE)
    for name in ("run", "log/run"):
        shutil.copy(DEPLOY / "service" / name, share / "service" / name)
    (share / "config.toml").write_text(f'# of {version}\n[meter]\nhost = ""\n')
    program = folder / "opendtu_dcload"
    program.mkdir()
    (program / "__init__.py").write_text(f"VERSION = {version!r}\n")
    (folder / f"opendtu_dcload-{version}.dist-info").mkdir()


@pytest.fixture
async def machine(gx: GxMachine) -> GxMachine:
    """A GX with two packages in RAM, and a rc.local of its user's."""
    await gx.boot()
    for version in ("1.0", "2.0"):
        small_package(gx.data / f"p{version}", version)
    await gx.ok("mv /data/p1.0 /data/p2.0 /tmp/")
    return gx


FRESH = (
    "svc -dx /data/opendtu-dcload/service /data/opendtu-dcload/service/log 2>/dev/null; sleep 0.1; "
    "rm -rf /service/opendtu-dcload /run/opendtu-dcload; umount /data 2>/dev/null; "
    "mount -t tmpfs -o size=12m none /data && cp -R /tmp/p1.0 /tmp/p2.0 /data/ && mkdir /data/log && "
    "printf '{others}' >/data/rc.local && chmod 755 /data/rc.local"
).format(others=OTHERS.replace("\n", "\\n"))
LOOK = (
    "cd /data && ls -ld /service/* 2>/dev/null | sed 's/.*opendtu/opendtu/'; "
    "find . -path ./log -prune -o -name supervise -prune -o -name __pycache__ -prune -o -path './p?.0' -prune "
    "-o -type l -exec sh -c 'echo {} $(readlink {})' \\; -o -type f -exec sh -c 'ls -l {} | cut -c1-10; md5sum {}' \\; "
    "-o -print | sort"
)


async def state(gx: GxMachine) -> str:
    return await gx.ok(LOOK)


async def steps(gx: GxMachine, command: str, number: int, action: str) -> tuple[int, int]:
    """Run a script that does `action` before its step `number`; return how it ended and how many steps it came."""
    text = STEP.format(changing=CHANGING.replace(" ", "\\ "), number=number, action=action)
    await gx.ok(f"cat >/run/step.sh <<'END'\n{text}\nEND")
    code, _ = await gx.run(f"BASH_ENV=/run/step.sh bash {command}")
    return code, int(await gx.ok("cat /run/steps"))


async def prepare(gx: GxMachine, before: str) -> None:
    await gx.ok(FRESH)
    if before:
        await gx.ok(before)


@pytest.mark.parametrize("action", [KILL, FILL], ids=["killed", "disk full"])
@pytest.mark.parametrize(
    ("before", "command"),
    [
        ("", INSTALL.format("p1.0")),
        (INSTALL.format("p1.0"), INSTALL.format("p2.0")),
        (INSTALL.format("p1.0"), UNINSTALL),
    ],
    ids=["install", "update", "uninstall"],
)
async def test_a_second_run_after_a_broken_one_leads_to_the_same_end(
    machine: GxMachine, before: str, command: str, action: str
) -> None:
    await prepare(machine, before)
    code, last = await steps(machine, command, 0, ":")
    assert (code, last > 5) == (0, True)
    wanted = await state(machine)
    for number in range(1, last + 1):
        await prepare(machine, before)
        await steps(machine, command, number, action)
        rc_local = await machine.ok("cat /data/rc.local")
        assert rc_local in {OTHERS, OTHERS.replace("#!/bin/sh\n", f"#!/bin/sh\n{LINE}")}, number
        await machine.ok("rm -f /data/fill")
        if command == UNINSTALL and (await machine.run(f"test -e {UNINSTALL}"))[0]:
            assert await state(machine) == wanted, number
            continue
        code, _ = await steps(machine, command, 0, ":")
        assert (number, code) == (number, 0)
        assert await state(machine) == wanted, number


LINKS = (
    "current", "current.new", "previous", "config.toml.new", "opendtu-dcload", "restart.sh", "status", "uninstall.sh",
    "service", "versions/.new", "versions/1.0",
)  # fmt: skip


@pytest.mark.parametrize(
    "target", ["/data/mine", "/data/nothing", "/data/mine/file"], ids=["folder", "nothing", "file"]
)
async def test_links_in_the_way_are_not_followed(machine: GxMachine, target: str) -> None:
    await prepare(machine, INSTALL.format("p1.0"))
    mine = "mkdir /data/mine && echo mine >/data/mine/file"
    await machine.ok(mine)
    wanted = await state(machine)
    await prepare(machine, mine)
    links = [f"{HOME}/{name}" for name in LINKS] + ["/data/rc.local.new", "/service/opendtu-dcload"]
    await machine.ok(f"mkdir -p {HOME}/versions && for link in {' '.join(links)}; do ln -s /data/{target} $link; done")
    code, said = await machine.run(INSTALL.format("p1.0"))
    assert code == 0, said
    assert await state(machine) == wanted


async def test_links_in_the_place_of_its_files_are_replaced(machine: GxMachine) -> None:
    await prepare(machine, INSTALL.format("p1.0"))
    mine = "mkdir /data/mine && echo mine >/data/mine/file"
    await machine.ok(mine)
    wanted = await state(machine)
    for name in ("run", "log/run", "log"):
        await machine.ok(f"cd {HOME}/service && rm -rf {name} && ln -s /data/mine/file {name}")
        code, said = await machine.run(INSTALL.format("p1.0"))
        assert code == 0, said
        assert await state(machine) == wanted, name


async def test_a_configuration_and_an_rc_local_that_are_links_stay_links(machine: GxMachine) -> None:
    await prepare(machine, "")
    await machine.ok(
        f"mkdir -p {HOME} /data/mine && ln -s /data/mine/config.toml {HOME}/config.toml && "
        "mv /data/rc.local /data/mine/boot && ln -s mine/boot /data/rc.local"
    )
    await machine.run(INSTALL.format("p1.0"))
    assert (
        await machine.ok(f"readlink {HOME}/config.toml; readlink /data/rc.local")
        == "/data/mine/config.toml\nmine/boot\n"
    )
    assert LINE in await machine.ok("cat /data/mine/boot")
    await machine.ok(UNINSTALL)
    assert await machine.ok("readlink /data/rc.local; cat /data/mine/boot") == "mine/boot\n" + OTHERS


async def test_uninstall_on_a_full_disk_takes_everything_off(machine: GxMachine) -> None:
    await prepare(machine, "rm -r /data/p2.0 && " + INSTALL.format("p1.0"))
    await machine.ok(FILL)
    assert (await machine.run("echo no room >/data/more"))[0] == 1
    await machine.ok("rm /data/more")
    await machine.ok(UNINSTALL)
    assert await machine.ok("cat /data/rc.local") == OTHERS
    assert (await machine.ok(f"ls -A {HOME} /data")).split() == [
        "/data:", "fill", "log", "opendtu-dcload", "p1.0", "rc.local", f"{HOME}:", "config.toml",
    ]  # fmt: skip


async def test_a_log_that_takes_nothing_does_not_keep_the_program_from_its_next_start(machine: GxMachine) -> None:
    start = "/tmp/p1.0/share/opendtu-dcload/start"
    await machine.ok("mkdir /run/opendtu-dcload && cut -d. -f1 /proc/uptime >/run/opendtu-dcload/started")
    await machine.run(f"((yes | head -c 65536; exec {start}) | sleep 1000) >/dev/null 2>&1 &")
    await machine.ok("until grep -qs ended /run/opendtu-dcload/health; do sleep 0.1; done")
