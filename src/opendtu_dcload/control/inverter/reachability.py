"""Whether one inverter can be reached, and how old what it told is."""

from __future__ import annotations

import math
from dataclasses import replace

from opendtu_dcload.control.inverter.limit_state import LimitState
from opendtu_dcload.freshness import believed
from opendtu_dcload.model import InverterStatus, Reason

NEWER_S = 0.9
"""Less between two measurements is the jitter of `data_age`, which older firmware gives in whole seconds."""
MISSING_AFTER_S = 20.0
"""A radio that fails for a moment is no reason to switch the other inverters off and on."""


class Reachability:
    """What its DTU tells of it, since when commands do not reach it, and whether an answer is overdue."""

    def __init__(self, limits: LimitState) -> None:
        self._limits = limits
        self.status: InverterStatus | None = None
        """Last measured values, however old."""
        self.is_fresh = False
        """The measured values are young enough to act on, and the inverter answers the DTU."""
        self.fresh_at_s = -math.inf
        """When they last were, or when they were first heard of."""
        self.fresh_since_s = math.inf
        """Since when they have been all the time."""
        self.trouble: Reason | None = None
        """Why its DTU cannot be commanded."""
        self.is_busy = False
        """Its DTU has not answered an earlier command yet: it can be given no further one now."""
        self.is_known = False
        """Its DTU has told of its limit, so it has it in its list."""
        self.is_restarting = False
        """It is about to be restarted, or was and has acknowledged no limit since."""
        self.is_overdue = False
        """The limit on its way has not been acknowledged in the longest time: a lower one may take its place."""
        self._due_at_s = math.inf
        self._lost_since_s = math.inf
        self._found_at_s = -math.inf

    @property
    def is_free(self) -> bool:
        """True when its DTU can be given a command now."""
        return self.trouble is None and not self.is_busy

    @property
    def is_lost(self) -> bool:
        """True when commands do not reach it."""
        is_gone = self.status is not None and not self.status.reachable
        return self.trouble is not None or self._limits.has_failed or self.is_restarting or is_gone

    def is_missing(self, now_s: float) -> bool:
        """Tell whether commands have not reached it for a while, or only just again: the others must make room."""
        is_missing = now_s - self._lost_since_s >= MISSING_AFTER_S or now_s - self._found_at_s < MISSING_AFTER_S
        return is_missing or self.is_restarting

    # ---- what happens

    def await_answer(self, due_at_s: float) -> None:
        """Note a limit that is sent now and has to be acknowledged by `due_at_s`."""
        self._due_at_s = due_at_s
        self.is_overdue = False

    def has_come_back(self, status: InverterStatus) -> bool:
        """Tell whether new values are the first since it was unreachable: it may have been restarted meanwhile."""
        return self.status is not None and status.reachable and not self.status.reachable

    def add_status(self, status: InverterStatus, now_s: float, stale_after_s: float) -> bool:
        """Take the measured values; return whether they are fresh ones, and newer than the last."""
        before, self.status = self.status, status
        was_fresh = self.is_fresh
        self.is_fresh = believed(status, now_s, stale_after_s) is not None
        if self.is_fresh and not was_fresh:
            self.fresh_since_s = now_s
        if self.is_fresh or before is None:
            self.fresh_at_s = now_s
        if before is not None and status.at_s < before.at_s + NEWER_S:
            if status.at_s != before.at_s:
                self.status = replace(status, at_s=before.at_s)
            return False
        return self.is_fresh

    def note_lost(self, now_s: float) -> None:
        """Note since when it is lost, or found, and what is overdue; to be called once all else was seen."""
        self.is_overdue = self._limits.posted_w is not None and now_s > self._due_at_s
        if self.is_lost:
            self._lost_since_s = min(self._lost_since_s, now_s)
        elif math.isfinite(self._lost_since_s):
            if now_s - self._lost_since_s >= MISSING_AFTER_S:
                self._found_at_s = now_s
            self._lost_since_s = math.inf
