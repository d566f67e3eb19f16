"""A machine that looks like a GX to what runs on it: Venus OS' file layout in namespaces of their own.

The root is read-only, `/service`, `/run` and `/tmp` are RAM, only `/data` stays over a reboot. The shell is busybox,
the supervisor daemontools (or runit), Python is the one that runs the tests, with a library as thin as Venus OS' own.
It shares the network with the tests. A stick is a folder below `media`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from tests.doctor.terminal import Terminal, typed

LEFT_OUT = (
    "venv",
    "ensurepip",
    "unittest",
    "tomllib.py",
    "tomllib",
    "sqlite3",
    "zoneinfo",
    "statistics.py",
    "getpass.py",
    "difflib.py",
    "multiprocessing",
    "distutils",
    "doctest.py",
    "pdb.py",
    "pprint.py",
    "profile.py",
    "pydoc.py",
    "xmlrpc",
    "curses",
    "mailbox.py",
)
"""Parts of the standard library that a GX may lack (packages of their own in Venus OS)."""
NEVER_THERE = (
    "site-packages", "dist-packages", "test", "idlelib", "lib2to3", "tkinter", "turtledemo", "config-*", "__pycache__"
)  # fmt: skip
SUPERVISORS = ("svscan", "supervise", "svc", "svstat", "svok", "multilog", "tai64nlocal")
RUNIT = ("runsvdir", "runsv", "sv")
ENVIRON = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/data/home/root"}
TOOLS = ("busybox", "bash", "curl", "unshare", "nsenter")
BOOT = """#!/bin/sh
mount -t proc proc /proc
mkdir -p /data/log
. /sbin/update-data
{supervisor} /service >/dev/null 2>&1 &
[ ! -x /data/rc.local ] || /data/rc.local
touch /run/booted
while :; do wait; sleep 1; done
"""
UPDATE_DATA = """
for archive in /media/*/venus-data.tar.gz /media/*/venus-data-*.tar.gz; do
    [ -f "$archive" ] || continue
    hooks=$(mktemp -d)
    tar -xzf "$archive" -C "$hooks" rc 2>/dev/null
    if tar -xzf "$archive" -C /data; then result=success; else result=extraction-failed; fi
    rm -rf /data/rc # this tar cannot leave it out
    [ ! -f "$hooks/rc/post-hook.sh" ] || sh "$hooks/rc/post-hook.sh" $result
    rm -rf "$hooks"
done
"""
"""What Venus OS does at boot with a stick that is plugged in (meta-victronenergy: initscripts/update-data.sh)."""
MOUNT = """set -e
mount --bind {root} {root}
mount -o remount,bind,ro {root}
mount --bind {data} {root}/data
mount --bind {media} {root}/media
for folder in service run tmp; do mount -t tmpfs tmpfs {root}/$folder; done
mount --bind /dev/null {root}/dev/null
exec chroot {root} /sbin/boot-{supervisor}
"""


def missing() -> list[str]:
    """What this machine lacks to be a GX."""
    lacking = [name for name in (*TOOLS, *SUPERVISORS, *RUNIT) if shutil.which(name) is None]
    return lacking if os.geteuid() == 0 else [*lacking, "root rights"]


def needs_gx() -> None:
    """Skip where the tests cannot be run; in CI they must be."""
    if (lacking := missing()) and os.environ.get("CI") != "true":
        pytest.skip(f"needs {', '.join(lacking)}")


def build_root(root: Path) -> None:
    for folder in (
        "bin",
        "sbin",
        "usr/bin",
        "usr/lib",
        "dev",
        "proc",
        "run",
        "service",
        "tmp",
        "data",
        "media",
        "etc",
        "var",
    ):
        (root / folder).mkdir(parents=True)
    (root / "dev/null").touch()
    (root / "var/log").symlink_to("/data/log")
    (root / "etc/passwd").write_text("root:x:0:0:root:/data/home/root:/bin/sh\n")
    (root / "opt/victronenergy").mkdir(parents=True)
    (root / "opt/victronenergy/version").write_text("v3.60\nVenus OS\n20250601000000\n")
    for name in (*SUPERVISORS, *RUNIT, "busybox", "bash", "curl"):
        _copy_program(root, Path(str(shutil.which(name))), root / "usr/bin" / name)
    busybox = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in {*busybox} - {"svc", "svok", "busybox"}:
        (root / "usr/bin" / applet).symlink_to("busybox")
    (root / "bin/sh").symlink_to("/usr/bin/busybox")
    (root / "bin/bash").symlink_to("/usr/bin/bash")
    _copy_python(root)
    (root / "sbin/update-data").write_text(UPDATE_DATA)
    for name, supervisor in (("daemontools", "svscan"), ("runit", "runsvdir")):
        boot = root / f"sbin/boot-{name}"
        boot.write_text(BOOT.format(supervisor=supervisor))
        boot.chmod(0o755)


def _copy_python(root: Path) -> None:
    python = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    _copy_program(root, python, root / "usr/bin" / name)
    (root / "usr/bin/python3").symlink_to(name)
    library = root / "usr/lib" / name
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=shutil.ignore_patterns(*LEFT_OUT, *NEVER_THERE))
    for module in library.glob("lib-dynload/*.so"):
        _copy_libraries(root, module)
    # parts of glibc that compiled wheels name, and libgcc, which pydantic's core (Rust) needs and Venus OS has for Qt
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    for path in re.findall(r"lib(?:gcc_s|rt|dl|pthread|util)\.so\.\d \(libc6,x86-64.*?\) => (\S+)", known):
        _copy_to_same_place(root, path)


def _copy_program(root: Path, source: Path, target: Path) -> None:
    shutil.copy(source, target)
    _copy_libraries(root, source)


def _copy_libraries(root: Path, program: Path) -> None:
    listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
    for path in re.findall(r"(/\S+) \(0x", listed):
        _copy_to_same_place(root, path)


def _copy_to_same_place(root: Path, path: str) -> None:
    target = root / path.lstrip("/")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


@dataclass
class Machine:
    """A root of its own in namespaces of its own, off at first."""

    _machine: Process | None = field(default=None, init=False)
    _pid: str = field(default="", init=False)
    shell: ClassVar[tuple[str, ...]] = ("/usr/bin/busybox", "sh")

    async def start(self, script: str, *namespaces: str) -> None:
        """Run a script as the first process, in addition to these namespaces in those of mounts and processes."""
        self._machine = await asyncio.create_subprocess_exec(
            "unshare", "--mount", "--pid", *namespaces, "--fork", "--kill-child", "sh", "-c", script,
            stdin=DEVNULL, stdout=DEVNULL, stderr=None, env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
        )  # fmt: skip
        children = Path(f"/proc/{self._machine.pid}/task/{self._machine.pid}/children")
        while not (pids := children.read_text().split()):  # noqa: ASYNC110, ASYNC240  a file in RAM that the kernel fills
            await asyncio.sleep(0.02)
        self._pid = pids[0]

    async def comes_up(self, command: str) -> None:
        while (await self.run(command))[0]:
            assert self._machine is not None
            assert self._machine.returncode is None, "the machine did not boot"
            await asyncio.sleep(0.05)

    async def power_off(self) -> None:
        """Pull the plug."""
        if self._machine is not None:
            with contextlib.suppress(ProcessLookupError):
                self._machine.kill()
            await self._machine.wait()
            self._machine = None

    def typed(self, command: str, **environ: str) -> contextlib.AbstractAsyncContextManager[Terminal]:
        """Run a command in the machine's shell at a terminal."""
        return typed(self._shell(command), ENVIRON | environ)

    def _shell(self, command: str) -> tuple[str, ...]:
        enter = ("nsenter", "--target", self._pid, "--mount", "--pid", "--root", "--wd")
        return (*enter, *self.shell, "-c", command)

    async def run(self, command: str, **environ: str) -> tuple[int, str]:
        """Run a command in the machine's shell; return its exit code and what it printed."""
        process = await asyncio.create_subprocess_exec(
            *self._shell(command), stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, env=ENVIRON | environ
        )
        printed, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, printed.decode()

    async def ok(self, command: str, **environ: str) -> str:
        code, printed = await self.run(command, **environ)
        assert code == 0, f"{command}: {code}\n{printed}"
        return printed


@dataclass
class GxMachine(Machine):
    """One GX."""

    root: Path
    data: Path
    supervisor: str = "daemontools"

    @property
    def media(self) -> Path:
        return self.data.with_name("media")

    async def boot(self) -> None:
        self.media.mkdir(exist_ok=True)
        script = MOUNT.format(root=self.root, data=self.data, media=self.media, supervisor=self.supervisor)
        await self.start(script)
        await self.comes_up("test -e /run/booted")
