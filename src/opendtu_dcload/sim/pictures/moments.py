"""A run as it is drawn: what was at each moment, its means, and when each reason held."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

from opendtu_dcload.model import Reason

Points = list[tuple[float, float]]
"""Time in s and power in W, or from when to when in s."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One meter sample: time in s since the beginning, power in W."""

    at_s: float
    grid_w: float
    load_w: float
    outputs_w: tuple[float, ...]
    """Of each inverter."""
    setpoint_w: float
    reason: Reason


def curves(
    names: Sequence[str], rows: Sequence[tuple[float, ...]], mean_s: float, stepped: Collection[str] = ("set-point",)
) -> dict[str, Points]:
    """Return the curve of each of the values that stand behind the times in `rows`, by its name.

    A point is the mean over `mean_s`, of a `stepped` curve the value at its end.
    """
    drawn: dict[str, Points] = {name: [] for name in names}
    for _, group in groupby(rows, lambda row: row[0] // mean_s):
        times_s, *columns = zip(*group, strict=True)
        for (name, curve), values in zip(drawn.items(), columns, strict=True):
            curve.append((times_s[-1], values[-1] if name in stepped else sum(values) / len(values)))
    return drawn


def bands(moments: Sequence[Moment]) -> dict[Reason, Points]:
    """Return from when to when each reason held, in s; the reasons in the order in which they came."""
    held: dict[Reason, Points] = {}
    last_s = 0.0
    for reason, group in groupby(moments, lambda moment: moment.reason):
        end_s = max(moment.at_s for moment in group)
        held.setdefault(reason, []).append((last_s, end_s))
        last_s = end_s
    return held
