"""How much each inverter has worked, and quiet moves of power from the one that worked most to the one with least work.

Inverters of different size are compared by hours at full load. What was long ago counts less and less, so that one that
was away for a month does not have to make up for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from opendtu_dcload.control.inverter.output_rules import ACCURATE_SHARE
from opendtu_dcload.control.inverter.tracker import InverterTracker

FORGET_S = 7 * 86400.0
"""What was delivered this long ago counts for 1/e: an estimate, a week levels what single days bring."""
STEP_SHARE = 0.05
"""A difference below this share of the mean is none: an estimate."""
PRIOR_H = 4.0
"""The mean counts as at least so many hours at full load: the first minutes after a start prove nothing."""
QUIET_S, EVERY_S = 300.0, 600.0
"""Power is moved when nothing was changed for the first time, and nothing moved for the second: estimates, so that it
costs few commands at moments when none are needed."""
CHANGE_W = 3.0
"""A smaller change, such as a repeated limit, is none, and is not worth a move (`SMALLEST_CHANGE_W`)."""


class WearLevelling:
    """Keeps account of what each inverter has delivered."""

    def __init__(self) -> None:
        self._hours: dict[str, float] = {}
        self._seen_s = math.inf
        self._changed_at_s = self._moved_at_s = -math.inf
        self._giving: str | None = None

    def update(self, now_s: float, trackers: Iterable[InverterTracker]) -> None:
        """Add what was delivered since the last call."""
        elapsed_s = max(now_s - self._seen_s, 0.0)
        self._seen_s = now_s
        kept = math.exp(-elapsed_s / FORGET_S)
        for tracker in trackers:
            worked = tracker.final_w / tracker.unit.maximum_w * elapsed_s / 3600
            self._hours[tracker.unit.serial] = self._hours.get(tracker.unit.serial, 0.0) * kept + worked

    def stepped(self, now_s: float, change_w: float) -> None:
        """Note that the plant was told to change: the house is not quiet."""
        if abs(change_w) >= CHANGE_W:
            self._changed_at_s = now_s

    def rank(self, serial: str) -> int:
        """Return how much an inverter has worked, in steps of 5 % of the mean."""
        return int(self._hours.get(serial, 0.0) / self._step_h)

    def is_moving(self, trackers: Mapping[str, InverterTracker]) -> bool:
        """Tell whether power that is to move has not fallen yet, as far as is known: until then none rises."""
        tracker = trackers.get(self._giving or "")
        return tracker is not None and tracker.is_pending and not tracker.is_lost

    def move(self, now_s: float, trackers: Iterable[InverterTracker]) -> dict[str, float]:
        """Return the lower output in W of the one that worked most, when it is time to let another one work.

        Nothing is raised here: the regulator misses the power, and the one that worked least is its first choice.
        """
        able = [t for t in trackers if t.is_usable]
        is_quiet = now_s - max(self._changed_at_s, self._moved_at_s + EVERY_S - QUIET_S) >= QUIET_S
        if not able or not is_quiet or any(t.is_pending for t in able):
            return {}
        ranked = sorted(able, key=lambda t: self._hours[t.unit.serial])
        least, most = ranked[0], ranked[-1]
        if self._hours[most.unit.serial] - self._hours[least.unit.serial] <= self._step_h:
            return {}
        sizes_w = most.unit.maximum_w, least.unit.maximum_w
        part_w = min(
            (most.final_w / sizes_w[0] - least.final_w / sizes_w[1]) * min(sizes_w),
            most.final_w - most.unit.minimum_w * most.output.gain,
            least.attainable_w - least.final_w,
        )
        if part_w < CHANGE_W or least.final_w + part_w < accurate_w(least):
            return {}
        self._moved_at_s, self._giving = now_s, most.unit.serial
        return {most.unit.serial: most.final_w - part_w}

    @property
    def _step_h(self) -> float:
        return STEP_SHARE * max(sum(self._hours.values()) / max(len(self._hours), 1), PRIOR_H)


def accurate_w(tracker: InverterTracker) -> float:
    """Return the output in W from which an inverter gives what its limit says."""
    return ACCURATE_SHARE * tracker.unit.rated_w * tracker.output.gain
