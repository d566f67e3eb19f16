"""The last 30 days in a small file, one line of JSON each.

It is written when a day is over and when the program ends in order, then with what there is of today.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from datetime import date
from pathlib import Path

from opendtu_dcload.devices import json_fields
from opendtu_dcload.web.history.day_totals import Day

log = logging.getLogger(__name__)

FILE_NAME = "days.jsonl"
KEPT = 30
PROVES_S = 43_200
"""A clock by which the grid was known for half a day is right: a day that is dated after it was counted by a wrong one.
It is kept until then, for a clock without a battery is behind until it has heard the time."""
_LARGEST_BYTES = 20_000
_MOST = 1e12


class DayStore:
    """The file; when it cannot be read or written, that is logged and the days since the start are kept in memory."""

    def __init__(self, folder: Path | None) -> None:
        """Read what is there; None = nothing is kept on disk."""
        self._path = None if folder is None else folder / FILE_NAME
        self._has_failed = False
        self._writing = threading.Lock()
        self.days: tuple[Day, ...] = ()
        """The oldest first."""
        for day in self._load():
            self._put(day)

    def add(self, day: Day, today: str) -> None:
        """Keep a day or what there is of it yet; of two with one date the one of which more is known.

        Args:
            day: what was counted.
            today: the date, ISO 8601; days after it are no longer kept when the clock has proved to be right.
        """
        self._put(day)
        over, coming = self.before(today)[-KEPT:], [kept for kept in self.days if kept.date > today]
        counted = [kept for kept in self.days if kept.date == today]
        self.days = (*over, *counted, *([] if day.known_s >= PROVES_S else coming[: 2 * KEPT - len(over)]))

    def of(self, date: str) -> Day | None:
        """Return what is kept of a day."""
        return next((day for day in self.days if day.date == date), None)

    def before(self, today: str) -> tuple[Day, ...]:
        """Return the days that are over, the oldest first."""
        return tuple(day for day in self.days if day.date < today)

    def write(self) -> None:
        """Write all days, so that after a power cut either the old file is there or the new one. It may take long."""
        if self._path is None:
            return
        new = self._path.with_suffix(".new")
        try:
            with self._writing:
                with new.open("w", encoding="utf-8") as file:
                    file.writelines(f"{json.dumps(day._asdict())}\n" for day in self.days)
                    file.flush()
                    os.fsync(file.fileno())
                new.replace(self._path)
        except OSError as err:
            if not self._has_failed:
                log.warning("%s cannot be written (%s): a restart forgets the days since the last one", self._path, err)
            self._has_failed = True

    def _put(self, day: Day) -> None:
        best = {kept.date: kept for kept in self.days}
        if day.date not in best or day.known_s >= best[day.date].known_s:
            best[day.date] = day
        self.days = tuple(best[name] for name in sorted(best))

    def _load(self) -> list[Day]:
        if self._path is None:
            return []
        try:
            with self._path.open("rb") as file:
                lines = file.read(_LARGEST_BYTES).splitlines()
        except FileNotFoundError:
            return []
        except OSError as err:
            log.warning("%s cannot be read (%s): the days begin anew", self._path, err)
            return []
        days = [day for line in lines if (day := _day_of(line)) is not None]
        if len(days) != len(lines):
            log.warning("%s: %d of %d lines are no days and left out", self._path, len(lines) - len(days), len(lines))
        return days


def _day_of(line: bytes) -> Day | None:
    try:
        document = json_fields.document(line)
        name = date.fromisoformat(json_fields.text(document, "date")).isoformat()
    except ValueError:
        return None
    exported_wh, avoidable_wh, imported_wh = (
        json_fields.number(document, key, 0, _MOST) for key in ("exported_wh", "avoidable_import_wh", "imported_wh")
    )
    commands, known_s = (json_fields.whole(document, key, 0, 1_000_000) for key in ("commands", "known_s"))
    if exported_wh is None or avoidable_wh is None or imported_wh is None or commands is None or known_s is None:
        return None
    return Day(name, exported_wh, avoidable_wh, imported_wh, commands, known_s)
