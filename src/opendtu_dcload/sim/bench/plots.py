"""Pictures of the real controller at work, as SVG: a step, a hob that it has come to know, a cloud, a ramp; an hour.

Each colour has a contrast of more than 4:1 on white and on GitHub's dark page, so one file serves both.
"""

from __future__ import annotations

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
from opendtu_dcload.sim.pictures.panels import GREY, panels_svg
from opendtu_dcload.sim.runs.simulate import SKIPPED_S

PLANT = PLANTS["hms"]
SEED = 1
STEP_S = SKIPPED_S + 17
"""Later than the load's earlier fall would make one expect."""
STYLES = {
    "load": f'stroke="{GREY}" stroke-width="2"',
    "output": 'stroke="#1f7ae0" stroke-width="2"',
    "set-point": 'stroke="#c45a00" stroke-width="2" stroke-dasharray="5 4"',
}
"""In the order of drawing: what the house takes, what the plant gives, what it is told."""

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


def svg(title: str, curves: Curves) -> str:
    """Return curves as a picture with title, legend and axes."""
    return panels_svg(title, curves, STYLES, max(at_s for at_s, _ in curves["load"]), "house and inverters")
