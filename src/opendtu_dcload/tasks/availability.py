"""Whether a device answers: one line in the log when it is lost and one when it is back, and counts for the state."""

from __future__ import annotations

import logging

from opendtu_dcload.errors import ServiceError
from opendtu_dcload.state import State
from opendtu_dcload.tallies import Link
from opendtu_dcload.time_words import lasted

log = logging.getLogger(__name__)


class Availability:
    """Says once that a device is lost and once that it is back, and counts both for the state."""

    def __init__(self, name: str, state: State, now_s: float, *, lost_after_s: float) -> None:
        self._name = name
        self._lost_after_s = lost_after_s
        self._answered_at_s = now_s
        self._state = state
        self.is_lost = False

    def answered(self, now_s: float) -> None:
        """The device gave a usable answer."""
        if self.is_lost:
            log.info("%s back after %s", self._name, lasted(now_s - self._answered_at_s))
            count(self._state, self._name, reconnects=1)
        self.is_lost = False
        self._answered_at_s = now_s

    def failed(self, now_s: float, error: ServiceError) -> None:
        """The device gave none."""
        count(self._state, self._name, failures=1)
        if not self.is_lost and now_s - self._answered_at_s >= self._lost_after_s:
            self.is_lost = True
            log.warning("%s lost: %s", self._name, error)


def count(state: State, device: str, *, failures: int = 0, reconnects: int = 0) -> None:
    """Add failed requests and reconnects of a device to those in the state."""
    link = state.links.get(device, Link())
    state.set_link(device, Link(link.failures + failures, link.reconnects + reconnects))
