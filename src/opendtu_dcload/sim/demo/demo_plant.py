"""The demo's plant as a process of its own: a house, an OpenDTU and a Shelly on loopback, in real time.

`python -m opendtu_dcload.sim.demo.demo_plant --trace NAME --start SECONDS` prints one line of JSON with the addresses
of `dtu`, `meter` and `backstage`, and runs until it is told to end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time

from opendtu_dcload.errors import ConfigError
from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.meter_clock import uneven_clock
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.runs.trace import load_trace
from opendtu_dcload.sim.servers.backstage import Backstage, Rules
from opendtu_dcload.sim.servers.http_server import TICK_S
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server

SERIALS = ("1124a0000001", "1124a0000002", "1124a0000003")
RATED_W = 400.0
MINIMUM_W = 20.0
CAP_W = 1200.0
TARGET_W = 0.0
METER_MAC = "A0DD6C112233"
DTU_PASSWORD = "simulated-dtu"  # noqa: S105  there is nothing behind it but the simulation
POLL_INTERVAL_S = 5.0
LATENCY_S = 0.05
"""OpenDTU and Shelly answer in 20 to 200 ms."""
WARM_UP_S = 300.0
"""Played in advance at full speed, so that the DTU knows rated powers and limits like one that has run for days."""
SCORE_FROM_S = 60.0
"""Until then the controller starts up, the inverters are unknown to it, and they come down from their full power."""


def build(load_w: list[float]) -> SimDtu:
    """Return the plant at time 0: three HMS-400 on a 48 V battery, 2 % of the radio's packets lost.

    `load_w` begins at time 0; before, its first value holds.
    """
    models = [InverterModel(serial, f"HMS-400 {number}", RATED_W) for number, serial in enumerate(SERIALS, start=1)]
    before_w, clock = load_w[:1] * int(WARM_UP_S), uneven_clock("demo")
    house = House(before_w + load_w, models, cap_w=CAP_W, start_s=-WARM_UP_S, meter_clock=clock)
    dtu = SimDtu(house, poll_interval_s=POLL_INTERVAL_S, loss=0.02)
    dtu.advance(0.0)
    return dtu


async def run(load_w: list[float]) -> None:
    """Serve the plant until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    dtu = build(load_w)
    start_s = time.monotonic()

    def clock() -> float:
        return time.monotonic() - start_s

    opendtu = OpenDtuServer(dtu, clock, password=DTU_PASSWORD, latency_s=LATENCY_S)
    meter = Gen2Server(dtu, clock, mac=METER_MAC, latency_s=LATENCY_S)
    rules = Rules(
        target_w=TARGET_W,
        minimum_w=MINIMUM_W * len(SERIALS),
        maximum_w=min(CAP_W, RATED_W * len(SERIALS)),
        from_s=SCORE_FROM_S,
    )
    backstage = Backstage(opendtu, meter, rules)
    async with opendtu, meter, backstage:
        print(json.dumps({"dtu": opendtu.host, "meter": meter.host, "backstage": backstage.host}), flush=True)
        while not stop.is_set():
            backstage.score.advance(clock())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TICK_S)


def main() -> int:
    """Run the plant; return 2 with one sentence when the trace cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m opendtu_dcload.sim.demo.demo_plant", description="Run the demo's plant."
    )
    parser.add_argument("--trace", required=True, help="name of a carried trace or path of a CSV file")
    parser.add_argument("--start", type=int, default=0, help="second of the trace at which to begin")
    arguments = parser.parse_args()
    try:
        load_w = load_trace(arguments.trace)[arguments.start :]
    except ConfigError as err:
        print(err, file=sys.stderr)
        return 2
    if not load_w:
        print(f"--start {arguments.start} lies behind the end of the trace; give an earlier second", file=sys.stderr)
        return 2
    asyncio.run(run(load_w))
    return 0


if __name__ == "__main__":
    sys.exit(main())
