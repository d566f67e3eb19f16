"""What a DTU's answer says about a limit: how many watts it is, whether it is the one that was sent, and since when.

The control, the D-Bus services and the doctor all ask here.
"""

from __future__ import annotations

from opendtu_dcload.model import LimitStatus

STEP_PCT = 0.1
"""The inverter takes limits in steps of 0.1 %; what the DTU shows is cut off to them."""
SAME_W = 1.0
"""A limit shown within this, beside the step, is the one that was sent: an estimate for the rounding on the way."""
SETTLE_S = 1.0
"""An answer sooner after the command may still tell what became of the one before (OpenDTU before v25.1.14)."""


def watts_of(limit: LimitStatus, assumed_rated_w: float | None = None) -> float | None:
    """Return the limit in W; None while it is not known, or not in W for want of the rated power.

    Args:
        limit: what the DTU tells.
        assumed_rated_w: used while the DTU does not know the rated power; None = then no W are known.
    """
    rated_w = limit.rated_w or assumed_rated_w
    return limit.limit_pct * rated_w / 100 if limit.limit_pct is not None and rated_w else None


def step_w(rated_w: float) -> float:
    """Return what the DTU may have cut off from the limit that it shows, in W."""
    return STEP_PCT / 100 * rated_w


def is_same(shown_w: float, sent_w: float, rated_w: float) -> bool:
    """Tell whether the limit that the DTU shows is the one that was sent, both in W."""
    return abs(shown_w - sent_w) <= step_w(rated_w) + SAME_W


def speaks_of(answered_at_s: float, commanded_at_s: float) -> bool:
    """Tell whether an answer of the DTU is late enough to speak of a command, both in monotonic s."""
    return answered_at_s >= commanded_at_s + SETTLE_S
