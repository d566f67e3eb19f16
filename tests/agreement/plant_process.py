"""A window's plant as a process: house, meter and OpenDTUs behind real HTTP.

`python -m tests.agreement.plant_process WINDOW CONTROLLER` prints a line of JSON with what is to be configured, plays,
prints another one with what it cost, and waits to be ended. A controller that is part of the OpenDTU runs here too.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

from opendtu_dcload.devices.http import open_session
from opendtu_dcload.sim.bench.cost import Account
from opendtu_dcload.sim.peers.on_battery import OnBattery
from opendtu_dcload.sim.peers.played_peer import run_from_some_time_on, setup_for
from opendtu_dcload.sim.runs.played import PASSWORD
from opendtu_dcload.sim.servers.latency import opendtu_latency, shelly_latency
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from tests.agreement.windows import PLAYED_S, SETTLING_S, WINDOWS, Window

SEED = 1
TICK_S = 0.1


async def play(window: Window, controller: str) -> dict[str, Any]:
    """Play a window from now on, and return what it cost."""
    load_w, plant = window.load_w, window.plant
    world = plant.world(load_w, SEED)
    begun_s = time.monotonic()

    def clock() -> float:
        return time.monotonic() - begun_s

    async with AsyncExitStack() as stack:
        meter = Gen2Server(world.dtus[0], clock)
        meter.latency = shelly_latency(SEED)
        await stack.enter_async_context(meter)
        hosts = {}
        for dtu in world.dtus:
            server = OpenDtuServer(dtu, clock, password=PASSWORD)
            server.latency = opendtu_latency(f"{dtu.name} {SEED}")
            await stack.enter_async_context(server)
            hosts[dtu.name] = server.host
        setup = setup_for(world, hosts, meter.host, minimum_w=plant.minimum_w, cap_w=plant.rated_w)
        print(json.dumps(asdict(setup)), flush=True)
        lags_s: list[float] = []
        if controller == "on battery":
            session = await stack.enter_async_context(open_session())
            peer = OnBattery(setup, session, clock, world)
            task = asyncio.create_task(run_from_some_time_on(peer, window.name), name=controller)
            stack.callback(task.cancel)
        await _until(SETTLING_S, clock, world.advance, lags_s)
        account = Account(world, plant)
        lags_s.clear()
        await _until(PLAYED_S, clock, world.advance, lags_s)
        cost = account.cost(load_w[SETTLING_S:])
    lags_s.sort()
    return {
        "waste_wh": cost.waste_wh,
        "commands": cost.commands,
        "meter_requests": meter.requests,
        "lag_p99_s": lags_s[len(lags_s) * 99 // 100],
        "lag_max_s": lags_s[-1],
    }


async def _until(
    until_s: float, clock: Callable[[], float], advance: Callable[[float], None], lags_s: list[float]
) -> None:
    """Move the plant on, and note by how much each tick was late."""
    while (now_s := clock()) < until_s:
        advance(now_s)
        due_s = min(now_s + TICK_S, until_s)
        await asyncio.sleep(due_s - now_s)
        lags_s.append(clock() - due_s)
    advance(until_s)


async def main(window: str, controller: str) -> None:
    """Play a window by name, and wait to be ended."""
    print(json.dumps(await play(WINDOWS[window], controller)), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
