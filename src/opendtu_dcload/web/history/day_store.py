"""The last 30 days in a small file, one line of JSON each; written when a day is over, and at no other time."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from opendtu_dcload.devices import json_fields
from opendtu_dcload.web.history.day_totals import Day

log = logging.getLogger(__name__)

FILE_NAME = "days.jsonl"
KEPT = 30
_LARGEST_BYTES = 20_000
_MOST = 1e12


class DayStore:
    """The file; when it cannot be read or written, that is logged and the days since the start are kept in memory."""

    def __init__(self, folder: Path | None) -> None:
        """Read what is there; None = nothing is kept on disk."""
        self._path = None if folder is None else folder / FILE_NAME
        self._has_failed = False
        self.days: tuple[Day, ...] = ()
        """The oldest first."""
        self.days = self._merged(self._load())

    def add(self, day: Day) -> None:
        """Keep a day; of two with one date the one of which more is known, for a clock may be set back."""
        self.days = self._merged([*self.days, day])

    def write(self) -> None:
        """Write all days, so that after a power cut either the old file is there or the new one. It may take long."""
        if self._path is None:
            return
        new = self._path.with_suffix(".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                file.writelines(f"{json.dumps(day._asdict())}\n" for day in self.days)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as err:
            if not self._has_failed:
                log.warning("%s cannot be written (%s): a restart forgets the days since the last one", self._path, err)
            self._has_failed = True

    @staticmethod
    def _merged(days: Iterable[Day]) -> tuple[Day, ...]:
        best: dict[str, Day] = {}
        for day in days:
            if day.date not in best or day.known_s >= best[day.date].known_s:
                best[day.date] = day
        return tuple(best[name] for name in sorted(best)[-KEPT:])

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
