"""Which columns of a table are time and power, and what they say: recognised by what stands in them, then by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from opendtu_dcload.sim.loads.clock_times import Times, is_date, is_time, times_of
from opendtu_dcload.sim.loads.measured_load import MeasuredLoad, checked, gaps_of, resolution_notes, step_s
from opendtu_dcload.sim.loads.number_forms import decimal_sign, decimal_sign_of_powers, number_of, sign_told
from opendtu_dcload.sim.loads.table import DECIMAL_COMMA_BESIDE, Table, is_missing

Rows = Sequence[tuple[int, Sequence[str]]]
SENSORS = ("entity_id", "_field")
"""Columns that say whose value a line holds: in Home Assistant's history, and as InfluxDB has it."""
INFLUX_TIME, INFLUX_SERIES = "_time", "table"
WORDS = re.compile(
    "power|leistung|puissance|potencia|potenza|potência|vermogen|moc|effe[kc]t|teho|výkon|load|last|verbrauch|consumption|"
    "consommation|consumo|verbruik|grid|netz|bezug|state|value|wert",
    re.IGNORECASE,
)
"""In a name that says neither W nor kW, in the languages of those who have such inverters."""
_KILO = re.compile(r"(?<![a-z])k(ilo)?w(att)?(?![a-z])", re.IGNORECASE)
_WATT = re.compile(r"(?<![a-z])w(att)?(?![a-z])", re.IGNORECASE)
_ENERGY = re.compile(r"(?<![a-z])(k(ilo)?)?w(att)?[ -]?(h|hours?|stunden?)(?![a-z])", re.IGNORECASE)
LIKE_KW = 50.0
"""No house stays below this many W: powers without a unit that do are kW, or something else."""
LONGEST_LIST = 500
"""Letters of a list of names in a message."""
LOOKED_AT = 200
"""Rows that show what a column holds: half of them are enough, what is wrong in the others is told with its line."""


def power_load(table: Table, column: str | None = None) -> MeasuredLoad:
    """Return the load in a table.

    Args:
        table: with a column of times and one of powers.
        column: the name of the power's column, or of the sensor in Home Assistant's history; None = find it.

    Raises:
        ValueError: they cannot be told, or there is a mistake in them.
    """
    table, column = _of_one_sensor(table, column)
    if {INFLUX_TIME, INFLUX_SERIES} <= set(table.names) and len(
        set(table.column(table.names.index(INFLUX_SERIES)))
    ) > 1:
        raise ValueError("it holds several series of InfluxDB: let the query give one of them, or their sum")
    if not table.rows:
        raise ValueError("there are no lines below the first one")
    table, time = _time_column(table)
    power = _power_column(table, time, column)
    name = table.names[power]
    factor = 1000.0 if _KILO.search(name.replace("_", " ")) else 1.0
    kept = [(line, cells) for line, cells in table.rows if not is_missing(cells[power])]
    if not kept:
        raise ValueError(f"column {name!r} has no number in it: name another one with --column")
    decimal = _decimal_sign(table, kept, power, is_kilo=factor > 1)
    values = zip(kept, _numbers(name, kept, power, decimal), strict=True)
    powers_w = [_watts(cells[power], factor) * value for (_, cells), value in values]
    has_units = all(cells[power].endswith("W") for _, cells in kept)
    if (
        not has_units
        and factor == 1.0
        and not _WATT.search(name.replace("_", " "))
        and max(map(abs, powers_w)) < LIKE_KW
    ):
        raise ValueError(
            f"column {name!r} names no unit and holds nothing above {LIKE_KW:.0f}: write W or kW in its name"
        )
    lines = [line for line, _ in kept]
    times = times_of([cells[time] for _, cells in kept], lines, table.names[time])
    missing = len(table.rows) - len(kept)
    skipped = (f"Lines without a value: {missing}; the one before them holds.",) if missing else ()
    told = f"column {name!r} in {'W or kW as its cells say' if has_units else 'kW' if factor > 1 else 'W'}"
    return load_of(times, powers_w, told, skipped)


def _watts(cell: str, otherwise: float) -> float:
    """Return how many W the number in a cell counts in: as the cell itself says, `otherwise` as its column does."""
    return 1000.0 if cell.endswith("kW") else 1.0 if cell.endswith("W") else otherwise


def load_of(
    times: Times, powers_w: Sequence[float], told: str, notes: tuple[str, ...] = (), holds_s: int | None = None
) -> MeasuredLoad:
    """Return a load from times and powers; a power counts for `holds_s`, by default for as long as is usual.

    Raises:
        ValueError: a power is none of a house.
    """
    rows = checked((int(at_s // 1), power_w) for at_s, power_w in zip(times.seconds, powers_w, strict=True))
    usual_s = step_s(rows)
    is_coarse = bool(resolution := resolution_notes(rows))
    end_s = rows[-1][0] + (holds_s or (usual_s if is_coarse else 1))
    return MeasuredLoad(rows, end_s, told, times.first_day, (*resolution, *times.notes, *notes), gaps_of(rows, holds_s))


def find_column(names: Sequence[str], wanted: str) -> int:
    """Return the place of the column that a user names, by its whole name or a part that no other one has.

    Raises:
        ValueError: there is none, or several.
    """
    lowered, wanted_lower = [name.lower() for name in names], wanted.strip().lower()
    places = [number for number, name in enumerate(lowered) if name == wanted_lower]
    places = places or [number for number, name in enumerate(lowered) if wanted_lower in name]
    if len(places) != 1:
        found = "several columns" if places else "no column"
        raise ValueError(f"--column: {found} {wanted[:60]!r}; write one of: {_list(names)}")
    return places[0]


def _of_one_sensor(table: Table, column: str | None) -> tuple[Table, str | None]:
    key = next((name for name in SENSORS if name in table.names), None)
    if key is None:
        return table, column
    place = table.names.index(key)
    sensors = list(dict.fromkeys(table.column(place)))
    if len(sensors) < 2:
        return table, None if column in sensors else column
    if column not in sensors:
        raise ValueError(f"it holds several sensors: name one with --column: {_list(sensors)}")
    return replace(table, rows=[(line, cells) for line, cells in table.rows if cells[place] == column]), None


def _time_column(table: Table) -> tuple[Table, int]:
    """Return the place of the times; a date and a time beside it become one column."""
    looked_at = table.rows[:LOOKED_AT]
    columns = range(len(table.names))
    for place in columns:
        if place + 1 in columns and all(is_date(cells[place]) and is_time(cells[place + 1]) for _, cells in looked_at):
            joined = [
                (line, [*cells[:place], f"{cells[place]} {cells[place + 1]}", *cells[place + 2 :]])
                for line, cells in table.rows
            ]
            first, second = table.names[place : place + 2]
            names = (*table.names[:place], f"{first} {second}", *table.names[place + 2 :])
            return replace(table, names=names, rows=joined), place
    if INFLUX_TIME in table.names:  # beside `_start` and `_stop`, which are the query's
        return table, table.names.index(INFLUX_TIME)
    for place in columns:
        if 2 * sum(is_time(cells[place]) for _, cells in looked_at) >= len(looked_at):
            return table, place
    if "t_s" in table.names:
        return table, table.names.index("t_s")
    for place in columns:
        if not _says_power(table.names[place]) and _rises([cells[place] for _, cells in looked_at]):
            return table, place
    advice = "one is wanted with dates and times, or with seconds that rise, and with names in the first line"
    raise ValueError(f"no column holds times ({_list(table.names)}): {advice}")


def _says_power(name: str) -> bool:
    spaced = name.replace("_", " ")
    return bool(_KILO.search(spaced) or _WATT.search(spaced))


def _rises(cells: Sequence[str]) -> bool:
    numbers = [number_of(cell, decimal_sign(cells)) for cell in cells]
    known = [number for number in numbers if number is not None]
    return len(known) == len(cells) and known == sorted(known) and known[0] < known[-1]


def _power_column(table: Table, time: int, column: str | None) -> int:
    names = table.names
    if column is not None:
        place = find_column(names, column)
        if _ENERGY.search(names[place].replace("_", " ")):
            raise ValueError(f"column {names[place]!r} holds energies: one with powers in W or kW is wanted")
        return place
    looked_at = table.rows[:LOOKED_AT]
    numeric = [n for n in range(len(names)) if n != time and _is_numeric([cells[n] for _, cells in looked_at])]
    spaced = {n: names[n].replace("_", " ") for n in numeric}
    powers = [n for n in numeric if not _ENERGY.search(spaced[n])]
    if numeric and not powers:
        raise ValueError(f"it holds energies only ({_list(names)}): a column with powers in W or kW is wanted")
    exact = [n for n in powers if names[n] == "power_w"]
    united = [n for n in powers if _says_power(names[n])]
    worded = [n for n in powers if WORDS.search(names[n])]
    for found in (exact, powers, united, worded):
        if len(found) == 1:
            return found[0]
    if not powers:
        raise ValueError(f"no column holds powers ({_list(names)}): one with W or kW is wanted")
    raise ValueError(f"several columns could be the power: name one with --column: {_list([names[n] for n in powers])}")


def _is_numeric(cells: Sequence[str]) -> bool:
    known = [cell for cell in cells if not is_missing(cell)]
    decimal = decimal_sign(known)
    numbers = sum(number_of(cell, decimal) is not None for cell in known)
    return bool(known) and 2 * numbers >= len(known)


def _decimal_sign(table: Table, rows: Rows, place: int, *, is_kilo: bool) -> str:
    cells = [cells[place] for _, cells in rows]
    others = (cell for _, row in table.rows[:LOOKED_AT] for number, cell in enumerate(row) if number != place)
    in_file = sign_told(others) or ("," if table.separator == DECIMAL_COMMA_BESIDE else None)
    sign = decimal_sign_of_powers(cells, in_file, is_kilo=is_kilo or any(cell.endswith("kW") for cell in cells))
    if sign is None:
        line, cell = next((line, row[place]) for line, row in rows if "." in row[place] or "," in row[place])
        may_be = f"{re.sub('[.,]', '', cell)} or {cell.replace(',', '.')}"
        advice = "export it without a sign between thousands, or write kW in the name where it is kW"
        raise ValueError(f"line {line}: {cell!r} in column {table.names[place]!r} may be {may_be}: {advice}")
    return sign


def _numbers(name: str, rows: Rows, place: int, decimal: str) -> list[float]:
    found = []
    for line, cells in rows:
        number = number_of(cells[place], decimal)
        if number is None:
            raise ValueError(
                f"line {line}: {cells[place][:40]!r} in column {name!r} is no number; correct it, or delete it"
            )
        found.append(number)
    return found


def _list(names: Sequence[str]) -> str:
    text = ", ".join(map(repr, names))
    return text if len(text) <= LONGEST_LIST else f"{text[:LONGEST_LIST]} ..."
