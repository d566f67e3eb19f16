"""The live line as rows of a terminal: what flows, why, each inverter if wanted, the last minutes as a plot."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping

from opendtu_dcload.live.live_plant import LivePlant, Source
from opendtu_dcload.live.live_text import flow_line, inverter_lines
from opendtu_dcload.live.live_words import all_words, fitting
from opendtu_dcload.model import Reason
from opendtu_dcload.state import State
from opendtu_dcload.terminal.plot_rows import LABEL, Window, panel, time_row
from opendtu_dcload.terminal.screen import Colour, Row

DOT_S = 2.0
KEPT = 1200
"""Moments that are kept for the plot, one a second: more than there are columns for."""
PANEL_ROWS = 3
LEAST_LINES = 20
"""A terminal with fewer gets no plot, so that the log above it can be read."""
LEAST_PLOT = 20
"""Columns."""
GRID, OUTPUT = Colour.YELLOW, Colour.BLUE


class Curves:
    """Grid and output of the last minutes."""

    def __init__(self) -> None:
        self._grid_w: deque[tuple[float, float | None]] = deque(maxlen=KEPT)
        self._output_w: deque[tuple[float, float | None]] = deque(maxlen=KEPT)

    def add(self, at_s: float, grid_w: float | None, output_w: float | None) -> None:
        """Keep a moment; None = not known then."""
        self._grid_w.append((at_s, grid_w))
        self._output_w.append((at_s, output_w))

    def rows(self, now_s: float, columns: int, rows_above: int, lines: int) -> list[Row]:
        """Return the plot, or nothing where a terminal of so many columns and lines has no room for it."""
        width = columns - LABEL - 1
        if width < LEAST_PLOT or lines < max(LEAST_LINES, rows_above + 2 * PANEL_ROWS + 4):
            return []
        window = Window.until(now_s, DOT_S, width)
        return [
            *([(row, GRID)] for row in panel("grid", self._grid_w, window, PANEL_ROWS)),
            *([(row, OUTPUT)] for row in panel("inverters", self._output_w, window, PANEL_ROWS)),
            [(time_row(window), Colour.PLAIN)],
        ]


class LivePicture:
    """Remembers the last minutes; `rows` is called once a second."""

    def __init__(self, *, has_inverters: bool) -> None:
        self._has_inverters = has_inverters
        self._curves = Curves()

    def rows(self, state: State, sources: Mapping[str, Source], now_s: float, size: os.terminal_size) -> list[Row]:
        """Return what is to be seen now in a terminal of that size."""
        plant, width = LivePlant.of(state, sources, now_s), size.columns - 1
        self._curves.add(now_s, plant.grid.now_w, plant.output.now_w)
        plan = state.plan_at(now_s)
        is_well = plan is not None and plan.reason is Reason.REGULATING
        rows: list[Row] = [
            [(flow_line(plant, width), Colour.PLAIN)],
            [(fitting(all_words(state, plant, now_s), width), Colour.GREEN if is_well else Colour.YELLOW)],
        ]
        if self._has_inverters:
            rows += [[(line, Colour.PLAIN)] for line in inverter_lines(state, plant, now_s, width)]
        return rows + self._curves.rows(now_s, size.columns, len(rows), size.lines)
