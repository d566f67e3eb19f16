"""A client on the bus that shares no code with ours: dbus-python, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CLIENT = Path(__file__).with_name("dbus_python_client.py")


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


async def owned(client: Client, name: str) -> None:
    """Wait until somebody owns `name`."""
    while "error" in await client.call(name, "/", "Ping"):  # noqa: ASYNC110 - the bus tells nobody
        await asyncio.sleep(0.005)
