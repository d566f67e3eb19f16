"""Plays one fault to the service's own tasks on virtual time, and says what came of each promise."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.sim.plant.house import House
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.invariants import InvariantChecker
from opendtu_dcload.sim.runs.program import Program, plant_config
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from tests.faults.shown import ShownWatch
from tests.plays.lie import MINIMUM_W, Lie, LieStage, Promise

WARM_UP_S = 300.0
LOST = 0.02
"""Radio packets that are lost, as a share."""


@dataclass
class FaultStage(LieStage):
    """A stage whose program can be reached: its addresses, its devices' answers, its state."""

    program: Program = field(kw_only=True)

    @property
    def opendtu(self) -> OpenDtuServer:
        (server,) = self.program.dtus.values()
        return server


class _Listener(logging.Handler):
    """Keeps each line of the log with its virtual time."""

    def __init__(self, stage: LieStage) -> None:
        super().__init__(logging.INFO)
        self._stage = stage

    def emit(self, record: logging.LogRecord) -> None:
        self._stage.said.append((self._stage.now_s, record.getMessage()))


class _RecordingDtu(SimDtu):
    """Keeps each limit that is posted."""

    posts: list[tuple[float, str, float]]

    def post_limit(self, serial: str, limit_type: int, value: float) -> None:
        self.posts.append((self.house.now_s, serial, value))
        super().post_limit(serial, limit_type, value)


def play(fault: Lie, seed: int = 1) -> list[Promise]:
    """Play a row, and return what came of it; the rules that always hold are its last promise."""
    models = fault.models
    house = House([fault.load_w], models, seed=seed, cap_w=sum(m.rated_w for m in models), start_s=-WARM_UP_S)
    dtu = _RecordingDtu(house, loss=LOST, seed=seed)
    dtu.posts = []
    dtu.advance(0.0)
    dtu.posts.clear()
    world = World(house, [dtu])
    made: list[InvariantChecker] = []

    def make_controller(settings: Settings, units: Sequence[InverterParameters], now_s: float) -> InvariantChecker:
        made.append(InvariantChecker(settings, units, now_s))
        return made[0]

    config = plant_config(world, minimum_w=MINIMUM_W, cap_w=house.cap_w, sections=fault.settings)
    program = Program(world, config, make_controller, seed=seed)
    stage = FaultStage(house, dtu, program.meter.meter, posts=dtu.posts, program=program)
    log = logging.getLogger("opendtu_dcload")
    listener = _Listener(stage)
    log.addHandler(listener)
    level, log.level = log.level, logging.INFO
    try:
        script = fault.script(stage)
        until_s = next(script)  # what begins before the program does has begun now
        with program:
            watched = ShownWatch(program, made[0].watch)
            watched.advance(until_s)
            for until_s in script:
                watched.advance(until_s)
    finally:
        log.removeHandler(listener)
        log.setLevel(level)
    broken = broken_rules(made[0], dtu)
    if strangers := {serial for _, serial, _ in dtu.posts} - {model.serial for model in models}:
        broken.append(f"a limit for {strangers}, which nobody listed")
    return [*stage.promises, Promise("no rule broken", "; ".join(broken) or "none", not broken)]


def broken_rules(controller: InvariantChecker, dtu: SimDtu) -> list[str]:
    """Return what was done against the rules that hold whatever happens, by the design's invariants."""
    broken = [f"{kind}: {texts[0]}" for kind, texts in controller.watch.found.items()]
    if dtu.counters.persistent:
        broken.append("a persistent limit")
    if dtu.counters.raised_or_repeated_while_pending:
        broken.append("a limit raised or repeated while one was on its way")
    return broken
