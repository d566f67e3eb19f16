"""One picture of an hour of the real controller, as SVG: grid, inverters and set-point, and below them the reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby

from opendtu_dcload.model import Reason
from opendtu_dcload.sim.bench.bench_plants import PLANTS
from opendtu_dcload.sim.bench.cases import CASES
from opendtu_dcload.sim.bench.cells import check
from opendtu_dcload.sim.bench.pilots import Ours
from opendtu_dcload.sim.runs.played import METER

TITLE = "An hour of three HMS-400, at most 800 W; from minute 40 the meter is silent for 2 minutes"
PLANT = PLANTS["hms"]
LOAD_W = CASES["h3-03-30"].load_w(1)
SEED = 1
CAP_W = 800.0
BEGIN_S, HOUR_S = 900.0, 3600.0
SILENT_S = (2400.0, 2520.0)
"""The meter does not answer in this part of the hour."""
MEAN_S = 5
"""A point of a curve is the mean over this time; the set-point is the one at its end."""

GREY = "#7a7a7a"
STYLES = {
    "grid": f'stroke="{GREY}" stroke-width="1.5"',
    "inverter 1": 'stroke="#1f7ae0" stroke-width="1.5"',
    "inverter 2": 'stroke="#2e8b3d" stroke-width="1.5"',
    "inverter 3": 'stroke="#a755c2" stroke-width="1.5"',
    "set-point": 'stroke="#c45a00" stroke-width="1.5" stroke-dasharray="4 3"',
}
WIDTH, LEFT, RIGHT = 960, 220, 16
GRID = (70, 210)
PLANT_ROWS = (240, 400)
"""Top and bottom of the two panels."""
REASONS_TOP, ROW, BAND = 422, 20, 12
TICK_W = {"grid": 500, "plant": 200}
TICK_MIN = 10


@dataclass(frozen=True, slots=True)
class Moment:
    """One meter sample: time in s from the beginning of the hour, power in W."""

    at_s: float
    grid_w: float
    outputs_w: tuple[float, ...]
    setpoint_w: float
    reason: Reason

    @property
    def values_w(self) -> tuple[float, ...]:
        """Return the curves' values in the order of `STYLES`."""
        return (self.grid_w, *self.outputs_w, self.setpoint_w)


def play_hour() -> list[Moment]:
    """Play the hour and return it, one moment each second.

    Raises:
        BenchError: the controller broke a rule.
    """
    world = PLANT.world(LOAD_W, SEED)
    moments: list[Moment] = []
    with closing(Ours(world, PLANT.minimum_w, CAP_W)) as pilot:
        program = pilot.program
        while world.house.now_s < BEGIN_S + HOUR_S:
            is_silent = SILENT_S[0] <= world.house.next_sample_s - BEGIN_S < SILENT_S[1]
            program.wire.cut = {METER} if is_silent else set()
            pilot.advance(world.house.next_sample_s)
            plan = program.state.plan
            assert plan is not None
            at_s = world.house.now_s - BEGIN_S
            outputs_w = tuple(inverter.output_w for inverter in world.house.inverters.values())
            if 0 <= at_s <= HOUR_S:
                moments.append(Moment(at_s, world.house.grid_w, outputs_w, plan.setpoint_w, plan.reason))
    check(pilot, TITLE)
    return moments


def curves(moments: Sequence[Moment]) -> dict[str, list[tuple[float, float]]]:
    """Return each curve's points (time in s, power in W), by its name."""
    drawn: dict[str, list[tuple[float, float]]] = {name: [] for name in STYLES}
    for _, group in groupby(moments, lambda moment: int(moment.at_s // MEAN_S)):
        part = list(group)
        columns = zip(*(moment.values_w for moment in part), strict=True)
        for (name, curve), values_w in zip(drawn.items(), columns, strict=True):
            curve.append((part[-1].at_s, values_w[-1] if name == "set-point" else sum(values_w) / len(values_w)))
    return drawn


def bands(moments: Sequence[Moment]) -> dict[Reason, list[tuple[float, float]]]:
    """Return from when to when each reason held, in s; the reasons in the order in which they came."""
    held: dict[Reason, list[tuple[float, float]]] = {}
    last_s = 0.0
    for reason, group in groupby(moments, lambda moment: moment.reason):
        end_s = max(moment.at_s for moment in group)
        held.setdefault(reason, []).append((last_s, end_s))
        last_s = end_s
    return held


def hour_svg(moments: Sequence[Moment]) -> str:
    """Return the hour as a picture with title, legend and axes."""
    lines, held = curves(moments), bands(moments)
    grid = _panel("grid", GRID, [lines["grid"]])
    plant = _panel("plant", PLANT_ROWS, [curve for name, curve in lines.items() if name != "grid"])
    bottom = REASONS_TOP + ROW * len(held)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 44}" role="img">',
        f"<title>{TITLE}</title>",
        f'<g fill="{GREY}" font-family="sans-serif" font-size="13">',
        f'<text x="16" y="20" font-size="15" font-weight="bold">{TITLE}</text>',
        *_legend(),
        *grid.axis("grid, import positive"),
        *plant.axis("inverters and set-point"),
        *(_polyline(name, grid if name == "grid" else plant, points) for name, points in lines.items()),
        *_rows(held),
        *_time(bottom),
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

    def y(self, power_w: float) -> float:
        share = (power_w - self.lowest_w) / (self.highest_w - self.lowest_w)
        return round(self.bottom - (self.bottom - self.top) * share, 1)

    def axis(self, label: str) -> list[str]:
        parts = [f'<text x="16" y="{self.top}" dy="4">{label}</text>']
        for power_w in range(self.lowest_w, self.highest_w + 1, TICK_W[self.name]):
            y = self.y(power_w)
            parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="{GREY}" opacity="0.3"/>')
            parts.append(f'<text x="{LEFT - 8}" y="{y}" dy="4" text-anchor="end">{power_w} W</text>')
        return parts


def _panel(name: str, place: tuple[int, int], shown: Sequence[Sequence[tuple[float, float]]]) -> _Panel:
    powers_w = [power_w for curve in shown for _, power_w in curve]
    tick_w = TICK_W[name]
    lowest_w, highest_w = math.floor(min(powers_w) / tick_w), math.ceil(max(powers_w) / tick_w)
    return _Panel(name, *place, min(lowest_w, 0) * tick_w, highest_w * tick_w)


def _x(at_s: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * at_s / HOUR_S, 1)


def _legend() -> list[str]:
    parts = []
    for number, name in enumerate(STYLES):
        x = LEFT + number * 130
        parts.append(f'<path d="M{x} 44h24" {STYLES[name]}/>')
        parts.append(f'<text x="{x + 32}" y="48">{name}</text>')
    return parts


def _polyline(name: str, panel: _Panel, points: Sequence[tuple[float, float]]) -> str:
    places = [(_x(at_s), panel.y(power_w)) for at_s, power_w in points]
    inner = [b for a, b, c in zip(places, places[1:], places[2:], strict=False) if not a[1] == b[1] == c[1]]
    corners = " ".join(f"{x:g},{y:g}" for x, y in (places[0], *inner, places[-1]))
    return f'<polyline id="{name}" fill="none" {STYLES[name]} points="{corners}"/>'


def _rows(held: dict[Reason, list[tuple[float, float]]]) -> list[str]:
    parts = []
    for number, (reason, spans) in enumerate(held.items()):
        y = REASONS_TOP + number * ROW
        parts.append(f'<text x="{LEFT - 8}" y="{y + 10}" text-anchor="end">{reason}</text>')
        boxes = "".join(f"M{_x(a):g} {y}H{_x(b):g}v{BAND}H{_x(a):g}z" for a, b in spans)
        parts.append(f'<path class="reason" d="{boxes}"/>')
    return parts


def _time(bottom: int) -> list[str]:
    minutes = range(0, int(HOUR_S / 60) + 1, TICK_MIN)
    ticks = [f'<text x="{_x(60 * m)}" y="{bottom + 14}" text-anchor="middle">{m}</text>' for m in minutes]
    return [*ticks, f'<text x="{WIDTH - RIGHT}" y="{bottom + 34}" text-anchor="end">time in min</text>']
