"""Simulated devices, and what a GX has on its bus: the bus itself, a client, and localsettings."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.doubles.bus_client import CLIENT, Client, system_python
from tests.doubles.devices import Devices, simulated
from tests.doubles.localsettings_process import SettingsProcess
from tests.doubles.message_bus import Daemon

# How long an example takes tells of the machine only: no property fails for it.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture
async def devices() -> AsyncIterator[Devices]:
    async with simulated() as devices:
        yield devices


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is missing (Debian: dbus)")
    with tempfile.TemporaryDirectory(prefix="bus") as folder:
        daemon = Daemon(Path(folder))
        daemon.start()
        yield daemon
        daemon.stop()


@pytest.fixture
async def client(daemon: Daemon) -> AsyncIterator[Client]:
    process = await asyncio.create_subprocess_exec(
        system_python(),
        str(CLIENT),
        str(daemon.address),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    client = Client(process)
    reader = asyncio.create_task(client.read())
    await client.answer()
    yield client
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()
    await reader


@pytest.fixture
def localsettings(daemon: Daemon, tmp_path: Path) -> Iterator[SettingsProcess]:
    """A stand-in for localsettings that is not started yet."""
    process = SettingsProcess(system_python(), str(daemon.address), tmp_path)
    yield process
    process.stop()
