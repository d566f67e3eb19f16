"""A CSV table as spreadsheets, meters and home automations write it."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

DECIMAL_COMMA_BESIDE = ";"
"""Between the fields where a comma is a decimal sign."""
SEPARATORS = (DECIMAL_COMMA_BESIDE, "\t", ",")
"""In this order."""
MISSING = frozenset({"", "unavailable", "unknown", "null", "none", "nan", "n/a", "-", "--"})
"""What stands where nothing was measured."""
UNIT_LINES = 2
"""So far below the names units may stand in a line of their own, with further parts of the names between them."""
LONGEST_NAME = 60
"""Of a column; what comes after it tells nobody more."""

_UNIT = re.compile(r"[\[(]?k?Wh?[\])]?")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells below names."""

    names: tuple[str, ...]
    rows: Sequence[tuple[int, Sequence[str]]]
    """The number of each row's line in the file, and as many cells as there are names."""
    separator: str = SEPARATORS[-1]
    """Between the fields of a line."""

    def column(self, place: int) -> list[str]:
        """Return the cells of a column."""
        return [cells[place] for _, cells in self.rows]


def read_table(text: str) -> Table:
    """Return the table in a text; without names in its first line the columns are called by their numbers.

    Raises:
        ValueError: it is none.
    """
    lines = text.removeprefix("\N{BYTE ORDER MARK}").splitlines()
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip() and line[0] != "#"]
    if numbered and (mark := re.fullmatch(r"sep=(.)", numbered[0][1].strip())):  # Excel's own first line
        numbered, marked = numbered[1:], mark[1]
    else:
        marked = ""
    if not numbered:
        raise ValueError("there are no lines in it")
    separator = marked or next((sign for sign in SEPARATORS if sign in numbered[0][1]), ",")
    rows = [(number, _cells(line, separator, number)) for number, line in numbered]
    names = [name[:LONGEST_NAME] for name in rows[0][1]]
    if all(_is_value(cell) for cell in names):
        names = [f"column {number}" for number in range(1, len(names) + 1)]
    else:  # InfluxDB repeats it above each part of an answer
        rows = [(number, cells) for number, cells in rows if cells != rows[0][1]]
    for number, cells in rows:
        if len(cells) > len(names):
            advice = "delete what stands above the columns' names, write decimals with a point, or ; between the fields"
            raise ValueError(f"line {number} has more fields than the first line: {advice}")
        if len(cells) < len(names):
            raise ValueError(f"line {number} has fewer fields than the first line: complete it, or delete it")
    above = [cells for _, cells in takewhile(lambda row: _may_be_names(row[1]), rows[:UNIT_LINES])]
    units = next((n for n, cells in enumerate(above, start=1) if _are_units(cells)), 0)
    parts = zip(names, *(cells for _, cells in rows[:units]), strict=True)
    return Table(tuple(" ".join(filter(None, part)) for part in parts), rows[units:], separator)


def is_missing(cell: str) -> bool:
    """Tell whether a cell says that nothing was measured."""
    return cell.strip().lower() in MISSING


def _cells(line: str, separator: str, number: int) -> list[str]:
    try:
        (cells,) = csv.reader([line], delimiter=separator)
    except (csv.Error, ValueError) as err:
        raise ValueError(f"line {number} is no line of a CSV file ({err}): delete it") from err
    return [cell.strip(' "') for cell in cells]


def _may_be_names(cells: Sequence[str]) -> bool:
    """Tell whether nothing was measured in a line, nor could have been."""
    return not any(_is_value(cell) or (cell and is_missing(cell)) for cell in cells)


def _are_units(cells: Sequence[str]) -> bool:
    return any(map(_UNIT.fullmatch, cells)) and not any(re.search(r"\d", cell) for cell in cells)


def _is_value(cell: str) -> bool:
    return bool(re.search(r"\d", cell)) and re.fullmatch(r"[-+\d.,:/TZ' ]+", cell) is not None
