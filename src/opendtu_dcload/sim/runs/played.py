"""Tasks that talk to the devices of a simulated plant, played on virtual time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Self

from opendtu_dcload.errors import ServiceError
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.virtual_time import VirtualLoop
from opendtu_dcload.sim.servers.latency import opendtu_latency, shelly_latency
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from opendtu_dcload.sim.servers.shelly_server import Gen1Server
from opendtu_dcload.sim.servers.wire import Wire

METER = "meter"
"""The address of the simulated meter."""
RELAY = "relay"
"""The address of the simulated relay between the inverters and the grid, where there is one."""
PASSWORD = "simulated"  # noqa: S105  what the simulated DTUs want


def host_of(dtu: str) -> str:
    """Return the address of a simulated DTU: its name, or one made of it where no host could have that."""
    return dtu if re.fullmatch("[a-z0-9_]+", dtu) else f"dtu-{dtu.encode().hex()}"


class ProgramError(ServiceError):
    """A task of the program has ended, which none ever should."""


class Played:
    """Runs from the world's present time on; use it as a context manager.

    Args:
        world: house and DTUs, moved along with the tasks.
        seed: of the answers' latencies.
    """

    def __init__(self, world: World, *, seed: int = 1) -> None:
        self.world = world
        self.loop = VirtualLoop(world.house.now_s, world.advance)
        clock = self.loop.time
        self.meter = Gen2Server(world.dtus[0], clock)
        self.meter.latency = shelly_latency(seed)
        self.dtus = {dtu.name: OpenDtuServer(dtu, clock, password=PASSWORD) for dtu in world.dtus}
        self.wire = Wire()
        self.wire.attach(METER, self.meter)
        for name, server in self.dtus.items():
            server.latency = opendtu_latency(f"{name} {seed}")
            self.wire.attach(host_of(name), server)
        self.tasks: list[asyncio.Task[object]] = []
        """None of them may end."""

    def __enter__(self) -> Self:
        self.loop.run_until_complete(self.start())
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.run_until_complete(end_tasks(asyncio.all_tasks(self.loop)))
        self.loop.close()

    async def start(self) -> None:
        """Start the tasks."""

    def add_relay(self) -> None:
        """Put a relay between the inverters and the grid: a Shelly 1PM, open at first."""
        relay = Gen1Server(self.world.dtus[0], self.loop.time, device="1pm")
        relay.feed_inverters()
        self.wire.attach(RELAY, relay)

    def advance(self, at_s: float) -> None:
        """Let everything happen until a time.

        Raises:
            ProgramError: a task has ended.
        """
        self.loop.run_until(at_s)
        for task in self.tasks:
            if task.done():
                raise ProgramError(f"{task.get_name()} has ended at {at_s:.1f} s") from task.exception()


async def end_tasks(tasks: Iterable[asyncio.Task[object]]) -> None:
    """Cancel tasks and wait until they have ended."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
