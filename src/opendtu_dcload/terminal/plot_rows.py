"""Curves in a few rows of a terminal, drawn with the dots of braille letters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from opendtu_dcload.time_words import ago

Points = Sequence[tuple[float, float | None]]
"""Times in s and powers in W; None = not known then."""
Dots = list[tuple[float, float] | None]
"""From where to where a curve goes in each column of dots, in W; None = nothing is known."""

BRAILLE = 0x2800
LEFT_BITS, RIGHT_BITS = (0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08)
"""From the lowest dot up, see the Unicode block Braille Patterns."""
DOTS_UP, DOTS_ACROSS = len(LEFT_BITS), 2
LABEL = 10
"""Columns before the plot."""
LEAST_W = 100.0
"""A plant that rests is a line, not its noise at full height."""


@dataclass(frozen=True, slots=True)
class Window:
    """The time that a plot shows, and in how many columns."""

    first_s: float
    dot_s: float
    """Time of one column of dots."""
    width: int
    """Columns of the terminal for the curve."""

    @classmethod
    def until(cls, last_s: float, dot_s: float, width: int) -> Window:
        """Return the window that ends at a time; its columns stay where they are as time goes on."""
        last = math.floor(last_s / dot_s)
        return cls((last - width * DOTS_ACROSS + 1) * dot_s, dot_s, width)

    @property
    def length_s(self) -> float:
        """How long it is."""
        return self.width * DOTS_ACROSS * self.dot_s

    def dots(self, points: Points) -> Dots:
        """Return from where to where the curve goes in each column, joined to the one before."""
        values_w: list[list[float]] = [[] for _ in range(self.width * DOTS_ACROSS)]
        for at_s, power_w in points:
            place = math.floor((at_s - self.first_s) / self.dot_s + 1e-6)
            if power_w is not None and 0 <= place < len(values_w):
                values_w[place].append(power_w)
        for before, after in pairwise(values_w):
            if before and after:
                after.insert(0, before[-1])
        return [(min(column), max(column)) if column else None for column in values_w]


def panel(name: str, points: Points, window: Window, rows: int) -> list[str]:
    """Return a curve in so many rows: its scale and its name before it. At least 3 rows hold all of both."""
    dots = window.dots(points)
    lowest_w, highest_w = _scale(dots)
    curve = _curve(dots, lowest_w, highest_w, rows)
    labels = [_label(highest_w), *[""] * (rows - 2), _label(lowest_w)]
    labels[rows // 2] = name
    return [f"{label:>{LABEL - 1}} {line}" for label, line in zip(labels, curve, strict=True)]


def time_row(window: Window) -> str:
    """Return the row below the curves that says how long ago they begin."""
    begin = ago(window.length_s)
    return " " * LABEL + begin + f"{'now':>{max(window.width - len(begin), 4)}}"


def _label(power_w: float) -> str:
    return f"{power_w:.0f} W" if abs(power_w) < 1e5 else f"{power_w / 1000:.0f} kW"


def _scale(dots: Dots) -> tuple[float, float]:
    known = [span for span in dots if span is not None]
    lowest_w = min([0.0, *(low for low, _ in known)])
    highest_w = max([0.0, *(high for _, high in known)])
    height_w = max(highest_w - lowest_w, LEAST_W)
    tick_w = 10 ** math.floor(math.log10(height_w)) / 5
    lowest_w, highest_w = math.floor(lowest_w / tick_w) * tick_w, math.ceil(highest_w / tick_w) * tick_w
    return lowest_w + 0.0, max(highest_w, lowest_w + LEAST_W)


def _curve(dots: Dots, lowest_w: float, highest_w: float, rows: int) -> list[str]:
    top = rows * DOTS_UP - 1
    cells = [[0] * (len(dots) // DOTS_ACROSS) for _ in range(rows)]
    for across, span in enumerate(dots):
        if span is None:
            continue
        low, high = (round(top * (power_w - lowest_w) / (highest_w - lowest_w)) for power_w in span)
        bits = RIGHT_BITS if across % DOTS_ACROSS else LEFT_BITS
        for up in range(low, high + 1):
            cells[rows - 1 - up // DOTS_UP][across // DOTS_ACROSS] |= bits[up % DOTS_UP]
    return ["".join(chr(BRAILLE + cell) for cell in row) for row in cells]
