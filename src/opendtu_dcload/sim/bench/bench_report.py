"""What `bench` prints: one table and, of the whole bench, the CPU that decisions take; or the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise

from opendtu_dcload.sim.bench.bench import AnyCell, run_all, select
from opendtu_dcload.sim.bench.bench_plants import PLANTS
from opendtu_dcload.sim.bench.cases import CASES, Kind
from opendtu_dcload.sim.bench.cells import Cell
from opendtu_dcload.sim.bench.cost import Cost, Response, total
from opendtu_dcload.sim.bench.pilots import FORESIGHT, UNLIMITED
from opendtu_dcload.sim.bench.scale import measure
from opendtu_dcload.terminal.progress_bar import progress_bar

HEAD = """\
plant  case           controller      export  import   waste  waste  commands  > 50 W  settled in  overshoot
                                          Wh      Wh      Wh    /J0     per h       s   down/up s  down/up %"""

LOSSES_HEAD = """\
waste / J0 of ours, and what it is lost to                        commands per h
plant  case             ours =    lag  future  caution  price  when they are free"""


def print_bench(only: str, controllers: str, *, seeds: int, phases: int, is_json: bool) -> int:
    """Run the bench and print it; return the exit code.

    Raises:
        ConfigError: nothing matches `only`, or a controller is not known.
        BenchError: the controller broke a rule.
    """
    cells = select(only, controllers, seeds=seeds, phases=phases)
    with progress_bar() as progress:
        costs = run_all(cells, progress)
    cpu = None if only or controllers else measure()
    if is_json:
        print(json.dumps({"cells": as_records(costs), "cpu": cpu and asdict(cpu)}, indent=1))
    else:
        print("\n".join([HEAD, *rows(costs), *losses(costs), *(["", *cpu.lines()] if cpu else [])]))
    return 0


def rows(costs: Mapping[AnyCell, Cost]) -> list[str]:
    """Return the table's lines: per plant, case and controller; then per kind of case, its cases together.

    All figures are the mean of the seeds: so of the step test those of one pair of steps.
    """
    by_row: dict[tuple[str, str, str], dict[AnyCell, Cost]] = {}
    by_kind: dict[tuple[str, str, str], dict[AnyCell, Cost]] = {}
    for cell, cost in costs.items():
        by_row.setdefault((cell.plant, cell.case, cell.controller), {})[cell] = cost
        if isinstance(cell, Cell):
            by_kind.setdefault((cell.plant, f"= {CASES[cell.case].kind}", cell.controller), {})[cell] = cost
    kinds = [f"= {kind}" for kind in Kind]
    ordered = sorted(by_kind, key=lambda key: (list(PLANTS).index(key[0]), kinds.index(key[1])))
    return [_line(*key, by_row[key]) for key in by_row] + [_line(*key, by_kind[key]) for key in ordered]


def losses(costs: Mapping[AnyCell, Cost]) -> list[str]:
    """Return what makes up our waste, one line per plant and case that all who tell it have played.

    Radio, dead time and ramp cost what who has foresight wastes; the future what is wasted beyond that by who knows all
    but it; caution what ours wastes beyond that if commands are free: negative where it foresees or waits well; their
    price the rest.
    """
    tellers = (FORESIGHT, "omniscient", UNLIMITED, "ours")
    waste: dict[tuple[str, str], dict[str, list[Cost]]] = {}
    for cell, cost in costs.items():
        for case in (cell.case, f"= {CASES[cell.case].kind}") if isinstance(cell, Cell) else ():
            waste.setdefault((cell.plant, case), {}).setdefault(cell.controller, []).append(cost)
    lines = []
    for (plant, case), played in waste.items():
        if not all(teller in played for teller in tellers):
            continue
        ratios = [total(played[teller]).ratio for teller in tellers]
        lag, future, caution, price = (after - before for before, after in pairwise([0.0, *ratios]))
        per_h = total(played[UNLIMITED]).commands_per_h
        lines.append(
            f"{plant:6} {case:14} {ratios[-1]:6.2f} = {lag:6.2f} {future:+7.2f} {caution:+8.2f} {price:+6.2f}"
            f" {per_h:9.0f}"
        )
    return ["", *LOSSES_HEAD.splitlines(), *lines] if lines else []


def _line(plant: str, case: str, controller: str, parts: Mapping[AnyCell, Cost]) -> str:
    cost = total(list(parts.values()))
    each = len({cell.seed for cell in parts})
    settled = _pair(cost.down, cost.up, "settling_s")
    overshoot = _pair(cost.down, cost.up, "overshoot_pct")
    return (
        f"{plant:6} {case:14} {controller:14} {cost.exported_wh / each:7.2f} {cost.avoidable_wh / each:7.2f}"
        f" {cost.waste_wh / each:7.2f} {cost.ratio:6.2f} {cost.commands_per_h:9.0f} {cost.over_50_w_s / each:7.1f}"
        f" {settled:>11} {overshoot:>10}"
    ).rstrip()


def _pair(down: Response | None, up: Response | None, name: str) -> str:
    return f"{getattr(down, name):.1f}/{getattr(up, name):.1f}" if down and up else ""


def as_records(costs: Mapping[AnyCell, Cost]) -> list[dict[str, object]]:
    """Return every cell with its figures."""
    return [
        asdict(cell)
        | asdict(cost)
        | {"waste_wh": cost.waste_wh, "waste_over_j0": cost.ratio, "commands_per_h": cost.commands_per_h}
        for cell, cost in costs.items()
    ]
