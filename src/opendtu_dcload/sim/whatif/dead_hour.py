"""What a relay is worth: the program dies at the worst moment of the load and is back an hour later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from opendtu_dcload.config.schema import RelayConfig
from opendtu_dcload.sim.runs.played import RELAY
from opendtu_dcload.sim.runs.program import Program
from opendtu_dcload.sim.runs.simulate import PROGRESS_S
from opendtu_dcload.sim.runs.simulated_plant import SimulatedPlant

DEAD_S = 3600
BEFORE_S = 900
"""Played before it, so that everything has settled."""
TRIED_EVERY_S, LOOKED_EVERY_S = 60, 10


@dataclass(frozen=True, slots=True)
class DeadHour:
    """What the inverters gave away in it."""

    dies_at_s: int
    """In s since the load begins."""
    without_relay_wh: float
    with_relay_wh: float


def worst_death_s(load_w: Sequence[float], plant: SimulatedPlant) -> int | None:
    """Return the second of the load at which an output that stays as it is gives away the most in an hour."""
    times_s = range(BEFORE_S, len(load_w) - DEAD_S, TRIED_EVERY_S)

    def given_w(at_s: int) -> float:
        held_w = min(max(load_w[at_s], plant.minimum_w), plant.cap_w)
        return sum(min(max(held_w - w, 0.0), held_w) for w in load_w[at_s : at_s + DEAD_S : LOOKED_EVERY_S])

    return max(times_s, key=given_w, default=None)


def play_death(
    load_w: Sequence[float], plant: SimulatedPlant, seed: int, progress: Callable[[float], None]
) -> DeadHour | None:
    """Play it without and with a relay; None when the load is too short for an hour of it."""
    dies_at_s = worst_death_s(load_w, plant)
    if dies_at_s is None:
        return None
    part_w = load_w[dies_at_s - BEFORE_S : dies_at_s + DEAD_S]
    without_wh = _given_wh(part_w, plant, seed, lambda share: progress(share / 2), has_relay=False)
    with_wh = _given_wh(part_w, plant, seed, lambda share: progress((1 + share) / 2), has_relay=True)
    return DeadHour(dies_at_s, without_wh, with_wh)


def _given_wh(
    load_w: Sequence[float], plant: SimulatedPlant, seed: int, progress: Callable[[float], None], *, has_relay: bool
) -> float:
    config = plant.config.model_copy(update={"relay": RelayConfig(host=RELAY)}) if has_relay else plant.config
    # Before the relay closes the limits must rule: so it has time for that.
    world = replace(plant, config=config).world([load_w[0]] * BEFORE_S + list(load_w), seed)
    dies_at_s, end_s = 2 * BEFORE_S, 2 * BEFORE_S + DEAD_S
    with Program(world, config, seed=seed) as program:
        if has_relay:
            program.add_relay()
        _advance(program, dies_at_s, end_s, progress)
        before_wh = world.house.energy.given_away_wh
        program.kill()
        _advance(program, end_s, end_s, progress)
        return world.house.energy.given_away_wh - before_wh


def _advance(program: Program, until_s: float, end_s: float, progress: Callable[[float], None]) -> None:
    house = program.world.house
    while house.now_s < until_s:
        program.advance(min(house.now_s + PROGRESS_S, until_s))
        progress(house.now_s / end_s)
