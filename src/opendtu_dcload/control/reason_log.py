"""The log of reasons: a line for each that lasts and that its reader should know of, and one when it is over."""

from __future__ import annotations

import logging

from opendtu_dcload.control.reason_delays import log_after_s
from opendtu_dcload.model import Plan, Reason
from opendtu_dcload.time_words import lasted

log = logging.getLogger(__name__)


class ReasonLog:
    """Sees every plan, and says once why the plant gives what it gives."""

    def __init__(self, now_s: float) -> None:
        self._reason = Reason.STARTING
        self._since_s = now_s
        self._is_logged = False
        self._setpoint_w = 0.0
        self._before_w = 0.0
        """The set-point when the reason began to rule."""

    def add(self, plan: Plan) -> None:
        """Take a plan; log its reason when that has lasted long enough to be news."""
        after_s = log_after_s(plan.reason)
        if plan.reason != self._reason:
            if self._is_logged and after_s > 0:  # else the line of the next one tells it
                log.info("over after %s: %s", lasted(plan.at_s - self._since_s), self._reason)
            self._reason, self._since_s, self._is_logged = plan.reason, plan.at_s, False
            self._before_w = self._setpoint_w
        self._setpoint_w = plan.setpoint_w
        if not self._is_logged and plan.at_s - self._since_s >= after_s:
            self._is_logged = True
            log.warning("%s; set-point %.0f W, before %.0f W", plan.reason, plan.setpoint_w, self._before_w)
