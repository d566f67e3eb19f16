"""A load trace against the service's own tasks on virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

from opendtu_dcload.control.controller import Controller
from opendtu_dcload.recording.recorder import RecordedController, Sink
from opendtu_dcload.sim.plant.dtu_memory import Counters
from opendtu_dcload.sim.plant.house import WH_PER_WS
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.program import Program
from opendtu_dcload.sim.runs.score import ideal_waste_wh
from opendtu_dcload.sim.runs.simulated_plant import SimulatedPlant, default_plant

SKIPPED_S = 300
"""The start is not counted."""
PROGRESS_S = 60.0


@dataclass(frozen=True, slots=True)
class Result:
    """What one run cost."""

    hours: float
    load_wh: float
    exported_wh: float
    """By the inverters: what panels of the house's own give too much is exported whatever they do."""
    surplus_wh: float
    """By such panels."""
    avoidable_wh: float
    imported_wh: float
    output_wh: float
    """What the inverters gave."""
    ideal_wh: float
    counters: Counters

    @property
    def waste_wh(self) -> float:
        """Return 2 x export + avoidable import."""
        return 2 * self.exported_wh + self.avoidable_wh

    @property
    def ratio(self) -> float:
        """Return waste / J0."""
        return self.waste_wh / self.ideal_wh if self.ideal_wh else float("inf")

    @property
    def commands_per_h(self) -> float:
        """Return the rate of limits and power commands."""
        return (self.counters.limits + self.counters.power) / self.hours


def simulate(
    load_w: Sequence[float],
    *,
    plant: SimulatedPlant | None = None,
    seed: int = 1,
    progress: Callable[[float], None] | None = None,
    record: Sink | None = None,
    attend: Callable[[Program], None] | None = None,
) -> Result:
    """Play a load (W, one value per second) and return what it cost, the first 300 s not counted.

    `progress` is called with the share done, once per simulated minute; `record` gets a recording of the controller;
    `attend` is given the program before its time passes.
    """
    plant = plant or default_plant()
    world = plant.world(load_w, seed)
    house = world.house
    make_controller = Controller if record is None else partial(RecordedController, record)
    with Program(world, plant.config, make_controller, seed=seed) as program:
        if attend:
            attend(program)
        program.advance(SKIPPED_S)
        skipped, skipped_wh, sent = replace(house.energy), _output_wh(world), _counters(world)
        while house.now_s < len(load_w):
            program.advance(min(house.now_s + PROGRESS_S, len(load_w)))
            if progress:
                progress(house.now_s / len(load_w))
    counted_w = load_w[SKIPPED_S:]
    energy = house.energy
    given_wh = energy.given_away_wh - skipped.given_away_wh
    return Result(
        hours=len(counted_w) / 3600,
        load_wh=sum(counted_w) * WH_PER_WS,
        exported_wh=given_wh,
        surplus_wh=energy.exported_wh - skipped.exported_wh - given_wh,
        avoidable_wh=energy.avoidable_wh - skipped.avoidable_wh,
        imported_wh=energy.imported_wh - skipped.imported_wh,
        output_wh=_output_wh(world) - skipped_wh,
        ideal_wh=ideal_waste_wh(counted_w, minimum_w=plant.minimum_w, maximum_w=plant.cap_w, lag_s=plant.lag_s),
        counters=_counters(world, sent),
    )


def _output_wh(world: World) -> float:
    return sum(inverter.energy_wh for inverter in world.house.inverters.values())


def _counters(world: World, before: Counters | None = None) -> Counters:
    """Return what all DTUs were told since the start, or since `before`."""
    names = [field.name for field in fields(Counters)]
    sums = {name: sum(getattr(dtu.counters, name) for dtu in world.dtus) for name in names}
    return Counters(**{name: told - (getattr(before, name) if before else 0) for name, told in sums.items()})
