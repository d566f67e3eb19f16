"""What the plant can do within what protection allows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.protection.permit import Permit


@dataclass(frozen=True, slots=True)
class OperatingRange:
    """What the plant can do now, AC output in W."""

    committed_w: float
    """Output when everything commanded has arrived."""
    floor_w: float
    ceiling_w: float
    is_capped: bool
    """The cap, not the inverters, sets the ceiling."""


def operating_range_of(trackers: Iterable[InverterTracker], permit: Permit) -> OperatingRange:
    """Return what the plant gives and could give; an inverter that cannot be set now counts with what it gives."""
    known = list(trackers)
    usable = [t for t in known if t.is_usable]
    others = [t for t in known if not t.is_usable]
    fixed_w = sum(t.final_w for t in others)
    floor_w = sum(t.unit.minimum_w * t.output.gain for t in usable)
    top_w = sum(t.attainable_w for t in usable)
    spare_w = permit.cap_w - sum(t.highest_w for t in others) - sum(_taken_w(t) for t in usable)
    if spare_w > 0:  # a W of limit brings no more than this in W of output
        spare_w *= max((t.output.gain for t in usable), default=1.0)
    given_w = sum(t.final_w for t in usable)
    room_w = given_w + spare_w
    return OperatingRange(
        committed_w=fixed_w + given_w,
        floor_w=fixed_w + floor_w,
        ceiling_w=fixed_w + max(floor_w, min(top_w, room_w)),
        is_capped=room_w < top_w,
    )


def _taken_w(tracker: InverterTracker) -> float:
    """Return what of the cap a limit takes; one that was never ours makes room for the first one that is."""
    return (tracker.wanted_w or 0.0) if tracker.limits.was_commanded else tracker.final_w / tracker.output.gain
