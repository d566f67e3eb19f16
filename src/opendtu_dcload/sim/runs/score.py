"""How good a run was: waste against an idealised controller, and how close the meter stayed to the target."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from opendtu_dcload.sim.plant.house import WH_PER_WS

IDEAL_LAG_S = 3.7
"""Meter 1.0 s, radio 0.2 s, dead time 2.0 s, ramp 0.5 s."""
AFTER_STEP_S = 10.0
STEP_W = 100.0


def ideal_waste_wh(load_w: Sequence[float], *, minimum_w: float, maximum_w: float, lag_s: float = IDEAL_LAG_S) -> float:
    """Return J0 in Wh: 2 x export + avoidable import of a plant that gives the load of `lag_s` ago, clipped.

    `load_w` has one value per second; before its start the load is taken as its first value. While it is negative only
    the plant's own output counts as export.
    """
    whole_s = int(lag_s)
    late_share = lag_s - whole_s
    waste_ws = 0.0
    for index, now_w in enumerate(load_w):
        for back_s, share in ((whole_s + 1, late_share), (whole_s, 1 - late_share)):
            output_w = min(max(load_w[max(index - back_s, 0)], minimum_w), maximum_w)
            grid_w = now_w - output_w
            waste_ws += share * (2 * min(-grid_w, output_w) if grid_w < 0 else min(grid_w, maximum_w - output_w))
    return waste_ws * WH_PER_WS


def steps(load_w: Sequence[float], threshold_w: float = STEP_W) -> list[int]:
    """Return the seconds at which the load differs from the second before by more than `threshold_w`."""
    return [index + 1 for index, (before, after) in enumerate(pairwise(load_w)) if abs(after - before) > threshold_w]


def quiet_samples_w(samples: Iterable[tuple[float, float]], load_w: Sequence[float]) -> list[float]:
    """Return the meter samples outside 10 s after a step of the load, in W.

    `samples` are (seconds since the start of `load_w`, grid W).
    """
    step_s = [-math.inf, *steps(load_w)]
    return [w for at_s, w in samples if at_s > step_s[bisect_right(step_s, at_s) - 1] + AFTER_STEP_S]


def within_share(samples_w: Sequence[float], target_w: float, band_w: float = 60.0) -> float:
    """Return the share (0 to 1) of meter samples within `band_w` of the target; 1.0 when there is none."""
    return sum(abs(grid_w - target_w) <= band_w for grid_w in samples_w) / len(samples_w) if samples_w else 1.0
