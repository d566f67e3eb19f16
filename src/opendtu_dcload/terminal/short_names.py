"""Names of devices, as short as a line wants them, and still distinct."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import takewhile

from opendtu_dcload.terminal.plain_text import beginning, columns, printable

LONGEST = 10
"""Columns of a short name: three of them and the rest of a line fit into 80."""


def short_names(names: Mapping[str, str], longest: int = LONGEST) -> dict[str, str]:
    """Return for each serial a printable name of at most `longest` columns; all of them are distinct.

    Args:
        names: what each device is called, by serial; empty = it has no name.
        longest: columns that a name may take.
    """
    whole = [printable(name).strip() or serial for serial, name in names.items()]
    for short in _ways(whole, longest):
        if all(short) and len(set(short)) == len(short) and max(map(columns, short), default=0) <= longest:
            return dict(zip(names, short, strict=True))
    return {serial: str(number) for number, serial in enumerate(names, start=1)}


def _ways(whole: list[str], longest: int) -> Iterator[list[str]]:
    """Yield ways to shorten all of the names, the best one first."""
    differing = _without_common(whole)
    yield differing
    yield [beginning(name, longest).strip() for name in whole]
    yield [beginning(name, longest).strip() for name in differing]
    yield [_end(name, longest).strip() for name in whole]


def _without_common(names: list[str]) -> list[str]:
    """Leave out the words with which all names begin, and those with which all end."""
    words = [name.split() for name in names]
    if len(words) < 2:
        return names
    for cut in (_from_first, _from_last):
        words = cut(words)
    return [" ".join(left) for left in words]


def _from_first(words: list[list[str]]) -> list[list[str]]:
    common = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*words, strict=False)))
    return [name[common:] for name in words]


def _from_last(words: list[list[str]]) -> list[list[str]]:
    return [name[::-1] for name in _from_first([name[::-1] for name in words])]


def _end(name: str, longest: int) -> str:
    return beginning(name[::-1], longest)[::-1]
