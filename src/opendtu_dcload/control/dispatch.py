"""From the plant's output to limits per inverter, with as few commands as possible.

One inverter swings, the others hold: a rise goes to the one with the largest reserve, a fall to the one with the most
to give, and only what is left over goes to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """One inverter as the dispatch sees it; powers are AC output in W."""

    serial: str
    output_w: float
    """Output when everything commanded has arrived."""
    minimum_w: float
    maximum_w: float
    may_rise: bool = True
    may_fall: bool = True


def dispatch(setpoint_w: float, shares: Sequence[Share]) -> dict[str, float]:
    """Return the new outputs in W of the inverters that must change so that the sum comes nearest to `setpoint_w`."""
    change_w = setpoint_w - sum(s.output_w for s in shares)
    changed: dict[str, float] = {}
    if change_w > 0:
        for share in sorted(shares, key=lambda s: s.output_w - s.maximum_w):
            part_w = min(change_w, share.maximum_w - share.output_w)
            if share.may_rise and part_w > 0:
                changed[share.serial] = share.output_w + part_w
                change_w -= part_w
    else:
        for share in sorted(shares, key=lambda s: (min(s.maximum_w - s.output_w, 0.0), s.minimum_w - s.output_w)):
            part_w = min(-change_w, share.output_w - share.minimum_w)
            if share.may_fall and part_w > 0:
                changed[share.serial] = share.output_w - part_w
                change_w += part_w
    return changed


def fit(limits_w: Mapping[str, float], minima_w: Mapping[str, float], cap_w: float) -> dict[str, float]:
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
