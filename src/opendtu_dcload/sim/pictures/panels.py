"""A run as a picture, as SVG: the grid, below it the plant, and below them when each reason held."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from types import MappingProxyType

from opendtu_dcload.model import Reason

Points = Sequence[tuple[float, float]]
"""Time in s and power in W, or from when to when in s."""

GREY = "#7a7a7a"
WIDTH, LEFT, RIGHT = 960, 220, 16
GRID = (70, 210)
PLANT_ROWS = (240, 400)
"""Top and bottom of the two panels."""
REASONS_TOP, ROW, BAND = 422, 20, 12
TICK_W = {"grid": 500, "plant": 200}
"""At least; coarser ones where the powers are higher."""
MOST_ROWS = 7
SHORT_S, SHORT_TICK_S, MOST_SHORT_TICKS = 300, 10, 15
"""A shorter run is told in s, with a tick each 10 s."""
MOST_TICKS = 6
CLOCK_STEPS_S = (60, 300, 600, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Of the time, beside that at 0."""
NO_REASONS: Mapping[Reason, Points] = MappingProxyType({})


def panels_svg(
    title: str,
    lines: Mapping[str, Points],
    styles: Mapping[str, str],
    length_s: float,
    plant_label: str,
    held: Mapping[Reason, Points] = NO_REASONS,
    *,
    clock_s: float | None = None,
    beside_grid: Collection[str] = (),
    prefix: str = "",
) -> str:
    """Return a run as a picture with title, legend and axes.

    Args:
        title: what is seen.
        lines: the curves by name; that of the grid is called "grid", all others are drawn together below it; without
            it the picture has no such part.
        styles: attributes of each curve's line.
        length_s: of the run, in s.
        plant_label: what the panel of the plant shows.
        held: from when to when each reason held, in s.
        clock_s: the time of day at the beginning, in s, if the time is to be told by the clock.
        beside_grid: curves that are drawn in the panel of the grid.
        prefix: of the curves' names in the document, which are its own there.
    """
    uppers = {"grid", *beside_grid}
    higher = 0 if "grid" in lines else PLANT_ROWS[0] - GRID[0]
    grid = _panel("grid", GRID, [curve for name, curve in lines.items() if name in uppers])
    place = (PLANT_ROWS[0] - higher, PLANT_ROWS[1] - higher)
    plant = _panel("plant", place, [curve for name, curve in lines.items() if name not in uppers])
    reasons_top = REASONS_TOP - higher
    time, bottom = _Time(length_s, clock_s), reasons_top + ROW * len(held)
    panels = {name: grid if name in uppers else plant for name in lines}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 44}" role="img">',
        f"<title>{title}</title>",
        f'<g fill="{GREY}" font-family="sans-serif" font-size="13">',
        f'<text x="16" y="20" font-size="15" font-weight="bold">{title}</text>',
        *_legend(styles),
        *(
            grid.axis(" and ".join(["grid", *beside_grid]) if beside_grid else "grid, import positive")
            if not higher
            else ()
        ),
        *plant.axis(plant_label),
        *(_polyline(prefix + name, styles[name], panels[name], time, points) for name, points in lines.items()),
        *_rows(held, time, reasons_top),
        *time.axis(bottom),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


@dataclass(frozen=True, slots=True)
class _Panel:
    """Where a power stands in a part of the picture."""

    name: str
    top: int
    bottom: int
    lowest_w: int
    highest_w: int
    tick_w: int

    def y(self, power_w: float) -> float:
        share = (power_w - self.lowest_w) / (self.highest_w - self.lowest_w)
        return round(self.bottom - (self.bottom - self.top) * share, 1)

    def axis(self, label: str) -> list[str]:
        parts = [f'<text x="16" y="{self.top}" dy="4">{label}</text>']
        for power_w in range(self.lowest_w, self.highest_w + 1, self.tick_w):
            y = self.y(power_w)
            parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="{GREY}" opacity="0.3"/>')
            parts.append(f'<text x="{LEFT - 8}" y="{y}" dy="4" text-anchor="end">{power_w} W</text>')
        return parts


def _panel(name: str, place: tuple[int, int], shown: Sequence[Points]) -> _Panel:
    powers_w = [0.0, *(power_w for curve in shown for _, power_w in curve)]
    for tick_w in _ticks_w(TICK_W[name]):
        lowest, highest = math.floor(min(powers_w) / tick_w), max(math.ceil(max(powers_w) / tick_w), 1)
        if highest - lowest <= MOST_ROWS:
            return _Panel(name, *place, lowest * tick_w, highest * tick_w, tick_w)
    raise AssertionError("some tick is coarse enough")


def _ticks_w(least_w: int) -> Iterator[int]:
    """Yield ever coarser ones: 1, 2 or 5 with zeros."""
    for zeros in count(1):
        yield from (tick_w for tick_w in (10**zeros, 2 * 10**zeros, 5 * 10**zeros) if tick_w >= least_w)


@dataclass(frozen=True, slots=True)
class _Time:
    """Where a time stands in the picture."""

    length_s: float
    clock_s: float | None

    def x(self, at_s: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * at_s / self.length_s, 1)

    def axis(self, bottom: int) -> list[str]:
        if self.clock_s is not None:
            return self._clock_axis(bottom, self.clock_s)
        unit, unit_s = ("s", SHORT_TICK_S) if self.length_s < SHORT_S else ("min", 60)
        whole = int(self.length_s / unit_s + 0.5 / unit_s)
        places = range(0, whole + 1, math.ceil(max(whole, 1) / (MOST_TICKS if unit == "min" else MOST_SHORT_TICKS)))
        told = 1 if unit == "min" else SHORT_TICK_S
        ticks = [
            f'<text x="{self.x(unit_s * n)}" y="{bottom + 14}" text-anchor="middle">{told * n}</text>' for n in places
        ]
        return [*ticks, f'<text x="{WIDTH - RIGHT}" y="{bottom + 34}" text-anchor="end">time in {unit}</text>']

    def _clock_axis(self, bottom: int, clock_s: float) -> list[str]:
        step_s = next((s for s in CLOCK_STEPS_S if self.length_s / s <= 2 * MOST_TICKS), CLOCK_STEPS_S[-1])
        first = math.ceil(clock_s / step_s)
        times_s = range(first * step_s, int(clock_s + self.length_s) + 1, step_s)
        ticks = [
            f'<text x="{self.x(at_s - clock_s)}" y="{bottom + 14}" text-anchor="middle">'
            f"{at_s // 3600 % 24:02}:{at_s // 60 % 60:02}</text>"
            for at_s in times_s
        ]
        return [*ticks, f'<text x="{WIDTH - RIGHT}" y="{bottom + 34}" text-anchor="end">time of day</text>']


def _legend(styles: Mapping[str, str]) -> list[str]:
    parts = []
    for number, (name, style) in enumerate(styles.items()):
        x = LEFT + number * 130
        parts.append(f'<path d="M{x} 44h24" {style}/>')
        parts.append(f'<text x="{x + 32}" y="48">{name}</text>')
    return parts


def _polyline(name: str, style: str, panel: _Panel, time: _Time, points: Points) -> str:
    places = [(time.x(at_s), panel.y(power_w)) for at_s, power_w in points]
    inner = [b for a, b, c in zip(places, places[1:], places[2:], strict=False) if not a[1] == b[1] == c[1]]
    corners = " ".join(f"{x:g},{y:g}" for x, y in (places[0], *inner, places[-1]))
    return f'<polyline id="{name}" fill="none" {style} points="{corners}"/>'


def _rows(held: Mapping[Reason, Points], time: _Time, top: int) -> list[str]:
    parts = []
    for number, (reason, spans) in enumerate(held.items()):
        y = top + number * ROW
        parts.append(f'<text x="{LEFT - 8}" y="{y + 10}" text-anchor="end">{reason}</text>')
        boxes = "".join(f"M{time.x(a):g} {y}H{time.x(b):g}v{BAND}H{time.x(a):g}z" for a, b in spans)
        parts.append(f'<path class="reason" d="{boxes}"/>')
    return parts
