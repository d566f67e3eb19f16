"""What `bench` prints: one table, or the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatch

from opendtu_dcload.errors import ConfigError
from opendtu_dcload.sim.bench import Cell, Cost, run_all, total
from opendtu_dcload.sim.cases import CASES, Kind
from opendtu_dcload.sim.pilots import PILOTS
from opendtu_dcload.sim.plants import PLANTS
from opendtu_dcload.sim.report import progress_bar

HEAD = "plant  case       controller  export  import   waste  waste/J0  commands  >50 W"
UNITS = "                                  Wh      Wh      Wh              per h      s"


def print_bench(only: str, controllers: str, seeds: int, *, is_json: bool) -> int:
    """Run the bench and print it; return the exit code.

    Raises:
        ConfigError: nothing matches `only`, or a controller is not known.
        BenchError: the controller broke a rule.
    """
    cells = select(only, controllers, seeds)
    with progress_bar() as progress:
        costs = run_all(cells, progress)
    print(as_json(costs) if is_json else as_text(costs))
    return 0


def select(only: str, controllers: str, seeds: int) -> list[Cell]:
    """Return the cells whose "plant/case" matches a pattern.

    Raises:
        ConfigError: none does, or a controller is not known.
    """
    names = controllers.split(",") if controllers else list(PILOTS)
    if unknown := [name for name in names if name not in PILOTS]:
        raise ConfigError([f"--controllers: {unknown[0]!r} is not known; write some of: {','.join(PILOTS)}"])
    cells = [
        Cell(plant, case, name, seed)
        for plant in PLANTS
        for case in CASES
        for name in names
        for seed in range(1, seeds + 1)
        if fnmatch(f"{plant}/{case}", f"{only}*")
    ]
    if not cells:
        raise ConfigError([f"--only: no plant/case matches {only!r}; such as: hms/cassandra, hm/*, */hob*"])
    return cells


def as_text(costs: Mapping[Cell, Cost]) -> str:
    """Return the table: a line per plant, case and controller, the seeds together, then a line per kind of case."""
    lines = [HEAD, UNITS]
    by_row: dict[tuple[str, str, str], list[Cost]] = {}
    for cell, cost in costs.items():
        by_row.setdefault((cell.plant, cell.case, cell.controller), []).append(cost)
    by_kind: dict[tuple[str, str, str], list[Cost]] = {}
    for (plant, case, controller), parts in by_row.items():
        lines.append(_line(plant, case, controller, parts))
        by_kind.setdefault((plant, f"={CASES[case].kind}", controller), []).extend(parts)
    ordered = sorted(by_kind, key=lambda key: (list(PLANTS).index(key[0]), [f"={k}" for k in Kind].index(key[1])))
    lines += [_line(*key, by_kind[key]) for key in ordered]
    return "\n".join(lines)


def _line(plant: str, case: str, controller: str, parts: Sequence[Cost]) -> str:
    cost = total(parts)
    return (
        f"{plant:6} {case:10} {controller:10} {cost.exported_wh:7.1f} {cost.avoidable_wh:7.1f} {cost.waste_wh:7.1f}"
        f" {cost.ratio:9.2f} {cost.commands_per_h:9.0f} {cost.over_50_w_s:6.0f}"
    )


def as_json(costs: Mapping[Cell, Cost]) -> str:
    """Return every cell with its figures."""
    return json.dumps([asdict(cell) | _figures(cost) for cell, cost in costs.items()], indent=1)


def _figures(cost: Cost) -> dict[str, float]:
    more = {"waste_wh": cost.waste_wh, "waste_over_j0": cost.ratio, "commands_per_h": cost.commands_per_h}
    return asdict(cost) | more
