"""From the plant's output to limits per inverter, with as few commands as possible.

One inverter swings, the others hold. Of those that can take a change alone it is the one that does not end up in the
range where low limits come out wrong, then the one that has worked less (for a fall: more), then the one with the
largest reserve. Where none can take it alone, the largest reserve is used up first, then the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Headroom:
    """One inverter as the dispatch sees it; powers are AC output in W."""

    serial: str
    output_w: float
    """Output when everything commanded has arrived."""
    minimum_w: float
    maximum_w: float
    may_rise: bool = True
    may_fall: bool = True
    accurate_w: float = 0.0
    """Outputs below this and above the minimum come out wrong."""
    rank: int = 0
    """The higher it is, the more the inverter has worked."""

    def is_low(self, output_w: float) -> bool:
        """Tell whether an output in W lies in the inaccurate range."""
        return self.minimum_w + 1 < output_w < self.accurate_w


def dispatch(setpoint_w: float, headrooms: Sequence[Headroom]) -> dict[str, float]:
    """Return the new outputs in W of the inverters that must change so that the sum comes nearest to `setpoint_w`."""
    change_w = setpoint_w - sum(s.output_w for s in headrooms)
    sign = 1 if change_w > 0 else -1
    rooms_w = {s.serial: _room_w(s, sign) for s in headrooms}
    order = sorted(headrooms, key=lambda s: in_turn(s, rooms_w[s.serial]))
    alone = [s for s in order if rooms_w[s.serial] >= abs(change_w)]
    if alone and order[0].output_w <= order[0].maximum_w:  # one above its maximum has to fall anyway
        order = [min(alone, key=lambda s: (s.is_low(s.output_w + change_w) - s.is_low(s.output_w), sign * s.rank))]
    changed: dict[str, float] = {}
    for headroom in order:
        part_w = min(abs(change_w), rooms_w[headroom.serial])
        if part_w > 0:
            changed[headroom.serial] = headroom.output_w + sign * part_w
            change_w -= sign * part_w
    return changed


def in_turn(headroom: Headroom, room_w: float) -> tuple[float, float]:
    """Return what sorts the inverters for a change: one above its maximum has to fall anyway, then the most room."""
    return min(headroom.maximum_w - headroom.output_w, 0.0), -room_w


def _room_w(headroom: Headroom, sign: int) -> float:
    if sign > 0:
        return headroom.maximum_w - headroom.output_w if headroom.may_rise else 0.0
    return headroom.output_w - headroom.minimum_w if headroom.may_fall else 0.0


def fit_to_cap(limits_w: Mapping[str, float], minima_w: Mapping[str, float], cap_w: float) -> dict[str, float]:
    """Return limits whose sum is at most `cap_w`: the highest is lowered first, none below its minimum."""
    fitted = dict(limits_w)
    excess_w = sum(fitted.values()) - cap_w
    for serial in sorted(fitted, key=lambda s: minima_w[s] - fitted[s]):
        if excess_w <= 0:
            break
        part_w = max(0.0, min(excess_w, fitted[serial] - minima_w[serial]))
        fitted[serial] -= part_w
        excess_w -= part_w
    return fitted
