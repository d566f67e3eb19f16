"""One variant played on the load: what it cost, and what there was to see."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from opendtu_dcload.model import Reason
from opendtu_dcload.sim.pictures.moments import Moment, curves
from opendtu_dcload.sim.plant.house import MeterSample
from opendtu_dcload.sim.runs.program import Program
from opendtu_dcload.sim.runs.simulate import SKIPPED_S, Result, simulate
from opendtu_dcload.sim.whatif.variant import Variant

NAMES = ("grid", "load", "inverters", "set-point")
MOST_POINTS = 900
"""Of a curve: as many as a picture is wide."""
CLOSE_S = 3600.0
"""The part that is also shown closely."""
WORST_STEP_S = 600.0

Curves = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Stretch:
    """The curves of a part of the load; their times begin at 0."""

    first_s: float
    """When it begins, in s since the load does."""
    length_s: float
    mean_s: float
    curves: Curves


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a variant."""

    name: str
    result: Result
    whole: Stretch | None = None
    close: Stretch | None = None
    """The hour with the most waste."""


def play(
    variant: Variant,
    load_w: Sequence[float],
    seed: int,
    progress: Callable[[float], None],
    *,
    is_drawn: bool = False,
    record: Path | None = None,
) -> Outcome:
    """Play a variant; a start in which everything settles goes before the load and is not counted."""
    eye = _Eye()
    with _opened(record) as file:
        result = simulate(
            [load_w[0]] * SKIPPED_S + list(load_w),
            plant=variant.plant,
            seed=seed,
            progress=progress,
            record=file,
            attend=eye.attend if is_drawn else None,
        )
    if not is_drawn:
        return Outcome(variant.name, result)
    room_w = variant.plant.cap_w
    return Outcome(variant.name, result, _stretch(eye.moments, 0.0, float(len(load_w))), _worst(eye.moments, room_w))


class _Eye:
    """Sees each sample of the meter."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []

    def attend(self, program: Program) -> None:
        """Look from now on."""
        house = program.world.house

        def look(sample: MeterSample, _: float) -> None:
            at_s = sample.at_s - SKIPPED_S
            plan = program.state.plan
            if at_s >= 0 and plan is not None:
                load_w = sample.power_w + sample.output_w
                outputs_w = (sample.output_w,)
                self.moments.append(Moment(at_s, sample.power_w, load_w, outputs_w, plan.setpoint_w, plan.reason))

        house.watchers.append(look)


def _worst(moments: Sequence[Moment], room_w: float) -> Stretch | None:
    """Return the hour in which the most was wasted; None when all of it is no longer than that."""
    if not moments or moments[-1].at_s <= 1.5 * CLOSE_S:
        return None
    wasted: dict[int, float] = {}
    for moment in moments:
        if moment.reason is Reason.REGULATING:
            place = int(moment.at_s // WORST_STEP_S)
            output_w = moment.outputs_w[0]
            given_w = 2 * min(-moment.grid_w, output_w) if moment.grid_w < 0 else 0.0
            wasted[place] = wasted.get(place, 0.0) + given_w + max(min(moment.grid_w, room_w - output_w), 0.0)
    steps = int(CLOSE_S // WORST_STEP_S)
    last = max(int(moments[-1].at_s // WORST_STEP_S) - steps, 0)
    first = max(range(last + 1), key=lambda place: sum(wasted.get(place + step, 0.0) for step in range(steps)))
    return _stretch(moments, first * WORST_STEP_S, CLOSE_S)


def _stretch(moments: Sequence[Moment], first_s: float, length_s: float) -> Stretch:
    mean_s = max(1.0, length_s // MOST_POINTS)
    rows = [
        (m.at_s - first_s, m.grid_w, m.load_w, m.outputs_w[0], m.setpoint_w)
        for m in moments
        if first_s <= m.at_s <= first_s + length_s
    ]
    return Stretch(first_s, length_s, mean_s, curves(NAMES, rows, mean_s))


@contextlib.contextmanager
def _opened(record: Path | None) -> Iterator[TextIO | None]:
    if record is None:
        yield None
        return
    with record.open("w", encoding="utf-8") as file:
        yield file
