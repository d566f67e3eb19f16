"""What goes wrong in a month: faults of the fault suite at random times, each with an end."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from tests.faults.dtu_rows import DTUS
from tests.faults.fault import FaultStage
from tests.faults.inverter_rows import INVERTER
from tests.faults.meter_rows import METERS
from tests.plays.lie import Act, Lie
from tests.plays.lie_rows import LIES
from tests.soak.weather import DAY_S

FAMILY = "HMS"
"""Rows that are played to both families are taken once."""
MOMENTS = (
    "DTU reboots",
    "meter reboots",
    "one limit by hand",
    "limit lost in a restart",
    "a limit by hand each minute",
)
"""Rows that need no end."""
LEFT_OUT = ("read-back", "DTU reboots in the middle of a command")
"""Rows that leave something behind for ever, or set the load."""
MEAN_GAP_S = 3 * 3600.0
SHORTEST_GAP_S = 1800.0
LASTS_S = (20.0, 3600.0)
QUIET_S = 1800.0
"""None begins so soon after midnight or lasts to so shortly before it: that is when the books are looked at."""
SURE_AGAIN_S = 180.0
"""So long after an end what was counted wrong meanwhile is no longer under way."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fault, from when to when."""

    row: Lie
    begin_s: float
    end_s: float

    def __str__(self) -> str:
        """Say what and when."""
        begin, end = (f"{int(at_s) // 3600 % 24:02}:{int(at_s) // 60 % 60:02}" for at_s in (self.begin_s, self.end_s))
        return f"{self.row.name} ({begin} to {end})"

    def acts(self) -> Iterator[tuple[float, Act]]:
        """Yield what is done when; the load is left as it is."""
        yield self.begin_s, partial(_begin, self.row)
        for after_s, act in self.row.steps:
            if callable(act) and self.begin_s + after_s < self.end_s:
                yield self.begin_s + after_s, act
        yield self.end_s, partial(_end, self.row)


def _begin(row: Lie, stage: FaultStage) -> None:
    stage.choose_liar()
    row.begin(stage)


def _end(row: Lie, stage: FaultStage) -> None:
    row.end(stage)
    stage.dtu.reachable_threshold = 2


def _can_be_played(row: Lie) -> bool:
    is_usual = row.family == FAMILY and not row.is_from_start and not row.settings and not row.name.startswith(LEFT_OUT)
    has_end = row.end is not Lie.end and not row.model
    return is_usual and (has_end or row.name.startswith(MOMENTS))


KINDS = tuple([row for row in rows if _can_be_played(row)] for rows in (METERS, DTUS, INVERTER, LIES))
"""Of meter, DTU, radio with inverters and people, and plausible lies: each is as likely as the others."""


def troubles_of(day: int, seed: int) -> list[Trouble]:
    """Return what goes wrong on a day, one after the other."""
    rng = random.Random(f"troubles of day {day} of {seed}")
    troubles: list[Trouble] = []
    at_s = day * DAY_S + QUIET_S
    while True:
        at_s += SHORTEST_GAP_S + rng.expovariate(1 / (MEAN_GAP_S - SHORTEST_GAP_S))
        lasts_s = math.exp(rng.uniform(*map(math.log, LASTS_S)))
        if at_s + lasts_s > (day + 1) * DAY_S - QUIET_S:
            return troubles
        troubles.append(Trouble(rng.choice(rng.choice(KINDS)), at_s, at_s + lasts_s))
        at_s += lasts_s
