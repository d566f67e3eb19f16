"""This machine's own Debian, started anew with its own systemd: what is changed there is gone afterwards.

Its root is this machine's behind a layer in RAM. It shares the network with the tests.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from tests.deploy.gx import Machine

TOOLS = ("unshare", "nsenter", "pivot_root", "curl", "useradd")
SYSTEMD = Path("/lib/systemd/systemd")
BOOT = """set -e
mount --make-rprivate /
mount -t tmpfs none /mnt
mkdir /mnt/changed /mnt/work /mnt/root
mount -t overlay none -o lowerdir=/,upperdir=/mnt/changed,workdir=/mnt/work /mnt/root
cd /mnt/root
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
for folder in run tmp; do mount -t tmpfs none $folder; done
mkdir -p run/lock before
rm -rf etc/systemd/system/*.wants
printf '[Unit]\\nAllowIsolate=yes\\nRequires=dbus.socket\\n' >etc/systemd/system/bare.target
mkdir -p home/pi root
pivot_root . before
umount -l /before
export container=lxc
exec /lib/systemd/systemd --system --unit=bare.target
"""


def needs_systemd() -> None:
    """Skip where the tests cannot be run; in CI they must be."""
    lacking = [name for name in TOOLS if shutil.which(name) is None] + ["systemd"] * (not SYSTEMD.exists())
    lacking += ["root rights"] * (os.geteuid() != 0)
    if lacking and os.environ.get("CI") != "true":
        pytest.skip(f"needs {', '.join(lacking)}")


@dataclass
class DebianMachine(Machine):
    """One Debian."""

    shell: ClassVar[tuple[str, ...]] = ("/bin/sh",)

    async def boot(self) -> None:
        await self.start(BOOT, "--cgroup", "--mount-proc")
        await self.comes_up("systemctl is-system-running")
