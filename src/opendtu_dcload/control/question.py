"""What the plant gives, for the meter to be compared with, and the step by which the meter is asked."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from opendtu_dcload.control.dispatch import Share
from opendtu_dcload.control.meter_movement import ASKED_W, STEP_W, Output
from opendtu_dcload.control.span import Span
from opendtu_dcload.control.track import Track

SETTLED_W = 40.0
"""So much may the inverters' outputs differ from what they are told when the meter is to be asked by a step."""


def output_of(tracks: Collection[Track], at_s: float) -> Output:
    """Return what the plant gives, and what of it a reading measured at `at_s` may contain."""
    bounds_w = [track.visible_w(at_s) for track in tracks]
    fresh = [(track.final_w, track.status) for track in tracks if track.is_fresh and track.status]
    return Output(
        visible_w=(sum(low_w for low_w, _ in bounds_w), sum(high_w for _, high_w in bounds_w)),
        committed_w=sum(track.final_w for track in tracks),
        measured_w=sum(track.status.ac_power_w or 0.0 for track in tracks if track.status),
        measured_at_s=min((status.at_s for _, status in fresh), default=-math.inf),
        is_settled=sum(abs(final_w - (status.ac_power_w or 0.0)) for final_w, status in fresh) < SETTLED_W,
    )


def question_w(shares: Sequence[Share], span: Span) -> float:
    """Return the step in W, below 0 down, by which the meter can be asked now; 0 = there is no room for one."""
    down_w = sum(share.output_w - share.minimum_w for share in shares if share.may_fall)
    if down_w >= ASKED_W:
        return -min(down_w, STEP_W)
    up_w = sum(share.maximum_w - share.output_w for share in shares if share.may_rise)
    up_w = min(up_w, span.ceiling_w - span.committed_w, STEP_W)
    return up_w if up_w >= ASKED_W else 0.0
