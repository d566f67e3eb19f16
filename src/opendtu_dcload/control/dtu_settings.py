"""One DTU as the controller sees it: whether it can be commanded, and how old its data may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

from opendtu_dcload.freshness import missed_rounds_s
from opendtu_dcload.model import DtuStatus, Reason

NOTES = {Reason.DTU_SILENT: "its DTU does not answer", Reason.DTU_PASSWORD: "its DTU refuses the password"}
"""The note at an inverter whose DTU is in trouble while another one is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DtuSettings:
    """What holds for one DTU and its inverters. A status of None is that of a DTU that never answered."""

    stale_after_s: float = 50.0
    """Age in s from which an inverter's measured values are not acted on, until the DTU tells its own round."""
    silent_s: float = 15.0
    """Without a good answer for this long nothing can be commanded, and what rules is only assumed."""
    max_commands_per_hour: int = 300

    def trouble(self, status: DtuStatus | None, now_s: float) -> Reason | None:
        """Return why the DTU cannot be commanded; None when it can."""
        if status is None or status.serials is None or now_s - status.at_s >= self.silent_s:
            return Reason.DTU_SILENT
        return None if status.accepts_password else Reason.DTU_PASSWORD

    def freshness_s(self, status: DtuStatus | None) -> float:
        """Return the age in s up to which measured values count; while the DTU's clock is not set none does."""
        if status is None or not status.is_clock_set:
            return -math.inf
        return max(self.stale_after_s, missed_rounds_s(status.round_s))
