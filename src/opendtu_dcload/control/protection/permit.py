"""What the plant may give at most, and why: the strictest of the guards, the meter and the user."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.protection.meter_age import MeterState
from opendtu_dcload.control.protection.plant_guard import ExternalInputs, GuardResult, PlantGuard
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import Reason


@dataclass(frozen=True, slots=True)
class Permit:
    """What protection leaves to the regulator."""

    cap_w: float
    reason: Reason | None = None
    """Why it is less than the legal cap; None when it is not."""
    may_regulate: bool = True
    is_urgent: bool = False
    cap_reason: Reason = Reason.FEED_IN_CAP
    """The reason to give while the plant is at the cap."""


class Protection:
    """Asks all guards at each decision, and goes down the ladder when the meter falls silent."""

    def __init__(self, settings: Settings, obeyed_s: float) -> None:
        """Take the longest time in s that an inverter needs to obey."""
        self.guards = PlantGuard(settings.guards, settings.min_voltage_v, obeyed_s)
        self.result = GuardResult(settings.max_feed_in_w)
        """What the guards said last."""
        self.regulated_w = 0.0
        """Output commanded when it was regulated last, W: where the ramp of a silent meter begins."""

    def permit(
        self,
        now_s: float,
        settings: Settings,
        trackers: Collection[InverterTracker],
        external: ExternalInputs,
        meter: MeterState,
    ) -> Permit:
        """Return what is allowed now."""
        self.result = self.guards.evaluate(now_s, settings.guards, settings.max_feed_in_w, trackers, external)
        cap_w, cap_reason = self.result.cap_w, self.result.reason
        if cap_w <= 0 and cap_reason is not Reason.FEED_IN_CAP:
            return _off(cap_reason)
        minimum_w = sum(t.unit.minimum_w for t in trackers if not t.is_switched_off)
        ladder = settings.ladder
        age_s = max(meter.age_s, ladder.minimum_s) if meter.is_frozen else meter.age_s
        reason = Reason.METER_FROZEN if meter.is_frozen else ladder.reason(age_s)
        is_silent = age_s >= ladder.minimum_s
        if reason is not None and age_s >= ladder.off_s:
            return _off(reason)
        if not settings.is_regulating:
            return _at_most(minimum_w, cap_w, Reason.SWITCHED_OFF, is_urgent=True)
        if external.relay is not None and not external.relay.is_on and cap_w > 0:
            return _at_most(minimum_w, cap_w, Reason.RELAY_OPEN)
        if meter.suspicion and not is_silent:
            return _at_most(minimum_w, cap_w, meter.suspicion, is_urgent=True)
        if reason is not None:
            base_w = max(settings.base_load_w or 0.0, minimum_w)
            most_w = ladder.most_w(age_s, self.regulated_w, base_w, minimum_w)
            return _at_most(most_w, cap_w, reason, is_urgent=is_silent)
        return Permit(cap_w, cap_reason=cap_reason)


def _off(reason: Reason) -> Permit:
    return Permit(0.0, reason, may_regulate=False, is_urgent=True)


def _at_most(output_w: float, cap_w: float, reason: Reason, *, is_urgent: bool = False) -> Permit:
    return Permit(min(output_w, cap_w), reason, may_regulate=False, is_urgent=is_urgent)
