"""Shows that who looks at the status page does not disturb what regulates.

The same seed is played twice on virtual time, once with ten clients that follow the plant: every command must be the
same, at the same time. Then two programs run side by side as processes with everything on, one of them with ten
clients over HTTP and a Chromium, where there is one, and what each takes of processor and memory is compared.
`python -m tests.plays.web_load --seconds 60` measures for less.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import sys
import tempfile
from pathlib import Path

import aiohttp
import tomli

from opendtu_dcload.sim.plant.house import House
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.program import Program, plant_config
from opendtu_dcload.sim.runs.simulated_plant import default_models
from opendtu_dcload.sim.runs.trace import DEFAULT_TRACE, load_trace
from opendtu_dcload.web.assets import page
from opendtu_dcload.web.feed import Feed
from opendtu_dcload.web.gate import Gate
from opendtu_dcload.web.history.history import History
from opendtu_dcload.web.set_points import SetPoints
from opendtu_dcload.web.site import Site
from opendtu_dcload.web.status_document import StatusDocument
from opendtu_dcload.web.web_server import WebServer, connection
from tests.doubles.memory_connection import MemoryConnection
from tests.plays.gx_stage import TRACE_FROM_S
from tests.plays.lightness import EVERYTHING, SETTLED_S, cpu_s, plant
from tests.web.browser.browser import CHROMIUM, browsing

CLIENTS = 10
PLAYED_S = 3600.0
MOST_MORE = 1.2
"""With its clients the program may take so many times the processor."""
LARGEST_KB = 60 * 1024


class Watched(Program):
    """The program with its status page and so many clients."""

    clients = 0

    async def start(self) -> None:
        """Start program and page, and let the clients ask for the stream."""
        await super().start()
        config, state, clock = self.config, self.state, self.loop.time
        set_points = SetPoints(None, config.control.target_w, config.control.max_feed_in_w)
        status = StatusDocument(config, state, clock, lambda: set_points.document(may_write=False), is_dry=False)
        feed = Feed()
        site = Site(status, History(status.eye, state, None, self._today), set_points, feed, state, clock)
        self.tasks.append(self.loop.create_task(site.run(), name="status page"))
        web = WebServer(site, Gate(None, ()), feed, page(), "", 8099)
        server = web.made()
        self.connections = [MemoryConnection(connection(server)) for _ in range(self.clients)]
        for client in self.connections:
            client.say(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")


def played(clients: int) -> tuple[list[object], int]:
    """Return what was commanded in an hour, and how many states the clients were sent."""
    house = House(load_trace(DEFAULT_TRACE)[TRACE_FROM_S:], default_models(), seed=3, cap_w=1200.0)
    world = World(house, [SimDtu(house, seed=3)])
    watched = Watched(world, plant_config(world, minimum_w=20.0, cap_w=1200.0), seed=3)
    watched.clients = clients
    with watched as program:
        program.advance(PLAYED_S)
        told = sum(client.sent.count(b"event: state\n") for client in watched.connections)
        return list(program.dtus["opendtu"].posted), told


async def follow(session: aiohttp.ClientSession, url: str, told: list[int]) -> None:
    """Follow the plant for ever, and count the states."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with session.get(f"{url}api/stream", timeout=timeout) as answer:
        answer.raise_for_status()
        async for line in answer.content:
            told[0] += line == b"event: state\n"


def resident_kb(pid: int) -> int:
    """Return the most memory that a process has ever had in RAM."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


async def measured(seconds: float) -> tuple[list[str], bool]:
    """Return the lines about two programs side by side, and whether they keep within the budget."""
    async with contextlib.AsyncExitStack() as parts:
        folders = [Path(parts.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        (_, alone), (_, watched) = [await parts.enter_async_context(plant(EVERYTHING, folder)) for folder in folders]
        config = tomli.loads((folders[1] / "config.toml").read_text())
        session = await parts.enter_async_context(aiohttp.ClientSession())
        url, told = f"http://127.0.0.1:{config['web']['port']}/", [0]
        if CHROMIUM is not None:
            profile = Path(parts.enter_context(tempfile.TemporaryDirectory()))
            tab = await parts.enter_async_context(browsing(profile))
            await tab.visit(url)
            await tab.until_live()
        following = [asyncio.create_task(follow(session, url, told)) for _ in range(CLIENTS)]
        await asyncio.sleep(SETTLED_S)
        before_s = [cpu_s(process) for process in (alone, watched)]
        await asyncio.sleep(seconds)
        used_s = [cpu_s(process) - before for process, before in zip((alone, watched), before_s, strict=True)]
        sizes_kb = [resident_kb(process.pid) for process in (alone, watched)]
        has_told = told[0] >= 0.9 * CLIENTS * seconds
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
    ratio = used_s[1] / used_s[0]
    names = ("nobody looks", f"{CLIENTS} clients{'' if CHROMIUM is None else ', Chromium'}")
    lines = [
        f"CPU of one core in {seconds:.0f} s, side by side, three inverters; the most memory",
        *(
            f"{name:20} {100 * cpu / seconds:6.2f} %   {size_kb / 1024:5.1f} MB"
            for name, cpu, size_kb in zip(names, used_s, sizes_kb, strict=True)
        ),
        f"{ratio:.2f} x the processor; {told[0]} states sent",
    ]
    return lines, has_told and ratio <= MOST_MORE and max(sizes_kb) < LARGEST_KB


def main() -> int:
    """Play, measure and tell; 1 when it is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.plays.web_load", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=180.0)
    seconds = parser.parse_args().seconds
    (commands, _), (same, told) = played(0), played(CLIENTS)
    is_same = commands == same and len(commands) > 0
    print(f"{len(commands)} commands in an hour on virtual time; with {CLIENTS} clients, to which {told} states went,")
    print("they were the same" if is_same else "they were OTHERS", flush=True)
    lines, is_light = asyncio.run(measured(seconds))
    print("\n".join(lines))
    return 0 if is_same and is_light else 1


if __name__ == "__main__":
    sys.exit(main())
