"""A real avahi-daemon of a test's own, in a network that has nothing but a loopback: nobody else hears it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from opendtu_dcload.errors import BusError
from opendtu_dcload.venus.bus.connection import Connection, connected
from tests.doubles.message_bus import Daemon

DAEMON = shutil.which("avahi-daemon", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONFIG = """[server]
use-ipv6=no
[wide-area]
enable-wide-area=no
[publish]
publish-hinfo=no
publish-workstation=no
"""
ALONE = """
ip link set lo up
mkdir -p /run/avahi-daemon
mount -t tmpfs none /run/avahi-daemon
exec {daemon} -f {config} --no-drop-root --no-chroot --no-rlimits --no-proc-title
"""
_AVAHI, _SERVER, _GROUP = "org.freedesktop.Avahi", "org.freedesktop.Avahi.Server", "org.freedesktop.Avahi.EntryGroup"


@contextlib.asynccontextmanager
async def avahi(bus: Daemon, folder: Path) -> AsyncIterator[Connection]:
    """Start an avahi-daemon on a bus and yield a connection that can announce by it."""
    config = folder / "avahi.conf"
    config.write_text(CONFIG)
    script = ALONE.format(daemon=DAEMON, config=config)
    spaces = ["unshare", "--mount", "--net", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    process = await asyncio.create_subprocess_exec(
        *spaces,
        "sh",
        "-ec",
        script,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": str(bus.address), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )
    try:
        async with connected(bus.address) as connection:
            while not await _is_running(connection):
                assert process.returncode is None, "avahi-daemon does not start: does this user have namespaces?"
                await asyncio.sleep(0.05)
            yield connection
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def announce(connection: Connection, name: str, kind: str, host: str) -> None:
    """Announce a device at `host`, its address with a port, until the connection ends."""
    address, _, port = host.partition(":")
    (group,) = await connection.call(_AVAHI, "/", _SERVER, "EntryGroupNew")
    target = f"{name.encode().hex()[:40]}-{kind.strip('_').partition('.')[0]}.local"
    no_reverse = 16  # AVAHI_PUBLISH_NO_REVERSE: several names may lead to one address
    await connection.call(_AVAHI, group, _GROUP, "AddAddress", "iiuss", [-1, 0, no_reverse, target, address])
    service = [-1, 0, 0, name, kind, "", target, int(port or 80), [b"gen=2"]]
    await connection.call(_AVAHI, group, _GROUP, "AddService", "iiussssqaay", service)
    await connection.call(_AVAHI, group, _GROUP, "Commit")
    for _ in range(200):
        if await connection.call(_AVAHI, group, _GROUP, "GetState") == [2]:  # AVAHI_ENTRY_GROUP_ESTABLISHED
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} is not announced")


async def _is_running(connection: Connection) -> bool:
    try:
        return await connection.call(_AVAHI, "/", _SERVER, "GetState") == [2]  # AVAHI_SERVER_RUNNING
    except BusError:
        return False
