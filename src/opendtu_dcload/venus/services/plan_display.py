"""What the plant is told and why, at `/Plan/...`: the same at the meter and at the services of the whole plant."""

from __future__ import annotations

from collections.abc import Mapping

from opendtu_dcload.model import Plan
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.item import Value
from opendtu_dcload.venus.services.device import Display, Shown, text

REASON = "/Plan/Reason"
_NUMBERS: Mapping[str, Shown[Plan]] = {
    "/Plan/SetPoint": Shown("W", 0, lambda plan: plan.setpoint_w, meaning="what the plant is told to give"),
    "/Plan/Cap": Shown("W", 0, lambda plan: plan.cap_w, meaning="what the plant may give at most"),
}


class PlanDisplay:
    """The paths of one service."""

    def __init__(self) -> None:
        self._numbers = Display(_NUMBERS)

    def add_to(self, service: BusService) -> None:
        """Add the items, without values yet."""
        service.add(REASON, text(meaning="why the plant gives what it gives"))
        self._numbers.add_to(service)

    def values(self, plan: Plan | None) -> Mapping[str, Value | None]:
        """Return what is shown of a plan; None = the control does not decide now, so nothing is known."""
        return {REASON: plan.words if plan is not None else None, **self._numbers.values(plan)}
