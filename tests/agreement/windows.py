"""The loads that are played both ways, and what each of them costs on virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from opendtu_dcload.sim.bench.bench_plants import PLANTS, BenchPlant
from opendtu_dcload.sim.bench.cases import CASES, Kind
from opendtu_dcload.sim.bench.cost import Account
from opendtu_dcload.sim.bench.pilots import PILOTS

CONTROLLERS = ("ours", "original", "zero export", "on battery")
SETTLING_S = 300
"""Played, but not counted."""
COUNTED_S = 900
PLAYED_S = SETTLING_S + COUNTED_S
SEEDS = (1, 2, 3)
"""Of virtual time, which is played with several phases of the meter: real time has one by chance."""


KINDS = ("switching", "solar", "synthetic")
_KINDS = {Kind.TUNING: "switching", Kind.CHECK: "switching", Kind.SOLAR_TUNING: "solar", Kind.SOLAR_CHECK: "solar"}


@dataclass(frozen=True, slots=True)
class Window:
    """Twenty minutes of a case of the bench."""

    plant_name: str
    case: str
    start_s: int

    @property
    def name(self) -> str:
        """Plant, case, and the second of the case at which it begins."""
        return f"{self.plant_name}/{self.case} {self.start_s}"

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        return _KINDS.get(CASES[self.case].kind, "synthetic")

    @property
    def plant(self) -> BenchPlant:
        """The inverters."""
        return PLANTS[self.plant_name]

    @property
    def load_w(self) -> list[float]:
        """The load in W, one value per second."""
        return CASES[self.case].load_w(1)[self.start_s : self.start_s + PLAYED_S]


_ALL = (
    Window("hms", "cassandra", 2100),
    Window("hms", "h1-04-13", 3600),
    Window("hms", "h3-03-28", 300),
    Window("hms", "h3-03-30", 4800),
    Window("hms", "h1-04-15", 3000),
    Window("hms", "h3-03-26", 2100),
    Window("hm", "h1-04-16", 3300),
    Window("hms", "levels", 300),
    Window("hm", "hob 60 s", 600),
    Window("hms", "ramps", 2400),
    Window("hms", "solar a", 0),
    Window("hms", "solar b", 300),
    Window("hm", "solar d", 0),
)
WINDOWS: Mapping[str, Window] = {window.name: window for window in _ALL}
"""By name. Of the measured ones the liveliest minutes, on a raster of 5."""


def virtual_wh(window: Window, controller: str) -> list[float]:
    """Return the waste in Wh on virtual time, one value for each seed."""
    return [_waste_wh(window, controller, seed) for seed in SEEDS]


def _waste_wh(window: Window, controller: str, seed: int) -> float:
    load_w = window.load_w
    world = window.plant.world(load_w, seed)
    with closing(PILOTS[controller](world, window.plant.minimum_w, window.plant.rated_w)) as pilot:
        pilot.advance(SETTLING_S)
        account = Account(world, window.plant)
        pilot.advance(PLAYED_S)
    return account.cost(load_w[SETTLING_S:]).waste_wh
