"""A minimum SoC that follows the season, as the original's: the less full the battery gets, the higher it is.

In summer it is full each day and may be emptied; in winter it is not, and a reserve keeps it from standing empty for
weeks. Nothing but the SoC is needed, no date.
"""

from __future__ import annotations

import math

MIRROR_PCT = 108.0
"""Minimum + highest: 100 % allows down to 8 %, 74 % only down to 34 %."""
LOWEST_HIGHEST_PCT, HIGHEST_HIGHEST_PCT = 74.0, 110.0
"""Between these the remembered highest SoC moves, as the original's: minima of 34 % and of none."""
FIRST_HIGHEST_PCT = 100.0
"""Assumed while nothing is known of past cycles."""
FULL_PCT = 99.0
"""A battery that reached this is full: the remembered highest then heads for 110, and stays above 100 for a while."""
CREEP_PCT = 1.0
"""How far the remembered highest falls with each cycle that did not reach it, as the original's."""
TURN_PCT = 5.0
"""A cycle is a rise and a fall of at least this much."""


def minimum_pct(highest_pct: float) -> float:
    """Return the minimum SoC of a battery that gets as full as `highest_pct`; 110 is none."""
    return max(MIRROR_PCT - highest_pct, 0.0)


class SeasonalMinimum:
    """Remembers the highest SoC of past cycles as one number."""

    def __init__(self, highest_pct: float = FIRST_HIGHEST_PCT) -> None:
        self.highest_pct = min(max(highest_pct, LOWEST_HIGHEST_PCT), HIGHEST_HIGHEST_PCT)
        self._peak_pct = -math.inf
        self._trough_pct = math.inf
        self._is_rising = False

    @property
    def minimum_pct(self) -> float:
        """The minimum SoC that follows, 0 to 34 %."""
        return minimum_pct(self.highest_pct)

    def add_soc(self, soc_pct: float | None) -> None:
        """Take the SoC; None = unknown, which changes nothing."""
        if soc_pct is None:
            return
        if self._is_rising:
            self._peak_pct = max(self._peak_pct, soc_pct)
            if soc_pct <= self._peak_pct - TURN_PCT:
                self._end_cycle(self._peak_pct)
                self._is_rising, self._trough_pct = False, soc_pct
            return
        self._trough_pct = min(self._trough_pct, soc_pct)
        if soc_pct >= self._trough_pct + TURN_PCT:
            self._is_rising, self._peak_pct = True, soc_pct

    def _end_cycle(self, peak_pct: float) -> None:
        """The highest creeps down with each lower cycle and jumps half way up to a higher one."""
        reached_pct = HIGHEST_HIGHEST_PCT if peak_pct >= FULL_PCT else peak_pct
        if reached_pct > self.highest_pct:
            self.highest_pct += (reached_pct - self.highest_pct) / 2
        elif reached_pct < self.highest_pct:
            self.highest_pct = max(self.highest_pct - CREEP_PCT, LOWEST_HIGHEST_PCT)


def surplus_w(soc_pct: float | None, from_pct: float, attainable_w: float) -> float:
    """Return how much to feed in on purpose in W: nothing below `from_pct`, all of `attainable_w` 2 % above it."""
    if soc_pct is None or soc_pct < from_pct:
        return 0.0
    return attainable_w * min((1 + soc_pct - from_pct) / 3, 1.0)
