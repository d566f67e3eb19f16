"""What a person sees of a running demo, and what is left of it at its end: a plot and a picture."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opendtu_dcload.live.live_picture import GRID, OUTPUT, PANEL_ROWS, Curves
from opendtu_dcload.sim.pictures.moments import curves
from opendtu_dcload.sim.pictures.panels import GREY, panels_svg
from opendtu_dcload.terminal.plot_rows import LABEL, Window, panel, time_row
from opendtu_dcload.terminal.screen import Colour, Row, screen_of

PICTURE = Path("opendtu-dcload-demo.svg")
"""In the working directory, where a user looks for it; the next demo replaces it."""
ENOUGH = 30
"""Moments, one a second, that are worth a picture."""
MOST_POINTS = 900
"""Of a curve: as many as the picture is wide."""
TITLE = "Three simulated HMS-400 in a measured house, from 14:23 on"
STYLES = {
    "grid": f'stroke="{GREY}" stroke-width="1.5"',
    "load": f'stroke="{GREY}" stroke-width="2"',
    "inverters": 'stroke="#1f7ae0" stroke-width="1.5"',
    "limits": 'stroke="#c45a00" stroke-width="1.5" stroke-dasharray="4 3"',
}


@dataclass(frozen=True, slots=True)
class Moment:
    """What really happened."""

    at_s: float
    grid_w: float
    load_w: float
    output_w: float
    limit_w: float
    """The sum of the limits in force."""

    @classmethod
    def of(cls, live: Mapping[str, Any]) -> Moment:
        """Return it from what the plant's backstage tells."""
        sums_w = (float(sum(live[name].values())) for name in ("output_w", "limit_w"))
        return cls(float(live["at_s"]), float(live["grid_w"]), float(live["load_w"]), *sums_w)


class DemoView:
    """Shows each moment on stdout: in place at a terminal that can, else in a line; keeps all of them."""

    def __init__(self) -> None:
        self._screen = screen_of(sys.stdout, os.environ)
        self._curves = Curves()
        self.moments: list[Moment] = []

    @property
    def played_s(self) -> float:
        """For how long it has been shown, in s."""
        return self.moments[-1].at_s if self.moments else 0.0

    @property
    def has_enough(self) -> bool:
        """Whether there is enough for a picture."""
        return len(self.moments) >= ENOUGH

    def show(self, line: str, live: Mapping[str, Any]) -> None:
        """Show a line of the controller, and beside it the truth."""
        moment = Moment.of(live)
        self.moments.append(moment)
        if self._screen is None:
            print(f"load {moment.load_w:5.0f} W | {line}", flush=True)
            return
        self._curves.add(moment.at_s, moment.grid_w, moment.output_w)
        flow, _, why = line.partition(" | ")
        rows: list[Row] = [
            [(f"true load {moment.load_w:5.0f} W; the controller sees:", Colour.PLAIN)],
            [(flow, Colour.PLAIN)],
            [(why, Colour.GREEN if why == "regulating" else Colour.YELLOW)],
        ]
        size = self._screen.size()
        self._screen.draw(rows + self._curves.rows(moment.at_s, size.columns, len(rows), size.lines))

    def log(self, text: str) -> None:
        """Show a line of what a part of the demo logs."""
        if self._screen is not None and sys.stderr.isatty():
            self._screen.say(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def show_all(self) -> None:
        """Show all that happened as a plot, where a terminal can."""
        if self._screen is None:
            return
        width = self._screen.size().columns - LABEL - 1
        last_s, first_s = self.moments[-1].at_s, self.moments[0].at_s
        window = Window.until(last_s, max((last_s - first_s) / (2 * max(width, 1) - 1), 0.5), max(width, 1))
        grid = panel("grid", [(moment.at_s, moment.grid_w) for moment in self.moments], window, PANEL_ROWS)
        output = panel("inverters", [(moment.at_s, moment.output_w) for moment in self.moments], window, PANEL_ROWS)
        colours = [*[GRID] * PANEL_ROWS, *[OUTPUT] * PANEL_ROWS, Colour.PLAIN]
        rows = zip([*grid, *output, time_row(window)], colours, strict=True)
        self._screen.draw([[row] for row in rows])

    def write_picture(self) -> str:
        """Write the picture of all that happened; return a sentence that says where it is, or why there is none."""
        last_s = self.moments[-1].at_s
        mean_s = max(1, math.ceil(last_s / MOST_POINTS))
        rows = [(m.at_s, m.grid_w, m.load_w, m.output_w, m.limit_w) for m in self.moments]
        lines = curves(list(STYLES), rows, mean_s)
        path = PICTURE.absolute()
        try:
            path.write_text(panels_svg(TITLE, lines, STYLES, last_s, "load, inverters, limits"), encoding="utf-8")
        except OSError as err:
            return f"No picture: {path} cannot be written ({err.strerror}); start the demo in a folder of your own."
        return f"A picture of it, for a browser: {path}"
