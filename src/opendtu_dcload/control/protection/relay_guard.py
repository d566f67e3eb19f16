"""The relay through which the inverters reach the grid: when it may be armed, and what it is told next.

It switches itself off 300 s after it was last armed, so a controller that is dead, or does not know what happens,
disconnects the inverters by doing nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from enum import StrEnum

from opendtu_dcload.control.commands.command_policy import CAP_SLACK_W
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.model import RelayOrder, RelayStatus

TIMER_S = 300
ARM_EVERY_S = 60.0
YOUNG_S = 60.0
"""Meter, DTUs and the decision itself must be younger than this, or the relay is left to its timer."""
READ_EVERY_S = 5.0
AGAIN_S = 10.0
"""Until what did not work is tried again."""


class RelayGuard:
    """What the relay may do, seen from the guards and the limits."""

    def __init__(self) -> None:
        self._was_off: bool | None = None
        """None = there is no relay, or it has not answered yet."""

    def has_opened(self, relay: RelayStatus | None) -> bool:
        """Take the relay's state; return whether it has just opened: nobody knows what rules behind an open relay."""
        if relay is None:
            return False
        was_off, self._was_off = self._was_off, not relay.is_on
        return self._was_off and not was_off

    def order(self, now_s: float, trackers: Collection[InverterTracker], cap_w: float) -> RelayOrder:
        """Return what the relay may do; `cap_w` is what the guards leave to the plant."""
        if self._was_off is None:
            return RelayOrder.HOLD
        missing_w = sum(t.highest_w for t in trackers if t.contact.is_missing(now_s))
        if cap_w <= 0 or missing_w > cap_w + CAP_SLACK_W:
            return RelayOrder.HOLD
        may_connect = (
            self._was_off and _rules(now_s, trackers) and sum(t.highest_w for t in trackers) <= cap_w + CAP_SLACK_W
        )
        return RelayOrder.CONNECT if may_connect else RelayOrder.KEEP


def _rules(now_s: float, trackers: Iterable[InverterTracker]) -> bool:
    """Tell whether the limits of all inverters that can be reached, at least of one, are set and acknowledged."""
    reached = [t for t in trackers if not (t.is_lost and t.contact.is_missing(now_s))]
    return bool(reached) and all(t.limit_w is not None and not t.is_pending for t in reached)


class RelayCommand(StrEnum):
    """What the relay is asked."""

    ARM = "arm"
    OPEN = "open"
    READ = "read"


class DeadMan:
    """Decides what the relay is told next; one that nobody told anything opens by itself."""

    def __init__(self) -> None:
        self._armed_at_s = self._read_at_s = self._tried_at_s = -math.inf

    def next(
        self, now_s: float, order: RelayOrder, ages_s: Collection[float], relay: RelayStatus | None
    ) -> RelayCommand | None:
        """Return what to do now; None = nothing.

        Args:
            now_s: monotonic time.
            order: what the guards allow.
            ages_s: of all that must be young to go on.
            relay: its state as last read; None = it has not answered yet.
        """
        if now_s - self._tried_at_s < AGAIN_S:
            return None
        if relay is None:
            return RelayCommand.READ
        may_stay = order in {RelayOrder.KEEP, RelayOrder.CONNECT} and max(ages_s) < YOUNG_S
        if relay.is_on and (order is RelayOrder.OPEN or not (relay.has_timer or may_stay)):
            return RelayCommand.OPEN
        is_due = now_s - self._armed_at_s >= ARM_EVERY_S or not relay.is_on or not relay.has_timer
        if may_stay and is_due and (relay.is_on or order is RelayOrder.CONNECT):
            return RelayCommand.ARM
        return RelayCommand.READ if now_s - self._read_at_s >= READ_EVERY_S else None

    def done(self, command: RelayCommand, now_s: float) -> None:
        """Note that the relay did what it was told."""
        self._read_at_s = now_s
        self._tried_at_s = -math.inf
        if command is RelayCommand.ARM:
            self._armed_at_s = now_s

    def failed(self, now_s: float) -> None:
        """Note that it did not, or that nobody knows."""
        self._tried_at_s = now_s
