"""What an inverter's output says about its limit: whether it gives power at all, as told, and from which limit on."""

from __future__ import annotations

PRODUCING_W = 2.0
"""Less is the noise of an inverter that gives nothing."""
TESTED_W = 5.0
"""With less `check --step` tries no step: the inverter gives nothing, or is just starting or stopping."""

TOLERATED_SHARE, TOLERATED_W = 1.1, 30.0
"""Meters and inverters disagree by some percent, and by some watts at small outputs: an estimate that clears both."""

ACCURATE_SHARE = 0.16
"""Lower limits, as a share of rated power, come out up to 17 % too low (OpenDTU-OnBattery#1756), so the dispatch
prefers others. It is the bare edge, without a margin: the meter corrects what comes of a limit just above it."""
LEARNED_SHARE = 0.2
"""From higher limits only, as a share of rated power, output / limit is learned. It is the edge of `ACCURATE_SHARE`
with a margin: nothing corrects a ratio that was learned wrong."""
KEPT_LIMITS = 64
"""More limits are not sent within the longest credit: an inverter of which nothing is heard takes no more memory."""


def tolerated_w(limit_w: float) -> float:
    """Return the highest output in W that still counts as keeping to a limit in W."""
    return TOLERATED_SHARE * limit_w + TOLERATED_W


def can_learn_from(limit_w: float, rated_w: float) -> bool:
    """Tell whether output / limit may be learned from what a limit in W brought."""
    return limit_w > LEARNED_SHARE * rated_w
