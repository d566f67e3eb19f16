"""When to ask a device next, from when it was asked and what came of it. All times are monotonic in s."""

from __future__ import annotations

from typing import Protocol


class Timetable(Protocol):
    """Decides when to ask next."""

    def answered(self, asked_s: float, answered_s: float, *, has_changed: bool) -> float:
        """Take an answer, and whether it tells anything new; return when to ask next."""

    def failed(self, asked_s: float, ended_s: float) -> float:
        """Take that there was no answer; return when to ask next."""


class Interval:
    """Asks at an interval, whatever is answered; at once when the answer took longer.

    Args:
        interval_s: between two requests.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s

    def answered(self, asked_s: float, answered_s: float, *, has_changed: bool) -> float:  # noqa: ARG002  of no importance
        """Take an answer; return when to ask next."""
        return max(asked_s + self._interval_s, answered_s)

    def failed(self, asked_s: float, ended_s: float) -> float:
        """Take that there was no answer; return when to ask next."""
        return max(asked_s + self._interval_s, ended_s)
