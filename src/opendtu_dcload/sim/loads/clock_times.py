"""Times as they stand in a table: seconds, Unix time, local time with or without daylight saving, UTC."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

from opendtu_dcload.sim.loads.number_forms import decimal_sign, number_of

DAY_S = 86400
HOUR_S = 3600
UNIX_FROM_S, UNIX_UNTIL_S = 1e8, 4.07e9
"""Numbers from here on are seconds since 1970; smaller ones begin wherever they like."""
UNIX_PER_S = (1e9, 1e6, 1e3)
"""How often they may count within a second."""
SERIAL_DAYS = range(36526, 73050)
"""2000 to 2099 as a spreadsheet counts: days since the end of 1899, the time as decimals."""
SERIAL_STEP_DAYS = 0.05
"""Further apart on average, such numbers are seconds."""
SERIAL_BEGIN = datetime(1899, 12, 30)  # noqa: DTZ001  a spreadsheet's times are local ones
LAST_YEAR = 2099
MONTHS = 12
SUNDAY = 6
NIGHT_S = (HOUR_S // 2, 4 * HOUR_S)
"""In these hours clocks are changed."""
FORMS = "2026-03-01 17:30:00, 01.03.2026 17:30, 17:30:00, seconds or Unix time"

_DAY_FIRST = re.compile(
    r"(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([AaPp]\.?[Mm]\.?)?"
)
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([AaPp]\.?[Mm]\.?)?")


@dataclass(frozen=True, slots=True)
class Times:
    """When the rows of a table were measured."""

    seconds: list[float]
    """Since midnight of `first_day`, or since whatever the source counts from."""
    first_day: date | None
    notes: tuple[str, ...] = ()


def times_of(cells: Sequence[str], lines: Sequence[int], name: str) -> Times:
    """Return the times in a column.

    Args:
        cells: at least one.
        lines: the number of each cell's line, for messages.
        name: of the column; one that says UTC is believed.

    Raises:
        ValueError: one is no time, or they do not rise.
    """
    read = _reader(cells)
    if read is None:
        raise ValueError(f"line {lines[0]}: {cells[0][:40]!r} is no time; write it as one of: {FORMS}")
    moments = []
    for line, cell in zip(lines, cells, strict=True):
        moment = _read(read, cell)
        if moment is None:
            raise ValueError(f"line {line}: {cell[:40]!r} is no time like those before it; correct it, or delete it")
        moments.append(moment)
    numbers = [moment for moment in moments if isinstance(moment, float)]
    if numbers:
        return _local(_of_spreadsheet(numbers), lines) if _is_of_spreadsheet(numbers) else _counted(numbers, lines)
    dated = [moment for moment in moments if isinstance(moment, datetime)]
    if strange := [line for line, m in zip(lines, dated, strict=True) if not 1970 < m.year < LAST_YEAR]:
        raise ValueError(f"line {strange[0]}: a year in which nobody measured; correct it")
    if "utc" in name.lower():
        dated = [moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in dated]
    zoned = [moment.tzinfo is not None for moment in dated]
    if any(zoned) and not all(zoned):
        wrong = lines[zoned.index(not zoned[0])]
        raise ValueError(f"line {wrong}: times with and without a time zone are mixed; write all of them in one form")
    if zoned[0]:
        return _since_midnight([moment.timestamp() for moment in dated], lines)
    return _local(dated, lines, _order_notes(read, cells))


def is_time(cell: str) -> bool:
    """Tell whether a cell holds a date with a time, or a time; a bare number may be one or not."""
    read = _reader([cell])
    return read is not None and read is not _number and _read(read, cell) is not None


def is_date(cell: str) -> bool:
    """Tell whether a cell holds a date without a time."""
    return re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./-]\d{1,2}[./-](\d{4}|\d{2})", cell) is not None


Reader = Callable[[str], "float | datetime | None"]


def _reader(cells: Sequence[str]) -> Reader | None:
    """Return what reads times of the form of the first one; day or month first is told by all of them.

    Where they do not tell it, hours to twelve are American, and dots are not.
    """
    first = cells[0].strip()
    if match := _DAY_FIRST.fullmatch(first):
        is_american = match[7] is not None and "." not in first[: match.end(3)]
        return (_day_first, _month_first)[is_american if (told := _is_month_first(cells)) is None else told]
    return next((read for read in (_iso, _time, _number) if _read(read, first) is not None), None)


def _is_month_first(cells: Sequence[str]) -> bool | None:
    """Tell whether dates begin with the month; None when no number in them is above 12."""
    matches = [match for cell in cells if (match := _DAY_FIRST.fullmatch(cell.strip()))]
    if any(int(match[2]) > MONTHS for match in matches):
        return True
    return False if any(int(match[1]) > MONTHS for match in matches) else None


def _order_notes(read: Reader, cells: Sequence[str]) -> tuple[str, ...]:
    """Say in which order dates were read that may be read in both."""
    match = _DAY_FIRST.fullmatch(first := cells[0].strip())
    if match is None or "." in first[: match.end(3)] or _is_month_first(cells) is not None:
        return ()
    order = "day" if read is _day_first else "month"
    return (f"Dates such as {first[: match.end(3)]} were read {order} first: the file does not tell.",)


def _read(read: Reader, cell: str) -> float | datetime | None:
    try:
        return read(cell.strip())
    except (ValueError, OverflowError):
        return None


def _iso(cell: str) -> datetime | None:
    text = cell.replace("/", "-")
    text = text.removesuffix(" UTC") + "+00:00" if text.endswith(" UTC") else text
    return datetime.fromisoformat(text) if ":" in text and "-" in text else None


def _day_first(cell: str) -> datetime | None:
    return _dated(cell, 1, 2)


def _month_first(cell: str) -> datetime | None:
    return _dated(cell, 2, 1)


def _dated(cell: str, day: int, month: int) -> datetime | None:
    if (match := _DAY_FIRST.fullmatch(cell)) is None:
        return None
    year, hour = int(match[3]), _hour(match[4], match[7])
    return datetime(  # noqa: DTZ001  what stands there is a local time
        year + 2000 if year < 100 else year, int(match[month]), int(match[day]), hour, int(match[5]), int(match[6] or 0)
    )


def _time(cell: str) -> float | None:
    if (match := _TIME.fullmatch(cell)) is None:
        return None
    moment = time(_hour(match[1], match[4]), int(match[2]), int(match[3] or 0))
    return float(moment.hour * HOUR_S + moment.minute * 60 + moment.second)


def _hour(text: str, half: str | None) -> int:
    """Return the hour of a day of which both halves may count to twelve."""
    return int(text) if half is None else int(text) % 12 + (12 if half[0] in "pP" else 0)


def _number(cell: str) -> float | None:
    return number_of(cell, decimal_sign([cell]))


def _is_of_spreadsheet(numbers: Sequence[float]) -> bool:
    first, last = numbers[0], numbers[-1]
    if not SERIAL_DAYS.start <= first < last < SERIAL_DAYS.stop or not all(first <= day <= last for day in numbers):
        return False
    return last - first <= SERIAL_STEP_DAYS * (len(numbers) - 1)


def _of_spreadsheet(days: Sequence[float]) -> list[datetime]:
    return [SERIAL_BEGIN + timedelta(seconds=round(day * DAY_S)) for day in days]


def _counted(numbers: Sequence[float], lines: Sequence[int]) -> Times:
    """Return seconds of any beginning, or Unix time until the last year."""
    per_s = next((per_s for per_s in UNIX_PER_S if numbers[0] >= UNIX_FROM_S * per_s), 1.0)
    numbers = [number / per_s for number in numbers]
    if not all(abs(number) <= UNIX_UNTIL_S for number in numbers):
        raise ValueError(f"line {lines[0]}: a time beyond the year {LAST_YEAR} cannot be; correct the column")
    if numbers[0] >= UNIX_FROM_S:
        return _since_midnight(numbers, lines)
    return Times(_rising(_over_midnight(numbers), lines), None)


def _over_midnight(seconds: Sequence[float]) -> list[float]:
    """Let a time of day that falls back to the beginning of a day belong to the next one."""
    late_s, told = 0.0, []
    for before, now in pairwise([seconds[0], *seconds]):
        if before - now > DAY_S / 2 and now >= 0 and before < DAY_S:
            late_s += DAY_S
        told.append(now + late_s)
    return told


def _since_midnight(unix_s: Sequence[float], lines: Sequence[int]) -> Times:
    """Return times that are the same everywhere, by the clock of this computer."""
    try:
        day = datetime.fromtimestamp(unix_s[0]).astimezone().date()
        midnight_s = datetime.combine(day, time()).astimezone().timestamp()
    except (ValueError, OverflowError, OSError) as err:
        raise ValueError(f"line {lines[0]}: a time that no calendar has; correct it") from err
    return Times(_rising([at_s - midnight_s for at_s in unix_s], lines), day)


def _local(moments: Sequence[datetime], lines: Sequence[int], notes: tuple[str, ...] = ()) -> Times:
    """Return local times as if the clock had never been changed."""
    midnight = datetime.combine(moments[0].date(), time())
    seconds = [(moment - midnight).total_seconds() for moment in moments]
    steps_s = [after - before for before, after in pairwise(seconds)]
    usual_s = sorted(steps_s)[len(steps_s) // 2] if steps_s else 1.0
    moved_s, told, changes = 0.0, seconds[:1], []
    for moment, now_s, step in zip(moments, seconds[1:], steps_s, strict=False):
        if not moved_s and _may_change(moment):
            if -HOUR_S <= step < 0:
                moved_s = HOUR_S
                changes.append("The clock went back an hour in it, as at the end of daylight saving: both hours count.")
            elif moment.weekday() == SUNDAY and abs(step - HOUR_S - usual_s) <= usual_s / 2 and usual_s < HOUR_S / 2:
                moved_s = -HOUR_S
                changes.append(
                    "The clock went on an hour in it, as at the beginning of daylight saving: that hour is no gap."
                )
        told.append(now_s + moved_s)
    return Times(_rising(told, lines), midnight.date(), (*changes, *notes))


def _may_change(moment: datetime) -> bool:
    return NIGHT_S[0] <= moment.hour * HOUR_S + moment.minute * 60 <= NIGHT_S[1]


def _rising(seconds: list[float], lines: Sequence[int]) -> list[float]:
    for line, (before, after) in zip(lines[1:], pairwise(seconds), strict=True):
        if after < before:
            raise ValueError(f"line {line}: the time does not rise; sort the file by time")
    return seconds
