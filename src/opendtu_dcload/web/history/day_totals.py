"""What is counted by day: energies from the state, commands, and for how long the grid was known."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from opendtu_dcload.state import State
from opendtu_dcload.tallies import Today, sent_in
from opendtu_dcload.web.moment import Totals

MINUTES, MINUTE_S = 60, 60


class Day(NamedTuple):
    """A day that is over."""

    date: str
    """ISO 8601, local."""
    exported_wh: float
    avoidable_import_wh: float
    imported_wh: float
    commands: int
    known_s: int
    """For so long the grid was known; less than 86400 where the program was not there or the meter silent."""


class DayTotals:
    """Looks at the state once a second; says when a day is over."""

    def __init__(self) -> None:
        self._date: date | None = None
        self._today = Today()
        self._known_s = 0
        self._sent = 0
        self._sent_before = 0
        """Commands before the day began."""
        self._by_minute: list[tuple[int, int]] = []
        """Minute, and commands before it; those of the last hour."""

    def update(self, now_s: float, day: date, state: State, *, is_known: bool) -> Day | None:
        """Take what is counted in the state; return the day that has just ended.

        Args:
            now_s: monotonic time.
            day: today, local.
            state: counts energies and commands.
            is_known: the grid's power is known.
        """
        ended = None
        if day != self._date:
            ended = self._ended() if self._date is not None and self._known_s else None
            self._date, self._today, self._known_s, self._sent_before = day, Today(), 0, self._sent
        minute = int(now_s) // MINUTE_S
        if not self._by_minute or self._by_minute[-1][0] != minute:
            self._by_minute.append((minute, self._sent))
            del self._by_minute[:-MINUTES]
        self._sent = sent_in(state.commands)
        if state.today.day == day:
            self._today = state.today
        self._known_s += is_known
        return ended

    def _ended(self) -> Day:
        assert self._date is not None
        today = self._today
        return Day(
            self._date.isoformat(),
            round(today.exported_wh, 1),
            round(today.avoidable_wh, 1),
            round(today.imported_wh, 1),
            self._sent - self._sent_before,
            self._known_s,
        )

    def exported_since(self, before: Totals) -> float:
        """Return what was exported since those totals, Wh."""
        exported_wh = self._today.exported_wh - before.exported_wh
        return exported_wh if exported_wh >= 0 else self._today.exported_wh

    @property
    def totals(self) -> Totals:
        """What was counted today, and the commands of the last hour."""
        minute = self._by_minute[-1][0] if self._by_minute else 0
        before = next((sent for at, sent in self._by_minute if at > minute - MINUTES), self._sent)
        today = self._today
        return Totals(
            today.exported_wh,
            today.avoidable_wh,
            today.imported_wh,
            self._sent - self._sent_before,
            self._sent - before,
        )
