"""The program while everything happens to its devices at random: no rule is broken, and nothing old is shown."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.sim.plant.house import House
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.invariants import InvariantChecker
from opendtu_dcload.sim.runs.played import METER
from opendtu_dcload.sim.runs.program import Program, plant_config
from opendtu_dcload.sim.runs.simulated_plant import default_models
from opendtu_dcload.sim.servers.http_server import Faults
from tests.faults.shown import ShownWatch

LASTS_S = 900.0
PAUSES_S = (3.0, 20.0, 60.0, 120.0)
HEALED = 0.5
"""So often everything is well before the next thing happens."""


def heal(program: Program) -> None:
    program.wire.cut.clear()
    for server in (program.meter, *program.dtus.values()):
        server.faults = Faults()
    program.meter.meter.is_frozen = False
    for inverter in program.world.house.inverters.values():
        inverter.is_mute, inverter.is_in_reach, inverter.obeys = False, True, True


def happen(program: Program, rng: random.Random) -> None:
    """Let one thing happen to one device."""
    inverter = rng.choice(list(program.world.house.inverters.values()))
    server = rng.choice([program.meter, *program.dtus.values()])
    dtu = rng.choice(program.world.dtus)
    now_s = program.loop.time()
    things: list[Callable[[], object]] = [
        lambda: program.wire.cut.add(rng.choice([METER, dtu.name])),
        lambda: setattr(server, "faults", Faults(delay_s=600.0)),
        lambda: setattr(server, "faults", Faults(status=rng.choice([401, 404, 429, 500]))),
        lambda: setattr(server, "faults", Faults(body="null")),
        lambda: setattr(program.meter.meter, "is_frozen", True),
        lambda: dtu.reboot(rng.choice([5.0, 60.0])),
        lambda: setattr(inverter, "is_mute", True),
        lambda: setattr(inverter, "is_in_reach", False),
        lambda: setattr(inverter, "obeys", False),
        lambda: inverter.set_dc(now_s, on=not inverter.has_dc),
    ]
    rng.choice(things)()
    program.world.house.load_w = [rng.uniform(50.0, 1500.0)]


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_no_rule_is_broken_and_nothing_old_is_shown(seed: int) -> None:
    rng = random.Random(seed)
    house = House([500.0], default_models(4), seed=seed, cap_w=1600.0)
    serials = list(house.inverters)
    world = World(house, [SimDtu(house, name=n, serials=s) for n, s in (("left", serials[:2]), ("right", serials[2:]))])
    made: list[InvariantChecker] = []

    def make_controller(settings: Settings, units: Sequence[InverterParameters], now_s: float) -> InvariantChecker:
        made.append(InvariantChecker(settings, units, now_s))
        return made[0]

    with Program(world, plant_config(world, minimum_w=20.0, cap_w=800.0), make_controller, seed=seed) as program:
        watched = ShownWatch(program, made[0].watch)
        while program.loop.time() < LASTS_S:
            watched.advance(program.loop.time() + rng.choice(PAUSES_S))
            if rng.random() < HEALED:
                heal(program)
            happen(program, rng)
    assert made[0].sent
    assert made[0].watch.found == {}
    assert not any(dtu.counters.persistent or dtu.counters.raised_or_repeated_while_pending for dtu in world.dtus)
