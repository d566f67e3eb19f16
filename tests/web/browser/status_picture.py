"""Makes the manual's picture of the status page: `make status-picture`.

The program regulates the demo's plant through an hour of a measured day; for both the time passes many times as fast.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import NoReturn

import aiohttp

from opendtu_dcload.sim.demo.demo import TRACE, WINDOW_START_S, config_text
from tests.doubles.gx_services import BATTERY, Gx, gx
from tests.doubles.message_bus import Daemon
from tests.doubles.ports import free_port
from tests.soak.real_day import accelerated
from tests.web.browser.browser import DESKTOP, browsing
from tests.web.browser.conftest import ROOT, TOKEN

PICTURE = ROOT / "docs" / "status-page.png"
FACTOR = 4.0
"""So many times as fast; with more a busy machine lets devices seem late."""
PLAYED_S = 3650.0
BATTERY_V = 52.6
LARGEST_BYTES = 150_000


async def make() -> None:
    """Play the hour and take the picture."""
    with tempfile.TemporaryDirectory(prefix="status-picture-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        daemon = Daemon(folder)
        daemon.start()
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(daemon.stop)
            stand_in = await stack.enter_async_context(gx(daemon.address))
            url, backstage = await _program(stack, folder, str(daemon.address))
            battery = asyncio.create_task(_empty_battery(stand_in, backstage))
            stack.callback(battery.cancel)
            print(f"Plays an hour at {url}", flush=True)
            await asyncio.sleep(PLAYED_S / FACTOR)
            browser = await stack.enter_async_context(browsing(folder / "profile"))
            await browser.visit(url, "en", "light", DESKTOP)
            await browser.until_live()
            await browser.until("document.querySelectorAll('.plot svg').length === 3")
            await browser.picture(folder / "picture.png")
            await asyncio.to_thread(_pack, folder / "picture.png")


async def _empty_battery(stand_in: Gx, backstage: str) -> NoReturn:
    """Let the GX show the battery that feeds the inverters."""
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://{backstage}/_sim/live") as answer:
                drawn_w = sum((await answer.json())["output_w"].values()) / 0.95
            stand_in.set(
                BATTERY,
                {
                    "/Dc/0/Power": -round(drawn_w, 1),
                    "/Dc/0/Current": -round(drawn_w / BATTERY_V, 2),
                    "/Dc/0/Voltage": round(BATTERY_V - drawn_w / 4000, 2),
                },
            )
            await asyncio.sleep(1 / FACTOR)


async def _program(stack: contextlib.AsyncExitStack, folder: Path, bus: str) -> tuple[str, str]:
    """Start plant and program, and return where the page is, and the plant's backstage."""
    environ = accelerated(FACTOR)
    module = ("-m", "opendtu_dcload.sim.demo.demo_plant", "--trace", TRACE, "--start", str(WINDOW_START_S))
    plant = await asyncio.create_subprocess_exec(sys.executable, *module, env=environ, stdout=PIPE)
    stack.callback(plant.kill)
    assert plant.stdout is not None
    hosts = json.loads(await plant.stdout.readline())
    port = free_port()
    text = config_text(hosts["meter"], hosts["dtu"], has_bus=True, page_port=port)
    text = text.replace('"session"', f'"{bus}"').replace("[web]\n", f'[web]\ntoken = "{TOKEN}"\n')
    config = folder / "config.toml"
    await asyncio.to_thread(config.write_text, text)
    argv = (sys.executable, "-m", "opendtu_dcload", "--config", str(config))
    program = await asyncio.create_subprocess_exec(*argv, env=environ, stdout=DEVNULL, cwd=folder)
    stack.callback(program.kill)
    return f"http://127.0.0.1:{port}/", hosts["backstage"]


def _pack(taken: Path) -> None:
    """Write the picture with few colours, which a page like this has anyway."""
    argv = ["pngquant", "--force", "--speed", "1", "--strip", "--output", str(PICTURE), "64", str(taken)]
    subprocess.run(argv, check=True)
    size_bytes = PICTURE.stat().st_size
    print(f"{PICTURE.relative_to(ROOT)}: {size_bytes} bytes")
    assert size_bytes < LARGEST_BYTES


if __name__ == "__main__":
    asyncio.run(make())
