"""`bench`: every controller on every case, on virtual time, over all processors."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from fnmatch import fnmatch

from opendtu_dcload.errors import ConfigError
from opendtu_dcload.sim.bench.bench_plants import PLANTS
from opendtu_dcload.sim.bench.cases import CASES, Kind
from opendtu_dcload.sim.bench.cells import Cell, StepCell
from opendtu_dcload.sim.bench.cost import Cost
from opendtu_dcload.sim.bench.pilots import CONTROLLERS, PILOTS, VARIANTS, YARDSTICKS

AnyCell = Cell | StepCell
DAY_PLANT = "hms"
DAY_CONTROLLERS = ("ours", "original", "omniscient")
"""The whole day is played on one plant and, if no controllers are named, by these: it takes as long as 22 others."""


def select(only: str = "", controllers: str = "", *, seeds: int = 1, phases: int = 20) -> list[AnyCell]:
    """Return the cells whose "plant/case" or "plant/kind" begins as the pattern says, in the order of the table.

    Raises:
        ConfigError: none does, or a controller is not known.
    """
    named = controllers.split(",") if controllers else []
    if unknown := [name for name in named if name not in PILOTS]:
        raise ConfigError([f"--controllers: {unknown[0]!r} is not known; write some of: {','.join(PILOTS)}"])
    cells: list[AnyCell] = []
    for plant in PLANTS.values():
        cases = CASES.values() if plant.has_cases else ()
        for case in cases:
            players = _players(plant.name, case.kind, named)
            cells += [Cell(plant.name, case.name, name, s) for name in players for s in range(1, seeds + 1)]
        cells += [StepCell(plant.name, name, phase) for name in named or CONTROLLERS for phase in range(1, phases + 1)]
    chosen = [cell for cell in cells if any(fnmatch(name, f"{only}*") for name in _names(cell))]
    if not chosen:
        raise ConfigError([f"--only: no plant/case matches {only!r}; such as: hms/cassandra, hm/, */hob*, */tuning"])
    return chosen


def _players(plant: str, kind: Kind, named: Sequence[str]) -> Sequence[str]:
    """Return who plays a plant's cases of a kind: the controllers that were named, or those meant for it."""
    if kind is Kind.DAY and plant != DAY_PLANT:
        return ()
    if named:
        return named
    if kind is Kind.DAY:
        return DAY_CONTROLLERS
    variants = VARIANTS.get(plant, ()) if kind is Kind.TUNING else ()
    return (*CONTROLLERS, *YARDSTICKS, *variants)


def _names(cell: AnyCell) -> tuple[str, ...]:
    name = f"{cell.plant}/{cell.case}"
    return (name, f"{cell.plant}/{CASES[cell.case].kind}") if isinstance(cell, Cell) else (name,)


def run_all(cells: Sequence[AnyCell], progress: Callable[[float], None]) -> dict[AnyCell, Cost]:
    """Run cells on all processors; `progress` is called with the share done.

    Raises:
        BenchError: the controller broke a rule in one of them.
    """
    from concurrent.futures import ProcessPoolExecutor, as_completed  # noqa: PLC0415  a GX may lack multiprocessing
    from multiprocessing import get_context  # noqa: PLC0415  as above

    costs: dict[AnyCell, Cost] = {}
    all_s = sum(cell.seconds for cell in cells)
    # A fresh interpreter per worker: a fork copies whatever threads and loops the caller has.
    pool = ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"), initializer=_ignore_interrupt)
    try:
        # The longest first: so all processors end at about the same time.
        cell_of = {pool.submit(cell.run): cell for cell in sorted(cells, key=lambda cell: -cell.seconds)}
        for done in as_completed(cell_of):
            costs[cell_of[done]] = done.result()
            progress(sum(cell.seconds for cell in costs) / all_s)
    finally:
        pool.shutdown(cancel_futures=True)
    return {cell: costs[cell] for cell in cells}


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
