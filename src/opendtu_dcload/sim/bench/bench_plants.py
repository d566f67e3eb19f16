"""The plants that controllers are compared on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.meter_clock import uneven_clock
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.score import IDEAL_LAG_S

MINIMUM_W = 20.0
HM_LAG_S = 8.5
"""J0 of a plant of HM: dead time 6 s and a slower approach instead of 2 s, see `score.IDEAL_LAG_S`."""


@dataclass(frozen=True, slots=True)
class BenchPlant:
    """Inverters, and which of them share a DTU."""

    name: str
    dtus: tuple[tuple[InverterModel, ...], ...]
    lag_s: float = IDEAL_LAG_S
    """Of the idealised controller J0."""
    minimum_w: float = MINIMUM_W
    """Lowest limit of each inverter."""
    has_cases: bool = True
    """False: for the step test only."""

    @property
    def models(self) -> list[InverterModel]:
        """Return all inverters."""
        return [model for models in self.dtus for model in models]

    @property
    def rated_w(self) -> float:
        """Return the sum of rated powers, which is the cap too."""
        return sum(model.rated_w for model in self.models)

    @property
    def floor_w(self) -> float:
        """Return the sum of the lowest limits."""
        return self.minimum_w * len(self.models)

    def world(self, load_w: list[float], seed: int) -> World:
        """Return house and DTUs at time 0; the seed sets the meter's phase and clock, lost packets and dead times."""
        house = House(load_w, self.models, seed=seed, cap_w=self.rated_w, meter_clock=uneven_clock(seed))
        return World(
            house,
            [
                SimDtu(house, name=f"dtu{number}", serials=[model.serial for model in models], seed=seed + number)
                for number, models in enumerate(self.dtus)
            ],
        )


def _hms(prefix: str, number: int, rated_w: float, inputs: int = 1) -> InverterModel:
    serial = f"{prefix}a00000{number:02d}"
    return InverterModel(serial, f"HMS {number}", rated_w, inputs)


def _hm(number: int) -> InverterModel:
    return replace(_hms("1121", number, 400.0), name=f"HM {number}", dead_time_s=6.0, time_constant_s=2.5)


def many(count: int) -> BenchPlant:
    """Return a plant of `count` HMS-400, ten per DTU."""
    models = [_hms("1124", number, 400.0) for number in range(1, count + 1)]
    return BenchPlant(f"{count} x 400 W", tuple(tuple(models[first : first + 10]) for first in range(0, count, 10)))


_ALL = (
    BenchPlant("hms", many(3).dtus),
    BenchPlant("hm", ((_hm(1), _hm(2), _hm(3)),), HM_LAG_S),
    BenchPlant("mixed", ((_hms("1164", 1, 1500.0, 4),), (_hms("1144", 2, 800.0, 2), _hms("1124", 3, 400.0)))),
    BenchPlant("one", ((_hms("1144", 1, 1200.0, 2),),), has_cases=False),
)

PLANTS: Mapping[str, BenchPlant] = {plant.name: plant for plant in _ALL}
"""Three HMS-400; three HM-400; HMS of 1500, 800 and 400 W on two DTUs; one HMS of 1200 W."""
