"""A private message bus, and a client on it that shares no code with ours."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.venus.bus.bus_address import TcpAddress, UnixAddress
from opendtu_dcload.venus.bus.busitem import BusService
from tests.venus.settings_process import SettingsProcess

CLIENT = Path(__file__).with_name("dbus_python_client.py")
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <listen>tcp:host=127.0.0.1,port=0</listen>
  <auth>EXTERNAL</auth>
  <auth>ANONYMOUS</auth>
  <allow_anonymous/>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
    <deny own="com.victronenergy.forbidden"/>
  </policy>
  <limit name="max_replies_per_connection">50000</limit>
</busconfig>
"""


class Daemon:
    """A dbus-daemon that can be stopped and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self.address = UnixAddress(str(folder / "bus"))
        self._config = folder / "bus.conf"
        self._config.write_text(CONFIG.format(path=self.address.path))
        self._process: subprocess.Popen[str] | None = None
        self.tcp_address = TcpAddress("127.0.0.1", 1)

    def start(self) -> None:
        Path(self.address.path).unlink(missing_ok=True)
        self._process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={self._config}", "--nofork", "--print-address=1", "--nopidfile"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        printed = self._process.stdout.readline()
        port = next(part.partition("=")[2] for part in printed.replace(";", ",").split(",") if part.startswith("port="))
        self.tcp_address = TcpAddress("127.0.0.1", int(port))

    def stop(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._process = None


class Client:
    """The dbus-python process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.signals: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.flooded: list[str] = []

    async def read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            answer = json.loads(line)
            if "signal" in answer:
                self.signals.put_nowait(answer)
            elif "flooded" in answer:
                self.flooded.append(answer["flooded"])
            else:
                self._answers.put_nowait(answer)

    async def answer(self) -> dict[str, Any]:
        return await self._answers.get()

    async def signal(self) -> dict[str, Any]:
        return await self.signals.get()

    async def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **arguments}).encode() + b"\n")
        return await self.answer()

    async def call(
        self,
        name: str,
        path: str,
        member: str,
        signature: str = "",
        *args: list[Any],
        interface: str | None = None,
    ) -> dict[str, Any]:
        """Call without interface field unless one is given."""
        return await self.do(
            "call",
            name=name,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            args=args,
        )

    async def get(self, name: str, path: str) -> Any:
        """Return [signature, value] of GetValue."""
        return (await self.call(name, path, "GetValue"))["ok"]


def system_python() -> str:
    """Return a python3 that has dbus-python and its main loop."""
    for candidate in (shutil.which("python3", path="/usr/bin"), sys.executable):
        if (
            candidate
            and not subprocess.run([candidate, "-c", "import dbus, gi"], capture_output=True, check=False).returncode
        ):
            return candidate
    pytest.skip("dbus-python is missing (Debian: python3-dbus python3-gi)")


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


@contextlib.asynccontextmanager
async def running(*services: BusService) -> AsyncIterator[None]:
    """Run services until they are on the bus, and through the body."""
    tasks = [asyncio.create_task(service.run()) for service in services]
    try:
        await until(lambda: all(service.is_online for service in services))
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(is_true: Callable[[], bool]) -> None:
    """Wait for something that happens by itself."""
    while not is_true():  # noqa: ASYNC110 - what it waits for has no event
        await asyncio.sleep(0.005)
