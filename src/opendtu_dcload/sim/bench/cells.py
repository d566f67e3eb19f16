"""The runs that the bench is made of: one controller on one plant with one load and one seed.

The seed sets the load's jitter, the meter's phase, lost packets and dead times, and is the same for all controllers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from opendtu_dcload.errors import ServiceError
from opendtu_dcload.sim.bench.bench_plants import PLANTS
from opendtu_dcload.sim.bench.cases import CASES
from opendtu_dcload.sim.bench.cost import Account, Cost, Response
from opendtu_dcload.sim.bench.pilot import Pilot
from opendtu_dcload.sim.bench.pilots import PILOTS, Ours
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.simulate import SKIPPED_S

BASE_W = 100.0
STEP_W = 500.0
"""The step test takes this off the load and puts it on again: 600, 100, 600 W lie within the range of each plant."""
BAND_W = 0.1 * STEP_W + 25.0
"""Settled: off by no more than 10 % of the step and 25 W, the largest target that a compared controller has."""
DWELL_S = 60
LEAD_S = 20
"""How long before the step counting begins, so that the idealised controller has seen the load before it."""
REST_S = 10
"""The mean over this time before the next step is where the grid settled."""
RESOLUTION_S = 0.1


class BenchError(ServiceError):
    """The controller broke a rule that must hold whatever happens."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One controller on one plant with one load."""

    plant: str
    case: str
    controller: str
    seed: int

    @property
    def seconds(self) -> int:
        """Return how long it lasts on virtual time."""
        return CASES[self.case].seconds

    def run(self) -> Cost:
        """Play it and return what it cost from 300 s on.

        Raises:
            BenchError: the controller broke a rule.
        """
        plant = PLANTS[self.plant]
        load_w = CASES[self.case].load_w(self.seed)
        world = plant.world(load_w, self.seed)
        with closing(PILOTS[self.controller](world, plant.minimum_w, plant.rated_w)) as pilot:
            play(world, pilot, SKIPPED_S)
            account = Account(world, plant)
            play(world, pilot, len(load_w), account)
        check(pilot, f"{self.plant}, {self.case}, seed {self.seed}")
        return account.cost(load_w[SKIPPED_S:])


@dataclass(frozen=True, slots=True)
class StepCell:
    """One load switched off and on again, at a time that the seed sets."""

    plant: str
    controller: str
    seed: int
    case: str = "step 500 W"

    @property
    def seconds(self) -> int:
        """Return how long it lasts on virtual time."""
        return SKIPPED_S + 2 * DWELL_S

    def run(self) -> Cost:
        """Play it and return what the two steps cost, from 20 s before the first to 60 s after the second.

        Raises:
            BenchError: the controller broke a rule.
        """
        plant = PLANTS[self.plant]
        off_s = SKIPPED_S + random.Random(self.seed).randrange(30)
        on_s = off_s + DWELL_S
        load_w = two_steps(off_s)
        world = plant.world(load_w, self.seed)
        with closing(PILOTS[self.controller](world, plant.minimum_w, plant.rated_w)) as pilot:
            play(world, pilot, off_s - LEAD_S)
            account = Account(world, plant)
            play(world, pilot, off_s, account)
            played = play_finely(world, pilot, on_s + DWELL_S, account)
            grid_w = [(at_s, world.house.grid_w) for at_s in played]
        check(pilot, f"{self.plant}, {self.case}, seed {self.seed}")
        return replace(
            account.cost(load_w[off_s - LEAD_S :]),
            down=response([(at_s - off_s, w) for at_s, w in grid_w if off_s <= at_s < on_s]),
            up=response([(at_s - on_s, -w) for at_s, w in grid_w if on_s <= at_s]),
        )


def two_steps(off_s: int) -> list[float]:
    """Return the load of the step test; an earlier pair of steps lets a controller learn how quick the plant is."""
    high_w, low_w = [BASE_W + STEP_W], [BASE_W]
    return high_w * 120 + low_w * DWELL_S + high_w * (off_s - 120 - DWELL_S) + low_w * DWELL_S + high_w * DWELL_S


def response(grid_w: Sequence[tuple[float, float]]) -> Response:
    """Return how a plant followed a step from (seconds since the step, grid power in W).

    The grid power is turned so that it jumps down at the step and overshoots upwards.
    """
    end_s = grid_w[-1][0]
    rest = [w for at_s, w in grid_w if at_s > end_s - REST_S]
    settled_w = sum(rest) / len(rest)
    outside_s = [at_s for at_s, w in grid_w if abs(w) > BAND_W]
    reached_s = next((at_s for at_s, w in grid_w if w >= -BAND_W), end_s)
    beyond_w = max((w - settled_w for at_s, w in grid_w if at_s >= reached_s), default=0.0)
    return Response(max(outside_s, default=0.0), 100 * max(beyond_w, 0.0) / STEP_W)


def play(world: World, pilot: Pilot, until_s: float, account: Account | None = None) -> None:
    """Let the pilot act at each meter sample before `until_s`."""
    while world.house.next_sample_s < until_s:
        pilot.advance(world.house.next_sample_s)
        if account is not None:
            account.sample()
        pilot.act()


def play_finely(world: World, pilot: Pilot, until_s: float, account: Account | None = None) -> Iterator[float]:
    """Play on, and stop ten times a second to yield the time in s."""
    while world.house.now_s < until_s:
        next_s = world.house.now_s + RESOLUTION_S
        if world.house.next_sample_s < next_s:
            play(world, pilot, next_s, account)
        pilot.advance(next_s)
        yield world.house.now_s


def check(pilot: Pilot, where: str) -> None:
    """Make sure that the real controller broke no rule.

    Raises:
        BenchError: it did.
    """
    if isinstance(pilot, Ours) and (wrong := pilot.violations()):
        raise BenchError(f"bench: {where}: {'; '.join(wrong)}")
