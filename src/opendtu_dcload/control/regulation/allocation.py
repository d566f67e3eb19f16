"""From the plant's set-point to outputs per inverter, and the quiet work between: standby and wear levelling."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from opendtu_dcload.control.commands.command_budget import Budget
from opendtu_dcload.control.commands.command_policy import REPLACE_PENDING_W
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.protection.permit import Permit
from opendtu_dcload.control.regulation.dispatch import Headroom, dispatch
from opendtu_dcload.control.regulation.operating_range import OperatingRange
from opendtu_dcload.control.regulation.standby import Standby
from opendtu_dcload.control.regulation.wear_levelling import WearLevelling, accurate_w
from opendtu_dcload.control.settings import Settings

SMALLEST_STEP_W = 1.0
"""Less of the plant is no step: the smallest change of a limit is 3 W."""


def outputs_for(setpoint_w: float, plant_range: OperatingRange, headrooms: Sequence[Headroom]) -> Mapping[str, float]:
    """Return the outputs in W of the inverters that must change to bring the plant to its set-point."""
    if abs(setpoint_w - plant_range.committed_w) < SMALLEST_STEP_W:
        return {}
    return dispatch(sum(s.output_w for s in headrooms) + setpoint_w - plant_range.committed_w, headrooms)


class Allocation:
    """Knows who can take a change, who has worked how much, and who is in standby."""

    def __init__(self, trackers: Mapping[str, InverterTracker], budgets: Mapping[str, Budget], now_s: float) -> None:
        """Take the trackers by serial and the budgets by DTU."""
        self._trackers = trackers
        self._budgets = budgets
        self._standby = Standby(now_s)
        self._wear_levelling = WearLevelling()

    @property
    def standby_counts(self) -> Mapping[str, int]:
        """How often each inverter that is in standby was put there since the start."""
        return self._standby.resting_counts

    def headrooms(self, now_s: float, permit: Permit) -> list[Headroom]:
        """Return the inverters that can be set now, and how far."""
        self._wear_levelling.update(now_s, self._trackers.values())
        free = [t for t in self._trackers.values() if t.is_usable and t.contact.is_free]
        return [self._headroom(tracker, now_s, permit) for tracker in free]

    def work_quietly(
        self, now_s: float, permit: Permit, settings: Settings, outputs_w: Mapping[str, float]
    ) -> Mapping[str, float]:
        """Return the outputs in W that must change when nothing is doubted: one may make way for another."""
        if settings.may_rest:
            self._standby.update(now_s, self._trackers.values(), permit.cap_w, settings.switched_off)
        if not outputs_w and all(budget.is_plenty(now_s) for budget in self._budgets.values()):
            return self._wear_levelling.move(now_s, self._trackers.values())
        return outputs_w

    def stepped(self, now_s: float, change_w: float) -> None:
        """Note that one inverter is told to change its output by `change_w`."""
        self._wear_levelling.stepped(now_s, change_w)

    def _headroom(self, tracker: InverterTracker, now_s: float, permit: Permit) -> Headroom:
        minimum_w = tracker.unit.minimum_w * tracker.output.gain
        is_far = tracker.final_w - minimum_w > REPLACE_PENDING_W
        may_replace = permit.is_urgent or tracker.contact.is_overdue or (is_far and not tracker.limits.has_replaced)
        return Headroom(
            tracker.unit.serial,
            tracker.final_w,
            minimum_w,
            tracker.attainable_w,
            may_rise=self._may_rise(tracker, now_s),
            may_fall=now_s >= tracker.limits.held_until_s and (not tracker.is_pending or may_replace),
            accurate_w=accurate_w(tracker),
            rank=self._wear_levelling.rank(tracker.unit.serial),
        )

    def _may_rise(self, tracker: InverterTracker, now_s: float) -> bool:
        return (
            not tracker.is_pending
            and tracker.is_understood
            and now_s >= tracker.limits.held_until_s
            and now_s - tracker.limits.raised_at_s >= tracker.unit.raise_spacing_s
            and math.isfinite(self._budgets[tracker.unit.dtu].rise_ws(now_s))
            and not self._wear_levelling.is_moving(self._trackers)
        )
