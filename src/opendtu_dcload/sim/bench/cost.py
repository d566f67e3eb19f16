"""What a run costs, counted while it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opendtu_dcload.sim.bench.bench_plants import BenchPlant
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.score import ideal_waste_wh

EXPORT_W = 50.0
"""Export above this is counted in seconds: of the plant's own, and of what it gives beyond its minima."""


@dataclass(frozen=True, slots=True)
class Response:
    """How a plant followed a step of the load."""

    settling_s: float
    """From the step to the last time at which the grid was off by more than 10 % of the step and 25 W."""
    overshoot_pct: float
    """How far the grid went beyond where it settled, in % of the step."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run cost, and what the idealised controller would have cost."""

    exported_wh: float
    """By the plant: what the house's own panels give too much is exported whatever the plant does."""
    avoidable_wh: float
    ideal_wh: float
    commands: float
    over_50_w_s: float
    hours: float
    down: Response | None = None
    """The response when the load fell; only of the step test."""
    up: Response | None = None
    """The response when the load rose again; only of the step test."""

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
        return self.commands / self.hours


def total(costs: Sequence[Cost]) -> Cost:
    """Return several runs taken together; of responses to a step the means."""
    return Cost(
        exported_wh=sum(c.exported_wh for c in costs),
        avoidable_wh=sum(c.avoidable_wh for c in costs),
        ideal_wh=sum(c.ideal_wh for c in costs),
        commands=sum(c.commands for c in costs),
        over_50_w_s=sum(c.over_50_w_s for c in costs),
        hours=sum(c.hours for c in costs),
        down=_mean([c.down for c in costs if c.down]),
        up=_mean([c.up for c in costs if c.up]),
    )


def _mean(responses: Sequence[Response]) -> Response | None:
    if not responses:
        return None
    count = len(responses)
    return Response(sum(r.settling_s for r in responses) / count, sum(r.overshoot_pct for r in responses) / count)


class Account:
    """Counts what a world costs from where it is made on."""

    def __init__(self, world: World, plant: BenchPlant) -> None:
        self._world = world
        self._plant = plant
        self._from = self._now()
        self._over_s = 0.0

    def sample(self) -> None:
        """Count the meter sample at which the world stands."""
        sample = self._world.house.meter
        self._over_s += min(-sample.power_w, sample.output_w - self._plant.floor_w) > EXPORT_W

    def cost(self, load_w: Sequence[float]) -> Cost:
        """Return the cost until now; `load_w` is the load of the same time, one value in W per second."""
        plant = self._plant
        exported_wh, avoidable_wh, commands = (now - then for now, then in zip(self._now(), self._from, strict=True))
        ideal_wh = ideal_waste_wh(load_w, minimum_w=plant.floor_w, maximum_w=plant.rated_w, lag_s=plant.lag_s)
        return Cost(exported_wh, avoidable_wh, ideal_wh, commands, self._over_s, len(load_w) / 3600)

    def _now(self) -> tuple[float, float, float]:
        energy = self._world.house.energy
        commands = sum(dtu.counters.limits + dtu.counters.power for dtu in self._world.dtus)
        return energy.given_away_wh, energy.avoidable_wh, float(commands)
