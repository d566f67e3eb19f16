"""Plays a restless hour on virtual time, and prints what an OpenDTU is asked by REST alone, and with its websocket.

`python -m tests.plays.dtu_requests`, a part of `make lightness`, plays it to three inverters, which then get about 300
commands. Exits 1 if it is more than promised.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass

from opendtu_dcload.sim.bench.bench_plants import PLANTS
from opendtu_dcload.sim.runs.invariants import InvariantChecker
from opendtu_dcload.sim.runs.program import Program, plant_config

PLANT = PLANTS["hms"]
BEGIN_S = 300.0
HOUR_S = 3600.0
MOST = {"REST alone": 2000.0, "with the websocket": 1200.0}
"""Requests per hour."""


@dataclass(frozen=True)
class Asked:
    """What a DTU was asked, per hour."""

    by_path: dict[str, float]
    commands: float

    @property
    def total(self) -> float:
        return sum(self.by_path.values())


def restless(seconds: float) -> list[float]:
    """Return a load in W that is another one every 20 s, and on the way to it in between."""
    levels = [200.0, 700.0, 350.0, 900.0, 250.0, 600.0, 1000.0, 450.0]
    return [levels[second // 20 % len(levels)] + 10 * (second % 20 // 10) for second in range(int(seconds))]


def play(*, pushes: bool, seconds: float = HOUR_S) -> Asked:
    """Play a while, after a start that is not counted."""
    world = PLANT.world(restless(BEGIN_S + seconds), seed=1)
    config = plant_config(world, minimum_w=PLANT.minimum_w, cap_w=PLANT.rated_w)
    with Program(world, config, InvariantChecker) as program:
        (server,) = program.dtus.values()
        server.push.faults.is_missing = not pushes
        program.advance(BEGIN_S)
        before, limits = Counter(server.asked), server.dtu.counters.limits
        program.advance(BEGIN_S + seconds)
        asked: Counter[str] = Counter()
        for path, count in (server.asked - before).items():
            asked[re.sub(r"inv=\w+", "inv=...", path)] += count
        commands = server.dtu.counters.limits - limits
    return Asked({path: n * HOUR_S / seconds for path, n in asked.items()}, commands * HOUR_S / seconds)


def main() -> int:
    """Print it; return the exit code."""
    found = {name: play(pushes=name != "REST alone") for name in MOST}
    paths = sorted({path for asked in found.values() for path in asked.by_path})
    width = max(len(path) for path in paths)
    print(f"{'requests per hour':{width}}  " + "  ".join(found))
    for path in paths:
        print(
            f"{path:{width}}  " + "  ".join(f"{a.by_path.get(path, 0.0):{len(name)}.0f}" for name, a in found.items())
        )
    print(f"{'all':{width}}  " + "  ".join(f"{asked.total:{len(name)}.0f}" for name, asked in found.items()))
    print(f"{'commands':{width}}  " + "  ".join(f"{asked.commands:{len(name)}.0f}" for name, asked in found.items()))
    return any(asked.total > MOST[name] for name, asked in found.items())


if __name__ == "__main__":
    sys.exit(main())
