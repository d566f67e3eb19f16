"""What the plant gives, for the meter to be compared with, and the step by which the meter is asked."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.protection.meter_movement import ASKED_W, STEP_W, Output
from opendtu_dcload.control.regulation.dispatch import Headroom
from opendtu_dcload.control.regulation.operating_range import OperatingRange

SETTLED_W = 40.0
"""Before the meter is asked by a step, the inverters' outputs may differ by this much from what they are told."""


def output_of(trackers: Collection[InverterTracker], at_s: float) -> Output:
    """Return what the plant gives, and what of it a reading measured at `at_s` may contain."""
    bounds_w = [tracker.output.visible_w(at_s) for tracker in trackers]
    fresh = [(tracker.final_w, tracker.status) for tracker in trackers if tracker.is_fresh and tracker.status]
    return Output(
        visible_w=(sum(low_w for low_w, _ in bounds_w), sum(high_w for _, high_w in bounds_w)),
        committed_w=sum(tracker.final_w for tracker in trackers),
        shifted_w=(
            sum(tracker.output.shifted_w[0] for tracker in trackers),
            sum(tracker.output.shifted_w[1] for tracker in trackers),
        ),
        measured_w=sum(tracker.status.ac_power_w or 0.0 for tracker in trackers if tracker.status),
        measured_at_s=min((status.at_s for _, status in fresh), default=-math.inf),
        is_settled=sum(abs(final_w - (status.ac_power_w or 0.0)) for final_w, status in fresh) < SETTLED_W,
    )


def question_w(headrooms: Sequence[Headroom], operating_range: OperatingRange) -> float:
    """Return the step in W, below 0 down, by which the meter can be asked now; 0 = there is no room for one."""
    down_w = sum(headroom.output_w - headroom.minimum_w for headroom in headrooms if headroom.may_fall)
    if down_w >= ASKED_W:
        return -min(down_w, STEP_W)
    up_w = sum(headroom.maximum_w - headroom.output_w for headroom in headrooms if headroom.may_rise)
    up_w = min(up_w, operating_range.ceiling_w - operating_range.committed_w, STEP_W)
    return up_w if up_w >= ASKED_W else 0.0
