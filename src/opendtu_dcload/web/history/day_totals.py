"""What is counted by day: energies from the state, commands, and for how long the grid was known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

from opendtu_dcload.state import State
from opendtu_dcload.tallies import Today, sent_in
from opendtu_dcload.web.moment import Totals

MINUTES, MINUTE_S = 60, 60


class Day(NamedTuple):
    """A day that is over, or what there is of it yet."""

    date: str
    """ISO 8601, local."""
    exported_wh: float
    avoidable_import_wh: float
    imported_wh: float
    commands: int
    known_s: int
    """For so long the grid was known; less than 86400 where the program was not there or the meter silent."""


_NOTHING = Day("", 0.0, 0.0, 0.0, 0, 0)


class DayTotals:
    """Looks at the state once a second; says when a day is over."""

    def __init__(self, kept: Callable[[str], Day | None] = lambda _: None) -> None:
        """Count nothing yet; `kept` returns what is known of a day from before a restart or a change of the clock."""
        self._kept = kept
        self._date: date | None = None
        self._before = _NOTHING
        """Counted of this day before."""
        self._today = Today()
        self.exported_wh = 0.0
        """What was exported between the last two updates, Wh."""
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
            ended = self.so_far()
            self._date, self._today, self._known_s, self._sent_before = day, Today(), 0, self._sent
            self._before = self._kept(day.isoformat()) or _NOTHING
        minute = int(now_s) // MINUTE_S
        if not self._by_minute or self._by_minute[-1][0] != minute:
            self._by_minute.append((minute, self._sent))
            del self._by_minute[:-MINUTES]
        self._sent = sent_in(state.commands)
        if state.today.day == day:
            exported_wh = state.today.exported_wh - self._today.exported_wh
            self.exported_wh = exported_wh if exported_wh >= 0 else state.today.exported_wh
            self._today = state.today
        else:
            self.exported_wh = 0.0
        self._known_s += is_known
        return ended

    def so_far(self) -> Day | None:
        """Return what was counted today; None = nothing, since the program's start or midnight."""
        if self._date is None or not self._known_s:
            return None
        totals = self.totals
        return Day(
            self._date.isoformat(),
            round(totals.exported_wh, 1),
            round(totals.avoidable_import_wh, 1),
            round(totals.imported_wh, 1),
            totals.commands,
            self._before.known_s + self._known_s,
        )

    @property
    def totals(self) -> Totals:
        """What was counted today, and the commands of the last hour."""
        minute = self._by_minute[-1][0] if self._by_minute else 0
        before = next((sent for at, sent in self._by_minute if at > minute - MINUTES), self._sent)
        today, earlier = self._today, self._before
        return Totals(
            earlier.exported_wh + today.exported_wh,
            earlier.avoidable_import_wh + today.avoidable_wh,
            earlier.imported_wh + today.imported_wh,
            earlier.commands + self._sent - self._sent_before,
            self._sent - before,
        )
