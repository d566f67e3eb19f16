"""A recording of the whole program on virtual time, while its devices answer late, wrongly, or not at all."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import TextIO

from opendtu_dcload.recording.recorder import RecordedController
from opendtu_dcload.sim.bench.bench_plants import PLANTS
from opendtu_dcload.sim.bench.cases import CASES
from opendtu_dcload.sim.runs.played import METER
from opendtu_dcload.sim.runs.program import Program, plant_config
from opendtu_dcload.sim.servers.http_server import Faults
from opendtu_dcload.sim.servers.latency import Latency

NAME = "program"
PLANT = PLANTS["hms"]
LASTS_S = 1000.0
DTU = "dtu0"


def play(sink: TextIO) -> None:
    """Let everything happen; `sink` gets the recording."""
    world = PLANT.world(CASES["levels"].load_w(5), seed=5)
    dtu, serials = world.dtus[0], [model.serial for model in world.house.models]
    config = plant_config(world, minimum_w=PLANT.minimum_w, cap_w=800.0)
    with Program(world, config, partial(RecordedController, sink), seed=5) as program:
        meter, server = program.meter, program.dtus[DTU]

        def lose_answers(share: float) -> None:
            server.latency = Latency(0.08, 0.5, 0.1, (0.5, 2.5), share, random.Random(5))

        script: dict[float, Callable[[], object]] = {
            100.0: lambda: setattr(meter, "faults", Faults(status=500)),
            118.0: lambda: setattr(meter, "faults", Faults()),
            180.0: lambda: setattr(meter, "faults", Faults(delay_s=600.0)),
            205.0: lambda: setattr(meter, "faults", Faults()),
            260.0: lambda: program.wire.cut.add(DTU),
            300.0: lambda: program.wire.cut.discard(DTU),
            360.0: lambda: setattr(server, "faults", Faults(status=429)),
            390.0: lambda: setattr(server, "faults", Faults()),
            440.0: lambda: lose_answers(0.2),
            500.0: lambda: lose_answers(0.0),
            540.0: lambda: setattr(world.house.inverters[serials[1]], "is_in_reach", False),
            600.0: lambda: setattr(world.house.inverters[serials[1]], "is_in_reach", True),
            660.0: lambda: dtu.reboot(outage_s=20.0),
            780.0: lambda: setattr(meter, "faults", Faults(body="null")),
            800.0: lambda: setattr(meter, "faults", Faults()),
            840.0: lambda: dtu.post_limit(serials[0], 0, 350.0),
            860.0: lambda: dtu.post_limit(serials[0], 0, 330.0),
            900.0: lambda: program.wire.cut.add(METER),
            980.0: lambda: program.wire.cut.discard(METER),
        }
        for at_s, happens in script.items():
            program.advance(at_s)
            happens()
        program.advance(LASTS_S)
