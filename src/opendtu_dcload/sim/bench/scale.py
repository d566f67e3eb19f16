"""What a decision costs: CPU against the number of inverters, and against the mere asking of the meter.

These figures are measured, so they differ from run to run and from machine to machine; only their ratios mean anything.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from opendtu_dcload.control.commands.command_policy import Command
from opendtu_dcload.control.controller import Controller
from opendtu_dcload.control.decision import Decision, Seen
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.sim.bench.bench_plants import many
from opendtu_dcload.sim.bench.cases import CASES
from opendtu_dcload.sim.runs.controller_alone import Run, unit_of

COUNTS = (1, 3, 10, 40)
"""40 inverters are what four DTUs can hold."""
PLAYED_S = 900
GETS = 500
SECONDS_PER_H = 3600


class _TimedController(Controller):
    """Counts the CPU time of its decisions."""

    def __init__(self, settings: Settings, units: Sequence[InverterParameters], now_s: float) -> None:
        super().__init__(settings, units, now_s)
        self.cpu_s = 0.0

    def decide(self, seen: Seen) -> Decision:
        began_s = time.thread_time()
        decision = super().decide(seen)
        self.cpu_s += time.thread_time() - began_s
        return decision

    def posted(self, command: Command, now_s: float) -> None:
        began_s = time.thread_time()
        super().posted(command, now_s)
        self.cpu_s += time.thread_time() - began_s


@dataclass(frozen=True, slots=True)
class Cpu:
    """What was measured."""

    decisions_s: Mapping[int, float]
    """CPU time in s of one simulated hour's decisions, by number of inverters."""
    meter_s: float
    """CPU time in s of asking the meter once a second for an hour, with nothing but aiohttp."""

    def lines(self) -> list[str]:
        """Return it for reading."""
        return [
            "CPU of our decisions (differs from run to run)",
            "inverters   s per h   per inverter",
            *(f"{count:9} {cpu_s:9.2f} {cpu_s / count:14.3f}" for count, cpu_s in self.decisions_s.items()),
            f"Asking the meter once a second with bare aiohttp takes {self.meter_s:.2f} s per h,",
            f"with the decisions for three inverters {1 + self.decisions_s[3] / self.meter_s:.1f} x that.",
        ]


def measure() -> Cpu:
    """Measure it, which takes some seconds."""
    return Cpu({count: decisions_cpu_s(count) for count in COUNTS}, bare_get_cpu_s() * SECONDS_PER_H)


def decisions_cpu_s(inverters: int) -> float:
    """Return the CPU time in s of one simulated hour's decisions, with so many HMS-400 and a load in proportion."""
    plant = many(inverters)
    load_w = [w * inverters / 3 for w in CASES["levels"].load_w(1)[:PLAYED_S]]
    world = plant.world(load_w, 1)
    units = [unit_of(model, plant.minimum_w, world.dtu_of(model.serial).name) for model in plant.models]
    controller = _TimedController(Settings(max_feed_in_w=plant.rated_w), units, 0.0)
    run = Run(world, controller)
    while world.house.now_s < PLAYED_S:
        run.advance_second()
    return controller.cpu_s * SECONDS_PER_H / PLAYED_S


def bare_get_cpu_s() -> float:
    """Return the CPU time in s that a bare aiohttp client needs for one reading of the meter over loopback.

    The meter answers from a thread of its own, whose time is not counted.
    """
    address: Future[str] = Future()
    stop = threading.Event()
    server = threading.Thread(target=lambda: asyncio.run(_serve(address, stop)), name="meter")
    server.start()
    try:
        return asyncio.run(_ask(address.result(timeout=10)))
    finally:
        stop.set()
        server.join()


async def _serve(address: Future[str], stop: threading.Event) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"id": 0, "total_act_power": 123.4})

    app = web.Application()
    app.router.add_get("/rpc/EM.GetStatus", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        address.set_result(f"http://{host}:{port}/rpc/EM.GetStatus?id=0")
        await asyncio.get_running_loop().run_in_executor(None, stop.wait)
    finally:
        await runner.cleanup()


async def _ask(url: str) -> float:
    async with aiohttp.ClientSession() as session:
        began_s = time.thread_time()
        for _ in range(GETS):
            async with session.get(url) as answer:
                await answer.json()
        return (time.thread_time() - began_s) / GETS
