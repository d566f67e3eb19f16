"""Prints how old the meter's values are that the control goes by, asked at an interval and asked after each refresh.

`python -m tests.plays.meter_ages`, a part of `make lightness`, plays the service's own tasks on virtual time, ten
minutes each, in a minute or two.

The age counts from the refresh that an answer shows; the meter's own is what somebody would see who is told at once.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from opendtu_dcload.model import MeterReading
from opendtu_dcload.sim.plant.house import House
from opendtu_dcload.sim.plant.meter_clock import MeterClock, uneven_clock
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.program import Program, plant_config
from opendtu_dcload.sim.runs.simulated_plant import default_models
from opendtu_dcload.sim.servers.latency import Latency
from opendtu_dcload.tasks.timetable import Interval

LASTS_S, SKIPPED_S = 600.0, 120.0
"""The beginning, in which the refresh is looked for, is not counted."""
STEP_S = 0.05
SEEDS = (1, 2)


@dataclass(frozen=True, slots=True)
class Ages:
    """Mean ages in s, and how often the meter was asked."""

    own_s: float
    """Of what the meter shows."""
    seen_s: float
    """Of what the control sees."""
    requests_per_s: float

    @property
    def added_s(self) -> float:
        """What asking adds."""
        return self.seen_s - self.own_s


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of meter."""

    name: str
    clock: MeterClock | None = None
    """None = an uneven clock of about a second."""
    refresh_s: float = 1.0
    latency: Latency | None = None
    interval_s: float = 1.0


KINDS = (
    Kind("refresh of 1 s, drift and jitter"),
    Kind("refresh of 1 s, jitter of 0.1 s", MeterClock(1.001, 0.0002, 0.1)),
    Kind("no refresh", MeterClock(0.1), 0.0),
    Kind("refresh of 2 s", refresh_s=2.0),
    Kind("refresh of 5 s", refresh_s=5.0),
    Kind("answers take a second", latency=Latency(1.0, 0.2)),
    Kind("asked every 3 s", interval_s=3.0),
)


def play(kind: Kind, seed: int) -> Ages:
    """Play a meter."""
    clock = kind.clock or uneven_clock(seed)
    house = House(
        [300.0 + 200.0 * (second // 20 % 2) for second in range(900)], default_models(), seed=seed, meter_clock=clock
    )
    world = World(house, [SimDtu(house, seed=seed)])
    config = plant_config(world, minimum_w=20.0, cap_w=1200.0, sections={"meter": {"poll_interval_s": kind.interval_s}})
    own_s: list[float] = []
    seen_s: list[float] = []
    with Program(world, config, seed=seed) as program:
        view = program.meter.meter
        view.refresh_s = kind.refresh_s
        program.meter.latency = kind.latency or program.meter.latency
        shown: tuple[MeterReading | None, float] = (None, 0.0)

        def heard(reading: MeterReading) -> None:
            nonlocal shown
            shown = reading, view.shown_at_s
            set_meter(reading)

        set_meter = program.state.set_meter
        with patch.object(program.state, "set_meter", heard):
            program.advance(SKIPPED_S)
            requests = program.meter.requests
            while program.loop.time() < LASTS_S:
                program.advance(program.loop.time() + STEP_S)
                own_s.append(program.loop.time() - view.shown_at_s)
                seen_s.append(program.loop.time() - shown[1])
        requests = program.meter.requests - requests
    return Ages(statistics.fmean(own_s), statistics.fmean(seen_s), requests / (LASTS_S - SKIPPED_S))


@contextmanager
def asked_at_an_interval() -> Iterator[None]:
    """Let the program ask without looking for a refresh."""
    with patch("opendtu_dcload.tasks.poll_meter.RefreshLock", Interval):
        yield


COLUMNS = ("mean age of the meter in s", "own", "+ at an interval", "+ after a refresh", "requests per s")
HEAD = f"{COLUMNS[0]:36}{COLUMNS[1]:>6}{COLUMNS[2]:>20}{COLUMNS[3]:>20}{COLUMNS[4]:>18}"


def line(kind: Kind) -> str:
    """Play a meter both ways and return what came of it."""
    with asked_at_an_interval():
        before = [play(kind, seed) for seed in SEEDS]
    after = [play(kind, seed) for seed in SEEDS]
    own_s = statistics.fmean(ages.own_s for ages in after)
    at_interval_s = statistics.fmean(ages.added_s for ages in before)
    at_refresh_s = statistics.fmean(ages.added_s for ages in after)
    requests_per_s = statistics.fmean(ages.requests_per_s for ages in after)
    return f"{kind.name:36}{own_s:6.2f}{at_interval_s:20.2f}{at_refresh_s:20.2f}{requests_per_s:18.2f}"


def main() -> int:
    print(HEAD)
    for kind in KINDS:
        print(line(kind), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
