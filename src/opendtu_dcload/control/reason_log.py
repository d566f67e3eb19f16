"""The log of reasons: a line for each that lasts and that its reader should know of."""

from __future__ import annotations

import logging

from opendtu_dcload.model import Plan, Reason

log = logging.getLogger(__name__)

LOGGED_SUSPICION_S = 20.0
"""A suspicion against the meter is logged when the fall to the minimum has not lifted it in this time."""
HELD_S = 30.0
"""A hold that ends at once was a cloud, a low limit, or heat."""
LONGEST_GRID_WAIT_S = 330.0
"""A switched-on inverter gives nothing for 1 to 5 min, and that is no news."""
LOGGED_AFTER_S = {
    Reason.METER_STALE_RAMP: 0.0,
    Reason.METER_STALE_MINIMUM: 0.0,
    Reason.METER_LOST_OFF: 0.0,
    Reason.METER_FROZEN: 0.0,
    Reason.METER_BLIND: LOGGED_SUSPICION_S,
    Reason.METER_REVERSED: LOGGED_SUSPICION_S,
    Reason.CAP_UNREACHABLE: LOGGED_SUSPICION_S,
    Reason.BATTERY_LOW: 0.0,
    Reason.BATTERY_UNSEEN: 0.0,
    Reason.BATTERY_REFUSES: 0.0,
    Reason.CELL_LOW: 0.0,
    Reason.MIN_SOC: 0.0,
    Reason.MULTIPLUS_CHARGING: 0.0,
    Reason.MULTIPLUS_INVERTING: 0.0,
    Reason.GUARD_ESCALATED: 0.0,
    Reason.RELAY_OPEN: 0.0,
    Reason.NO_INVERTER: LONGEST_GRID_WAIT_S,
    Reason.FOREIGN_LIMITS: 0.0,
    Reason.LOST_FEEDS: 0.0,
    Reason.COMMANDS_IGNORED: 0.0,
    Reason.UNCONFIRMED: 0.0,
    Reason.HELD: HELD_S,
    Reason.SWITCHED_OFF: 0.0,
}
"""Reasons worth a line in the log, and how long in s they must last. A lost device has its line already."""


class ReasonLog:
    """Sees every plan, and says once why the plant gives what it gives."""

    def __init__(self, now_s: float) -> None:
        self._reason = Reason.STARTING
        self._since_s = now_s
        self._is_logged = False

    def add(self, plan: Plan) -> None:
        """Take a plan; log its reason when that has lasted long enough to be news."""
        if plan.reason != self._reason:
            self._reason, self._since_s, self._is_logged = plan.reason, plan.at_s, False
        delay_s = LOGGED_AFTER_S.get(plan.reason)
        if delay_s is not None and not self._is_logged and plan.at_s - self._since_s >= delay_s:
            self._is_logged = True
            log.warning("%s (set-point %.0f W, cap %.0f W)", plan.reason, plan.setpoint_w, plan.cap_w)
