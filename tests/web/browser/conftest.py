"""The real program at a simulated plant, beside what a GX has, and a browser that looks at its page."""

from __future__ import annotations

import asyncio
import os
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from tests.doubles.devices import Devices
from tests.doubles.gx_services import Gx, gx
from tests.doubles.message_bus import Daemon
from tests.doubles.ports import free_port
from tests.program.process import start
from tests.web.browser.browser import CHROMIUM, PATIENCE_S, Browser, browsing

ROOT = Path(__file__).parents[3]
AXE = ROOT / ".browser" / "node_modules" / "axe-core" / "axe.min.js"
TOKEN = "a-token-for-these-tests"
HOSTILE = '<img src=x onerror="document.title=1">'


@dataclass
class Program:
    """The service, which can be stopped and started again at the same address."""

    config: Path
    url: str
    devices: Devices
    gx: Gx
    process: Process | None = None

    async def start(self) -> None:
        self.process = await start("--config", self.config)
        timeout = aiohttp.ClientTimeout(total=2.0)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.timeout(PATIENCE_S):
            while not await self._decides(session):
                assert self.process.returncode is None, self.process
                await asyncio.sleep(0.1)

    async def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        await self.process.communicate()

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def _decides(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}healthz") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


@pytest.fixture
async def program(devices: Devices, daemon: Daemon, tmp_path: Path) -> AsyncIterator[Program]:
    """The program regulates; its second inverter has a name that no page should take for more than that."""
    hostile = devices.house.inverters[devices.serials[1]]
    hostile.model = replace(hostile.model, name=HOSTILE)
    port = free_port()
    web = f'listen = "127.0.0.1"\nport = {port}\ntoken = "{TOKEN}"\n'
    config = devices.config(tmp_path, bus=str(daemon.address), control="meter_ramp_s = 8\n", web=web)
    async with gx(daemon.address) as stand_in:
        program = Program(config, f"http://127.0.0.1:{port}/", devices, stand_in)
        await program.start()
        yield program
        await program.kill()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    _need("chromium", is_there=CHROMIUM is not None)
    with tempfile.TemporaryDirectory(prefix="browser", ignore_cleanup_errors=True) as folder:
        async with browsing(Path(folder)) as browser:
            yield browser


@pytest.fixture
def axe() -> str:
    """The script of axe-core, which finds what people with disabilities would stumble over."""
    _need("axe-core", is_there=AXE.exists())
    return AXE.read_text()


def _need(name: str, *, is_there: bool) -> None:
    if not is_there and os.environ.get("CI"):
        pytest.fail(f"{name} is missing: `make browser` installs it")
    if not is_there:
        pytest.skip(f"{name} is missing: `make browser` installs it")
