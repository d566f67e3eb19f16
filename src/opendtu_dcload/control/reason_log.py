"""The log of reasons: a line for each that lasts and that its reader should know of."""

from __future__ import annotations

import logging

from opendtu_dcload.control.reason_delays import log_after_s
from opendtu_dcload.model import Plan, Reason

log = logging.getLogger(__name__)


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
        if not self._is_logged and plan.at_s - self._since_s >= log_after_s(plan.reason):
            self._is_logged = True
            log.warning("%s (set-point %.0f W, cap %.0f W)", plan.reason, plan.setpoint_w, plan.cap_w)
