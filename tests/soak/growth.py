"""What must not grow while a program lives: memory, objects, tasks, and every container of the program's own."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from opendtu_dcload.sim.runs.program import Program

PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
MOST = 1.05
"""How much of what it was on the first day it may be on a later one."""
OURS = "opendtu_dcload."
SIMULATED = ("opendtu_dcload.sim.plant.", "opendtu_dcload.sim.servers.")


def resident_kb(pid: int | str = "self") -> int:
    """Return the memory of a process that is in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KB


@dataclass(frozen=True, slots=True)
class Size:
    """How big a program is at one look."""

    memory_kb: int
    objects: int
    tasks: int
    held: Counter[str]
    """How many elements are in the containers at each path of attributes."""

    @classmethod
    def of(cls, program: Program) -> Size:
        gc.collect()
        held = contents(program.control, program.state)
        return cls(resident_kb(), len(gc.get_objects()), len(asyncio.all_tasks(program.loop)), held)

    @property
    def elements(self) -> int:
        return sum(self.held.values())


def grown(first: Sequence[Size], now: Sequence[Size]) -> list[str]:
    """Return what has grown since the looks of the first day, one sentence each.

    What is kept of the last hour is more at one look than at another, but what grows is more at every look.
    """
    first_kb, now_kb = max(size.memory_kb for size in first), now[-1].memory_kb
    found = [f"{first_kb} kB of memory on the first day, {now_kb} now"] if now_kb > MOST * first_kb else []
    for what in ("objects", "tasks", "elements"):
        most, least = max(getattr(size, what) for size in first), min(getattr(size, what) for size in now)
        if least > MOST * most:
            found.append(f"at most {most} {what} on the first day, at least {least} now")
            if what == "elements":
                more = (now[-1].held - first[-1].held).most_common(3)
                found[-1] += ": " + ", ".join(f"{path} by {count}" for path, count in more)
    return found


def contents(*roots: object) -> Counter[str]:
    """Count the elements of all containers that our objects from the roots on hold, by their shortest path.

    What has a bound counts as full: it fills in a day or in a week, and then no more.
    """
    held: Counter[str] = Counter()
    seen: set[int] = set()
    todo = deque((type(root).__name__, root) for root in roots)
    while todo:
        path, thing = todo.popleft()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, dict | MappingProxyType):  # abstract classes remember whom they were asked about
            held[path] += len(thing)
            todo += [(f"{path}[]", value) for value in thing.values()]
        elif isinstance(thing, list | tuple | deque | set | frozenset):
            held[path] += (thing.maxlen if isinstance(thing, deque) else None) or len(thing)
            todo += [(f"{path}[]", value) for value in thing]
        elif (module := type(thing).__module__).startswith(OURS) and not module.startswith(SIMULATED):
            todo += [(f"{path}.{name}", value) for name, value in _attributes(thing)]
    return held


def _attributes(thing: object) -> list[tuple[str, object]]:
    names = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    slots = [(name, getattr(thing, name)) for name in names if hasattr(thing, name)]
    return [*getattr(thing, "__dict__", {}).items(), *slots]
