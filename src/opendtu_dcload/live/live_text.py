"""What flows, in whole watts that add up, and why: one line of 80 columns, and one for each inverter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from opendtu_dcload.live.live_plant import Inverter, LivePlant, Source
from opendtu_dcload.live.live_words import BETWEEN, all_words, fitting, special
from opendtu_dcload.state import State
from opendtu_dcload.terminal.plain_text import columns, cut
from opendtu_dcload.terminal.short_names import LONGEST

WIDTH = 80
"""Of a line that goes into a pipe or a file."""
BAR = " | "


def live_line(state: State, sources: Mapping[str, Source], now_s: float) -> str:
    """Return the state in one line of at most 80 columns, with what `sources` give by serial.

    A value that is not known, or counts no more, is a dash. What does not fit beside the reason is shown as a sum.
    """
    plant = LivePlant.of(state, sources, now_s)
    said, flows = all_words(state, plant, now_s), list(_flows(plant))
    for flow in flows:
        if columns(whole := flow + BAR + BETWEEN.join(said)) <= WIDTH:
            return whole
    return flows[-1] + BAR + fitting(said, WIDTH - len(flows[-1]) - len(BAR))


def inverter_lines(state: State, plant: LivePlant, now_s: float, width: int = WIDTH) -> list[str]:
    """Return a line for each inverter: what it gives, what it is told, and what is special about it."""
    return [cut(_inverter_line(state, inverter, now_s).rstrip(), width) for inverter in plant.inverters]


def flow_line(plant: LivePlant, width: int) -> str:
    """Return what flows, in as much detail as there is room for."""
    flows = list(_flows(plant))
    return next((flow for flow in flows if columns(flow) <= width), flows[-1])


def _inverter_line(state: State, inverter: Inverter, now_s: float) -> str:
    name, plan = inverter.name + " " * (LONGEST - columns(inverter.name)), inverter.plan
    told = "" if plan is None else f"limit {plan.limit_w:4.0f} W" if plan.is_on else "off"
    return f"  {name} {inverter.output!s:>5} W  {told:12}  {special(state, inverter, now_s)}"


def _flows(plant: LivePlant) -> Iterator[str]:
    """Yield what flows in less and less detail, always as a sum: grid, inverters and solar are the load."""
    grid = f"grid {plant.grid!s:>5}"
    if not plant.inverters:
        yield f"{grid} W"
        return
    solar = "" if plant.solar is None else f" + solar: {plant.solar!s:>4}"
    load = f"{solar} = load {plant.load!s:>5} W"
    told = "" if plant.setpoint_w is None else f", set {plant.setpoint_w}"
    each = "".join(f" + {inverter.name}: {inverter.output!s:>4}" for inverter in plant.inverters)
    for inverters in (each, f" + inverters: {plant.output!s:>4}"):
        yield f"{grid}{inverters}{load}{told}"
        yield f"{grid}{inverters}{load}"
    short = "" if plant.solar is None else f" + {plant.solar}"
    yield f"grid {plant.grid} + {plant.output}{short} = load {plant.load} W"
