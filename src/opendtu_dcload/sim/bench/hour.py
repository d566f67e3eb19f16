"""One picture of an hour of the real controller, as SVG: grid, inverters and set-point, and below them the reason."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from opendtu_dcload.sim.bench.bench_plants import PLANTS
from opendtu_dcload.sim.bench.cases import CASES
from opendtu_dcload.sim.bench.cells import check
from opendtu_dcload.sim.bench.pilots import Ours
from opendtu_dcload.sim.pictures.moments import Moment, bands, curves
from opendtu_dcload.sim.pictures.panels import GREY, panels_svg
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

STYLES = {
    "grid": f'stroke="{GREY}" stroke-width="1.5"',
    "inverter 1": 'stroke="#1f7ae0" stroke-width="1.5"',
    "inverter 2": 'stroke="#2e8b3d" stroke-width="1.5"',
    "inverter 3": 'stroke="#a755c2" stroke-width="1.5"',
    "set-point": 'stroke="#c45a00" stroke-width="1.5" stroke-dasharray="4 3"',
}


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
                grid_w, load_w = world.house.grid_w, world.house.load_at(world.house.now_s)
                moments.append(Moment(at_s, grid_w, load_w, outputs_w, plan.setpoint_w, plan.reason))
    check(pilot, TITLE)
    return moments


def hour_curves(moments: Sequence[Moment]) -> dict[str, list[tuple[float, float]]]:
    """Return each curve's points (time in s, power in W), by its name."""
    rows = [(moment.at_s, moment.grid_w, *moment.outputs_w, moment.setpoint_w) for moment in moments]
    return curves(list(STYLES), rows, MEAN_S)


def hour_svg(moments: Sequence[Moment]) -> str:
    """Return the hour as a picture with title, legend and axes."""
    return panels_svg(TITLE, hour_curves(moments), STYLES, HOUR_S, "inverters and set-point", bands(moments))
