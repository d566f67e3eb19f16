"""What flowed: each second of the last hour and each minute of the last day, in arrays of fixed size.

Together they take (3600 x 6 + 1440 x 7) x 4 bytes = 127 kB, and never more.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from typing import NamedTuple

from opendtu_dcload.web.quantities import Json

HOUR_S, DAY_MINUTES, MINUTE_S = 3600, 1440, 60
UNKNOWN = math.nan


class Sample(NamedTuple):
    """One moment, W; None = not known."""

    grid_w: float | None
    target_w: float | None
    load_w: float | None
    set_point_w: float | None
    output_w: float | None
    saved_w: float | None


class Ring:
    """The latest rows of some numbers, the oldest first; a row that was left out is not known."""

    def __init__(self, columns: Sequence[str], rows: int) -> None:
        """Take the room for so many rows."""
        self.columns = tuple(columns)
        self._rows = rows
        self._kept = tuple(array("f", [UNKNOWN]) * rows for _ in columns)
        self._first: int | None = None
        self._last = 0

    def put(self, index: int, numbers: Sequence[float | None]) -> None:
        """Keep the row of that index; one before the last is of no use any more."""
        if self._first is None:
            self._first = self._last = index
        if index < self._last:
            return
        for skipped in range(max(self._last + 1, index - self._rows + 1), index):
            self._set(skipped, [None] * len(self.columns))
        self._last = index
        self._set(index, numbers)

    def _set(self, index: int, numbers: Sequence[float | None]) -> None:
        for column, number in zip(self._kept, numbers, strict=True):
            column[index % self._rows] = UNKNOWN if number is None else number

    @property
    def last(self) -> int | None:
        """Index of the last row; None = there is none yet."""
        return None if self._first is None else self._last

    def copied(self) -> dict[str, array[float]]:
        """Return all rows since the first one, by column, the oldest first; quick, for another thread to write out."""
        if self._first is None:
            return {name: array("f") for name in self.columns}
        count = min(self._last - self._first + 1, self._rows)
        cut = (self._last + 1) % self._rows
        return {
            name: (column[cut:] + column[:cut])[-count:] for name, column in zip(self.columns, self._kept, strict=True)
        }


class Samples:
    """Takes a sample a second."""

    def __init__(self) -> None:
        self._hour = Ring(Sample._fields, HOUR_S)
        self._day = Ring((*Sample._fields, "exported_wh"), DAY_MINUTES)
        self._sums = [0.0] * len(Sample._fields)
        self._counts = [0] * len(Sample._fields)
        self._exported_wh = 0.0
        self._minute: int | None = None

    def add(self, at_s: float, sample: Sample, exported_wh: float) -> None:
        """Take what was seen, with what was exported since the sample before.

        Args:
            at_s: a time that goes on evenly, in s; its whole minutes are those of the day.
            sample: what was seen then.
            exported_wh: the energy given away meanwhile, Wh.
        """
        second, minute = int(at_s), int(at_s) // MINUTE_S
        if self._minute is not None and minute != self._minute:
            self._end_minute(self._minute)
        self._minute = minute
        self._hour.put(second, sample)
        for column, number in enumerate(sample):
            if number is not None:
                self._sums[column] += number
                self._counts[column] += 1
        self._exported_wh += exported_wh

    def _end_minute(self, minute: int) -> None:
        means = [total / count if count else None for total, count in zip(self._sums, self._counts, strict=True)]
        is_known = self._counts[Sample._fields.index("grid_w")] > 0
        self._day.put(minute, [*means, self._exported_wh if is_known else None])
        self._sums, self._counts, self._exported_wh = [0.0] * len(self._sums), [0] * len(self._counts), 0.0

    def documents(self, at_s: float, iso: Callable[[float], str]) -> Callable[[], dict[str, Json]]:
        """Return what makes the parts `hour` and `day` of the history, later and in another thread.

        Args:
            at_s: now, as in `add`.
            iso: tells the time of day, given how many s ago that was.
        """
        hour, day = self._hour.copied(), self._day.copied()
        second = int(at_s) if self._hour.last is None else self._hour.last
        minute = int(at_s) // MINUTE_S if self._day.last is None else self._day.last
        hour_end, day_end = iso(at_s - second), iso(max(at_s - (minute + 1) * MINUTE_S, 0.0))

        def made() -> dict[str, Json]:
            return {
                "hour": {"end": hour_end, "step_s": 1, **{name: _listed(column) for name, column in hour.items()}},
                "day": {"end": day_end, "step_s": MINUTE_S, **{name: _listed(column) for name, column in day.items()}},
            }

        return made


def _listed(column: array[float]) -> list[Json]:
    return [None if math.isnan(number) else round(number, 2) for number in column]
