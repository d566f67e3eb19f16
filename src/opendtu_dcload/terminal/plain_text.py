"""Texts from anywhere as a terminal may have them: nothing that steers it, no wider than there is room."""

from __future__ import annotations

import unicodedata

UNPRINTABLE = "?"
CUT = "..."
WIDE = frozenset("WF")
"""Wide and full width, see the Unicode Standard Annex 11."""


def printable(text: str) -> str:
    """Return one line of text without control characters, marks of direction and the like."""
    return "".join(letter if letter.isprintable() else UNPRINTABLE for letter in text)


def columns(text: str) -> int:
    """Return how many columns of a terminal a printable text takes."""
    return sum(_columns(letter) for letter in text)


def cut(text: str, most: int) -> str:
    """Return a printable text in at most so many columns; one that is cut shows it."""
    if columns(text) <= most:
        return text
    return beginning(text, most - len(CUT)) + CUT if most > len(CUT) else beginning(text, most)


def beginning(text: str, most: int) -> str:
    """Return what of a printable text fits into so many columns."""
    used = 0
    for place, letter in enumerate(text):
        used += _columns(letter)
        if used > most:
            return text[:place]
    return text


def _columns(letter: str) -> int:
    if letter.isascii():
        return 1
    if unicodedata.category(letter) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in WIDE else 1
