"""A load as it was measured: when it was how high, and what must be said of that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby, pairwise

MAX_SECONDS = 8 * 86400
MAX_LOAD_W = 100_000.0
DAY_S = 86400
COARSE_S = 30
"""Means over this time and more hide what switches within it."""
REGULAR_SHARE = 0.9
LONG_S, LONG_SILENT_S = 300, 3600
"""From then on nothing was measured; the latter where only changes are written, as home automations do."""

Rows = Sequence[tuple[int, float]]
"""Second and power in W, which holds until the next row; the seconds rise."""
Spans = tuple[tuple[int, int], ...]
"""From and to which second, rising."""


@dataclass(frozen=True, slots=True)
class MeasuredLoad:
    """What a source tells; negative = surplus solar."""

    rows: Rows
    """Seconds since midnight of `first_day`; since the source's own beginning without one."""
    end_s: int
    """Until when the last row holds."""
    told: str
    """Where in the source the powers stand, for people."""
    first_day: date | None = None
    notes: tuple[str, ...] = ()
    """What the reader of a result must know, one sentence each."""
    gaps: Spans = ()
    """When nothing was measured, so that the row before holds for longer than it can tell."""

    def missing_s(self, first_s: int, end_s: int) -> int:
        """Return for how long nothing was measured between two times, in s."""
        return sum(until_s - from_s for from_s, until_s in _clipped(self.gaps, first_s, end_s))

    @property
    def start_s(self) -> int:
        """When it begins."""
        return self.rows[0][0]

    @property
    def days(self) -> list[date]:
        """Return the days that it has something of; none when nobody knows the date."""
        if self.first_day is None:
            return []
        first, last = self.start_s // DAY_S, (self.end_s - 1) // DAY_S
        return [self.first_day + timedelta(days=number) for number in range(first, last + 1)]

    def within(self, first_s: int, end_s: int) -> MeasuredLoad:
        """Return the part between two times.

        Raises:
            ValueError: there is none.
        """
        begin_s, last_s = max(first_s, self.start_s), min(end_s, self.end_s)
        if begin_s >= last_s:
            raise ValueError("there is nothing in this time")
        rows = [(at_s, power_w) for at_s, power_w in self.rows if begin_s < at_s < last_s]
        before_w = next(power_w for at_s, power_w in reversed(self.rows) if at_s <= begin_s)
        return replace(self, rows=[(begin_s, before_w), *rows], end_s=last_s, gaps=_clipped(self.gaps, begin_s, last_s))

    def per_second_w(self) -> list[float]:
        """Return one value per second.

        Raises:
            ValueError: it is longer than 8 days.
        """
        if self.end_s - self.start_s > MAX_SECONDS + 1:
            raise ValueError(f"it is longer than {MAX_SECONDS} s: keep less of it")
        load_w: list[float] = []
        for (at_s, power_w), (until_s, _) in pairwise([*self.rows, (self.end_s, 0.0)]):
            load_w.extend([power_w] * (until_s - at_s))
        return load_w


def step_s(rows: Rows) -> int:
    """Return the usual time between two rows in s, at least 1."""
    steps_s = sorted(after - before for (before, _), (after, _) in pairwise(rows))
    return max(1, round(steps_s[(len(steps_s) - 1) // 2])) if steps_s else 1


def resolution_notes(rows: Rows) -> tuple[str, ...]:
    """Say what rows that are too far apart hide."""
    usual_s = step_s(rows)
    if usual_s < COARSE_S or not _is_regular(rows, usual_s):
        return ()
    hides = "what switches within that time is smoothed away"
    bounds = "exported, imported with room and commands are lower bounds of what the house would really have shown"
    return (f"Each value is the mean over {usual_s} s: {hides}, so {bounds}.",)


def gaps_of(rows: Rows, holds_s: int | None = None) -> Spans:
    """Return between which rows nothing was measured.

    Args:
        rows: of one source.
        holds_s: how long a row holds; None = it is told by the others.
    """
    usual_s = step_s(rows)
    longest_s = holds_s or max(2 * usual_s, LONG_S if _is_regular(rows, usual_s) else LONG_SILENT_S)
    return tuple(
        (before_s + (holds_s or usual_s), after_s)
        for (before_s, _), (after_s, _) in pairwise(rows)
        if after_s - before_s > longest_s
    )


def _is_regular(rows: Rows, usual_s: int) -> bool:
    steps_s = [after - before for (before, _), (after, _) in pairwise(rows)]
    return sum(step == usual_s for step in steps_s) >= REGULAR_SHARE * len(steps_s)


def checked(rows: Iterable[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return rows of which no two have the same second: the last one counts.

    Raises:
        ValueError: there is none, or a power is none of a house.
    """
    by_second = dict(rows)
    if not by_second:
        raise ValueError("there are no lines with a time and a power in it")
    if wrong := next((w for w in by_second.values() if not abs(w) <= MAX_LOAD_W), None):  # nor is this true of nan
        raise ValueError(f"a power of {wrong:g} W is outside -{MAX_LOAD_W:.0f} to {MAX_LOAD_W:.0f}: is its unit right?")
    return list(by_second.items())


def total(loads: Sequence[MeasuredLoad]) -> MeasuredLoad:
    """Return the sum of loads, such as of three phases, for the time that all of them have.

    Raises:
        ValueError: there is no such time, or some have a date and others none.
    """
    first, *others = loads
    if not others:
        return first
    if len({load.first_day is None for load in loads}) > 1:
        raise ValueError("some of the files have a date and others have none: they cannot be added")
    days = [load.first_day for load in loads if load.first_day is not None]
    day = min(days, default=None)
    moved = [_from(load, day) for load in loads]
    start_s, end_s = max(load.start_s for load in moved), min(load.end_s for load in moved)
    if start_s >= end_s:
        raise ValueError("the files have no time in common: they cannot be added")
    return MeasuredLoad(
        rows=list(_added([load.within(start_s, end_s).rows for load in moved])),
        end_s=end_s,
        told=f"the sum of {len(loads)} files, each of it {first.told}",
        first_day=day,
        notes=tuple(dict.fromkeys(note for load in loads for note in load.notes)),
        gaps=_united(_clipped(load.gaps, start_s, end_s) for load in moved),
    )


def _from(load: MeasuredLoad, day: date | None) -> MeasuredLoad:
    if day is None or load.first_day is None:
        return load
    later_s = (load.first_day - day).days * DAY_S
    return replace(
        load,
        rows=[(at_s + later_s, w) for at_s, w in load.rows],
        end_s=load.end_s + later_s,
        first_day=day,
        gaps=tuple((from_s + later_s, until_s + later_s) for from_s, until_s in load.gaps),
    )


def _clipped(spans: Spans, first_s: int, end_s: int) -> Spans:
    clipped = ((max(from_s, first_s), min(until_s, end_s)) for from_s, until_s in spans)
    return tuple((from_s, until_s) for from_s, until_s in clipped if from_s < until_s)


def _united(parts: Iterable[Spans]) -> Spans:
    """Return when at least one of the parts has a gap."""
    united: list[tuple[int, int]] = []
    for from_s, until_s in sorted(span for part in parts for span in part):
        if united and from_s <= united[-1][1]:
            united[-1] = (united[-1][0], max(until_s, united[-1][1]))
        else:
            united.append((from_s, until_s))
    return tuple(united)


def _added(parts: Sequence[Rows]) -> Iterator[tuple[int, float]]:
    """Yield the sum at each second at which one of the parts changes; all begin at the same one."""
    now_w = [0.0] * len(parts)
    changes = sorted((at_s, number, power_w) for number, rows in enumerate(parts) for at_s, power_w in rows)
    for at_s, together in groupby(changes, lambda change: change[0]):
        for _, number, power_w in together:
            now_w[number] = power_w
        yield at_s, sum(now_w)
