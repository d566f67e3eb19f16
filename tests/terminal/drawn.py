"""A terminal as far as the program draws on it: it wraps, scrolls, and knows a few control sequences and no others."""

from __future__ import annotations

import re

from opendtu_dcload.terminal.plain_text import columns as columns_of

TOKEN = re.compile(r"\x1b\[(\??\d*)([A-Za-z])|(.)", re.DOTALL)


class Drawn:
    """What stands on it, and what has left it at the top."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self.columns, self.lines = columns, lines
        self.scrolled: list[str] = []
        self.page: list[list[str]] = [[] for _ in range(lines)]
        self._y = self._x = 0
        self._wraps = True

    def seen(self) -> list[str]:
        """Return the lines down to the last one that is not empty."""
        lines = ["".join(cells).rstrip() for cells in self.page]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def resize(self, columns: int, lines: int) -> None:
        """Become as large; what is too wide now wraps, as in most terminals."""
        kept = self.page[: self._y + 1]
        self.columns, self.lines = columns, lines
        wrapped = [row[at : at + columns] for row in kept for at in range(0, max(len(row), 1), columns)]
        surplus = max(len(wrapped) - lines, 0)
        self.scrolled += ["".join(row).rstrip() for row in wrapped[:surplus]]
        self.page = wrapped[surplus:]
        self._y, self._x = len(self.page) - 1, 0
        self.page += [[] for _ in range(lines - len(self.page))]

    def feed(self, text: str) -> None:
        """Take what a program sends."""
        for token in TOKEN.finditer(text):
            argument, sequence, letter = token.groups()
            if letter is None:
                self._obey(argument, sequence)
            elif letter == "\n":
                self._feed_line()
            elif letter == "\r":
                self._x = 0
            else:
                assert letter.isprintable(), f"{letter!r} came to the terminal"
                self._put(letter)

    def _obey(self, argument: str, sequence: str) -> None:
        if sequence == "A":
            self._y = max(self._y - int(argument), 0)
        elif sequence == "H":
            self._x = self._y = 0
        elif sequence == "K":
            del self.page[self._y][self._x :]
        elif sequence == "J":
            assert not argument, "a whole page is cleared: what stood there is lost"
            del self.page[self._y][self._x :]
            self.page[self._y + 1 :] = [[] for _ in range(self.lines - self._y - 1)]
        elif argument == "?7":
            self._wraps = sequence == "h"
        else:
            assert sequence == "m", f"unknown: {argument}{sequence}"

    def _put(self, letter: str) -> None:
        width = columns_of(letter)
        if self._x + width > self.columns:
            if not self._wraps:
                return
            self._feed_line()
        row = self.page[self._y]
        row += [" "] * (self._x - len(row))
        row[self._x : self._x + width] = [letter, *[""] * (width - 1)]
        self._x += width

    def _feed_line(self) -> None:
        self._x = 0
        if self._y + 1 < self.lines:
            self._y += 1
            return
        self.scrolled.append("".join(self.page.pop(0)).rstrip())
        self.page.append([])
