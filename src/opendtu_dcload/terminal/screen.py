"""Some rows of a terminal that are drawn again and again in their place, and a log that goes on above them."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TextIO

from opendtu_dcload.terminal.plain_text import beginning, columns, printable

UNKNOWN_SIZE = os.terminal_size((80, 24))
"""What a terminal is that does not tell its size."""

# Control sequences of ECMA-48, and DEC's private mode 7, the line wrap.
CLEAR_BELOW, CLEAR_ROW, HOME = "\x1b[J", "\x1b[K", "\x1b[H"
NO_WRAP, WRAP = "\x1b[?7l", "\x1b[?7h"


class Colour(IntEnum):
    """Those of ECMA-48 that are legible on white and on black."""

    PLAIN = 0
    RED = 31
    GREEN = 32
    YELLOW = 33
    BLUE = 34
    MAGENTA = 35
    CYAN = 36


Row = Sequence[tuple[str, Colour]]
"""Printable texts of one row, side by side."""


@dataclass(slots=True)
class Screen:
    """Draws rows in place; the cursor rests in the row below them.

    In a terminal that was resized they begin on a clean page: what was there before is to be found above it.
    """

    stream: TextIO
    size: Callable[[], os.terminal_size]
    has_colour: bool
    _rows: Sequence[Row] = ()
    _drawn: int = 0
    """Rows that stand there now."""
    _drawn_for: os.terminal_size | None = None

    def draw(self, rows: Sequence[Row]) -> None:
        """Draw rows in the place of those before; what does not fit into the terminal is left out.

        Raises:
            OSError: the terminal is gone.
        """
        self._rows = rows
        self._write("")

    def say(self, text: str) -> None:
        """Put a text above the rows, where it stays; its lines end with a line feed.

        Raises:
            OSError: the terminal is gone.
        """
        self._write("".join(f"{printable(line)}\n" for line in text.splitlines()))

    def _write(self, above: str) -> None:
        size = self.size()
        if self._drawn_for is not None and size != self._drawn_for:  # what stands there may have been wrapped
            back = "\n" * size.lines + HOME
        else:
            back = f"\x1b[{self._drawn}A\r" if self._drawn else "\r"
        rows = self._rows[: size.lines - 1]
        self._drawn, self._drawn_for = len(rows), size
        drawn = "".join(f"{self._coloured(row, size.columns - 1)}{CLEAR_ROW}\n" for row in rows)
        self.stream.write(f"{back}{CLEAR_BELOW if above else ''}{above}{NO_WRAP}{drawn}{WRAP}{CLEAR_BELOW}")
        self.stream.flush()

    def _coloured(self, row: Row, most: int) -> str:
        parts = []
        for text, colour in row:
            part = beginning(text, most)
            most -= columns(part)
            parts.append(f"\x1b[{colour:d}m{part}\x1b[0m" if self.has_colour and colour and part else part)
        return "".join(parts)

    @contextlib.contextmanager
    def log_above(self) -> Iterator[None]:
        """Let what is logged to the same terminal go above the rows meanwhile."""
        handlers = [
            handler
            for handler in logging.getLogger().handlers
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr and sys.stderr.isatty()
        ]
        before = [handler.setStream(_Above(self)) for handler in handlers]
        try:
            yield
        finally:
            for handler, stream in zip(handlers, before, strict=True):
                handler.setStream(stream)


class _Above(io.TextIOBase):
    """A stream whose texts stand above the rows."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def write(self, text: str) -> int:
        self._screen.say(text)
        return len(text)


def screen_of(stream: TextIO, environ: Mapping[str, str]) -> Screen | None:
    """Return the screen that a stream leads to; None when it is none, or cannot draw in place or show all letters.

    `environ` may say NO_COLOR (https://no-color.org) and TERM.
    """
    is_utf8 = (stream.encoding or "").lower().replace("-", "") == "utf8"
    if not (is_utf8 and stream.isatty()) or environ.get("TERM", "") in {"", "dumb"}:
        return None

    def size() -> os.terminal_size:
        with contextlib.suppress(OSError):
            told = os.get_terminal_size(stream.fileno())
            if told.columns > 1 and told.lines > 1:
                return told
        return UNKNOWN_SIZE

    return Screen(stream, size, has_colour=not environ.get("NO_COLOR"))
