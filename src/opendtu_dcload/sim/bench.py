"""`bench`: every controller on every case, on virtual time, over all processors.

A cell is one controller on one plant with one load and one seed; the seed sets the load's jitter, the meter's phase,
lost packets and dead times, and is the same for all controllers. Energies are counted from 300 s on.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

from opendtu_dcload.errors import ServiceError
from opendtu_dcload.sim.cases import CASES
from opendtu_dcload.sim.dtu import Counters
from opendtu_dcload.sim.pilots import PILOTS, Ours, Pilot
from opendtu_dcload.sim.plants import PLANTS, BenchPlant
from opendtu_dcload.sim.score import ideal_waste_wh
from opendtu_dcload.sim.simulate import SKIPPED_S
from opendtu_dcload.sim.world import World

EXPORT_W = 50.0
"""Export above this is counted in seconds."""


class BenchError(ServiceError):
    """The controller broke a rule that must hold whatever happens."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run cost, and what the idealised controller would have cost."""

    exported_wh: float
    avoidable_wh: float
    ideal_wh: float
    commands: int
    over_50_w_s: float
    hours: float

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
        """Return the rate of commands."""
        return self.commands / self.hours if self.hours else 0.0


def total(costs: Sequence[Cost]) -> Cost:
    """Return the sum of several runs."""
    return Cost(
        exported_wh=sum(c.exported_wh for c in costs),
        avoidable_wh=sum(c.avoidable_wh for c in costs),
        ideal_wh=sum(c.ideal_wh for c in costs),
        commands=sum(c.commands for c in costs),
        over_50_w_s=sum(c.over_50_w_s for c in costs),
        hours=sum(c.hours for c in costs),
    )


class Account:
    """Counts what a world costs from where it is made on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._from = self._now()
        self._over_s = 0.0

    def sample(self) -> None:
        """Count the meter sample at which the world stands."""
        self._over_s += self._world.house.meter.power_w < -EXPORT_W

    def cost(self, plant: BenchPlant, load_w: Sequence[float]) -> Cost:
        """Return the cost until now; `load_w` is the load of the same time."""
        exported_wh, avoidable_wh, commands = (now - then for now, then in zip(self._now(), self._from, strict=True))
        ideal_wh = ideal_waste_wh(load_w, minimum_w=plant.floor_w, maximum_w=plant.rated_w, lag_s=plant.lag_s)
        return Cost(exported_wh, avoidable_wh, ideal_wh, int(commands), self._over_s, len(load_w) / 3600)

    def _now(self) -> tuple[float, float, float]:
        counters: list[Counters] = [dtu.counters for dtu in self._world.dtus]
        energy = self._world.house.energy
        return energy.exported_wh, energy.avoidable_wh, float(sum(c.limits + c.power for c in counters))


@dataclass(frozen=True, slots=True)
class Cell:
    """One controller on one plant with one load."""

    plant: str
    case: str
    controller: str
    seed: int

    def run(self) -> Cost:
        """Play it.

        Raises:
            BenchError: the controller broke a rule.
        """
        plant = PLANTS[self.plant]
        load_w = CASES[self.case].load_w(self.seed)
        world = plant.world(load_w, self.seed)
        pilot = PILOTS[self.controller](world, plant.minimum_w, plant.rated_w)
        while world.advance_to_sample() < SKIPPED_S:
            pilot.step()
        account = Account(world)
        while world.house.now_s < len(load_w):
            pilot.step()
            world.advance_to_sample()
            account.sample()
        check(pilot, f"{self.plant}, {self.case}, seed {self.seed}")
        return account.cost(plant, load_w[SKIPPED_S:])


def check(pilot: Pilot, where: str) -> None:
    """Make sure that the real controller broke no rule.

    Raises:
        BenchError: it did.
    """
    if isinstance(pilot, Ours) and (wrong := pilot.violations()):
        raise BenchError(f"bench: {where}: {'; '.join(wrong)}")


def run_all(cells: Sequence[Cell], progress: Callable[[float], None]) -> dict[Cell, Cost]:
    """Run cells on all processors; `progress` is called with the share done.

    Raises:
        BenchError: the controller broke a rule in one of them.
    """
    costs: dict[Cell, Cost] = {}
    # A fresh interpreter per worker: a fork copies whatever threads and loops the caller has.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"), initializer=_ignore_interrupt) as pool:
        try:
            cell_of = {pool.submit(cell.run): cell for cell in cells}
            for number, done in enumerate(as_completed(cell_of), start=1):
                costs[cell_of[done]] = done.result()
                progress(number / len(cells))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {cell: costs[cell] for cell in cells}


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
