"""A load trace against the service's own tasks on virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from opendtu_dcload.control.controller import Controller
from opendtu_dcload.recording.recorder import RecordedController, Sink
from opendtu_dcload.sim.plant.dtu_memory import Counters
from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.meter_clock import uneven_clock
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.program import Program, plant_config
from opendtu_dcload.sim.runs.score import ideal_waste_wh

SKIPPED_S = 300
"""The start is not counted."""
SIM_MINIMUM_W = 20.0
PROGRESS_S = 60.0


def default_models(count: int = 3) -> list[InverterModel]:
    """Return the plant of demo and simulation: HMS-400 inverters."""
    return [InverterModel(f"1124a000000{n}", f"HMS {n}") for n in range(1, count + 1)]


@dataclass(frozen=True, slots=True)
class Result:
    """What one run cost."""

    hours: float
    load_wh: float
    exported_wh: float
    avoidable_wh: float
    imported_wh: float
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


def simulate(
    load_w: Sequence[float],
    *,
    models: Sequence[InverterModel] | None = None,
    seed: int = 1,
    progress: Callable[[float], None] | None = None,
    record: Sink | None = None,
) -> Result:
    """Play a load (W, one value per second) and return what it cost, the first 300 s not counted.

    `progress` is called with the share done, once per simulated minute; `record` gets a recording of the controller.
    """
    models = default_models() if models is None else models
    cap_w = sum(m.rated_w for m in models)
    house = House(load_w, models, seed=seed, cap_w=cap_w, meter_clock=uneven_clock(seed))
    dtu = SimDtu(house, seed=seed)
    world = World(house, [dtu])
    config = plant_config(world, minimum_w=SIM_MINIMUM_W, cap_w=cap_w)
    make_controller = Controller if record is None else partial(RecordedController, record)
    with Program(world, config, make_controller, seed=seed) as program:
        program.advance(SKIPPED_S)
        skipped = replace(house.energy)
        while house.now_s < len(load_w):
            program.advance(min(house.now_s + PROGRESS_S, len(load_w)))
            if progress:
                progress(house.now_s / len(load_w))
    counted_w = load_w[SKIPPED_S:]
    return Result(
        hours=len(counted_w) / 3600,
        load_wh=sum(counted_w) / 3600,
        exported_wh=house.energy.exported_wh - skipped.exported_wh,
        avoidable_wh=house.energy.avoidable_wh - skipped.avoidable_wh,
        imported_wh=house.energy.imported_wh - skipped.imported_wh,
        ideal_wh=ideal_waste_wh(counted_w, minimum_w=SIM_MINIMUM_W * len(models), maximum_w=cap_w),
        counters=dtu.counters,
    )
