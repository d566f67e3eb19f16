"""Pictures of the real controller at work, as SVG: a step, a hob that it has come to know, a cloud, a ramp; an hour.

Each colour has a contrast of more than 4:1 on white and on GitHub's dark page, so one file serves both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from opendtu_dcload.errors import ConfigError
from opendtu_dcload.sim.bench.bench_plants import PLANTS
from opendtu_dcload.sim.bench.cases import CASES
from opendtu_dcload.sim.bench.cells import DWELL_S, check, play, play_finely, two_steps
from opendtu_dcload.sim.bench.hour import hour_svg, play_hour
from opendtu_dcload.sim.bench.pilots import Ours
from opendtu_dcload.sim.runs.simulate import SKIPPED_S

PLANT = PLANTS["hms"]
SEED = 1
GREY = "#7a7a7a"
STEP_S = SKIPPED_S + 17
"""Later than the load's earlier fall would make one expect."""
STYLES = {
    "load": f'stroke="{GREY}" stroke-width="2"',
    "output": 'stroke="#1f7ae0" stroke-width="2"',
    "set-point": 'stroke="#c45a00" stroke-width="2" stroke-dasharray="5 4"',
}
"""In the order of drawing: what the house takes, what the plant gives, what it is told."""

WIDTH, HEIGHT = 800, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 60, 44
LEGEND_WIDTH = 130
TICK_S = 10
TICK_W = 200

Curves = Mapping[str, Sequence[tuple[float, float]]]
"""Load, output and set-point: (time in s, power in W), ten times a second."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A part of a run; drawn, its time begins at 0."""

    title: str
    load_w: Sequence[float]
    first_s: int
    last_s: int

    def curves(self) -> Curves:
        """Play the run and return what is drawn.

        Raises:
            BenchError: the controller broke a rule.
        """
        world = PLANT.world(list(self.load_w), SEED)
        curves: dict[str, list[tuple[float, float]]] = {name: [] for name in STYLES}
        with closing(Ours(world, PLANT.minimum_w, PLANT.rated_w)) as pilot:
            play(world, pilot, self.first_s)
            pilot.advance(self.first_s)
            for now_s in play_finely(world, pilot, self.last_s):
                plan = pilot.program.state.plan
                assert plan is not None
                values_w = (world.house.load_at(now_s), world.house.output_w, plan.setpoint_w)
                for curve, value_w in zip(curves.values(), values_w, strict=True):
                    curve.append((now_s - self.first_s, value_w))
        check(pilot, self.title)
        return curves


PICTURES: Mapping[str, Picture] = {
    "step": Picture(
        "A load of 500 W switched off and on again, three HMS-400",
        two_steps(STEP_S),
        STEP_S - 10,
        STEP_S + DWELL_S + 30,
    ),
    "hob": Picture(
        "A hob that switches every 30 s, after 15 minutes, three HMS-400",
        CASES["hob 60 s"].load_w(SEED),
        900,
        1050,
    ),
    "cloud": Picture(
        "A house with 800 W of panels while a cloud comes and goes, three HMS-400",
        CASES["solar a"].load_w(SEED),
        2225,
        2375,
    ),
    "ramp": Picture(
        "A load that drifts by 50 W/s, later by 2 W/s, three HMS-400",
        CASES["ramps"].load_w(SEED),
        980,
        1130,
    ),
}
"""By file name without its ending."""


def write_plots(folder: Path) -> None:
    """Draw all pictures into `folder`, which is made if need be.

    Raises:
        BenchError: the controller broke a rule.
        ConfigError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in PICTURES.items():
            (folder / f"{name}.svg").write_text(svg(picture.title, picture.curves()), encoding="utf-8")
        (folder / "hour.svg").write_text(hour_svg(play_hour()), encoding="utf-8")
    except OSError as err:
        raise ConfigError([f"--plots: {folder} cannot be written ({err.strerror}); name another folder"]) from err


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a time and a power stand in the picture, in its units."""

    last_s: float
    top_w: int

    def x(self, at_s: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * at_s / self.last_s, 1)

    def y(self, power_w: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * power_w / self.top_w, 1)


def svg(title: str, curves: Curves) -> str:
    """Return curves as a picture with title, legend and axes."""
    highest_w = max(power_w for curve in curves.values() for _, power_w in curve)
    frame = _Frame(max(at_s for at_s, _ in curves["load"]), TICK_W * math.ceil(highest_w / TICK_W))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{title}</title>",
        f'<g fill="{GREY}" font-family="sans-serif" font-size="13">',
        f'<text x="{LEFT}" y="20" font-size="15" font-weight="bold">{title}</text>',
        *_legend(),
        *_axes(frame),
        *(_polyline(name, [(frame.x(at_s), frame.y(w)) for at_s, w in curves[name]]) for name in STYLES),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _legend() -> list[str]:
    parts = []
    for number, name in enumerate(STYLES):
        x = LEFT + number * LEGEND_WIDTH
        parts.append(f'<path d="M{x} 40h24" {STYLES[name]}/>')
        parts.append(f'<text x="{x + 32}" y="44">{name}</text>')
    return parts


def _axes(frame: _Frame) -> list[str]:
    right = WIDTH - RIGHT
    parts = []
    for power_w in range(0, frame.top_w + 1, TICK_W):
        y = frame.y(power_w)
        unit = " W" if power_w == frame.top_w else ""
        parts.append(f'<path d="M{LEFT} {y}H{right}" stroke="{GREY}" opacity="0.3"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y}" dy="4" text-anchor="end">{power_w}{unit}</text>')
    for second in range(0, math.floor(frame.last_s + 0.5) + 1, TICK_S):
        x = frame.x(second)
        parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{second}</text>')
    parts.append(f'<text x="{right}" y="{HEIGHT - 8}" text-anchor="end">time in s</text>')
    return parts


def _polyline(name: str, points: Sequence[tuple[float, float]]) -> str:
    """Return a curve without the points that lie on a level stretch between two others."""
    inner = [
        point
        for before, point, after in zip(points, points[1:], points[2:], strict=False)
        if not before[1] == point[1] == after[1]
    ]
    corners = " ".join(f"{x},{y}" for x, y in (points[0], *inner, points[-1]))
    return f'<polyline id="{name}" fill="none" {STYLES[name]} points="{corners}"/>'
