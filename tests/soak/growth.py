"""What must not grow while a program lives: memory, objects, tasks, and every container of the program's own."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter, deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
MEMORY_SHARE = 1.05
"""Of what it was after the first day."""
TASKS_MORE = 2
"""Commands may be on their way at one look and not at another."""
FILLED_SHARE, FILLED_MORE = 1.25, 200
"""What is kept of the last minutes or hour depends on what happened in them."""
OURS = "opendtu_dcload."
SIMULATED = "opendtu_dcload.sim."


def resident_kb(pid: int | str = "self") -> int:
    """Return the memory of a process that is in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KB


@dataclass(frozen=True, slots=True)
class Size:
    """How big a program is."""

    memory_kb: int
    objects: int
    tasks: int
    held: Counter[str]
    """How many elements are in the containers at each path of attributes."""

    @classmethod
    def of(cls, root: object, loop: asyncio.AbstractEventLoop) -> Size:
        gc.collect()
        return cls(resident_kb(), len(gc.get_objects()), len(asyncio.all_tasks(loop)), contents(root))

    @property
    def elements(self) -> int:
        return sum(self.held.values())

    def grown_since(self, first: Size) -> list[str]:
        """Return what has grown since the first day, one sentence each."""
        found = []
        for what, was, now in (
            ("kB of memory", first.memory_kb, self.memory_kb),
            ("objects", first.objects, self.objects),
        ):
            if now > MEMORY_SHARE * was:
                found.append(f"{was} {what} after the first day, {now} now")
        if self.tasks > first.tasks + TASKS_MORE:
            found.append(f"{first.tasks} tasks after the first day, {self.tasks} now")
        if self.elements > FILLED_SHARE * first.elements + FILLED_MORE:
            more = (self.held - first.held).most_common(3)
            grown = ", ".join(f"{path} by {count}" for path, count in more)
            found.append(f"{first.elements} elements kept after the first day, {self.elements} now: {grown}")
        return found


def contents(root: object) -> Counter[str]:
    """Count the elements of all containers that the program's objects from `root` on hold, by their path."""
    held: Counter[str] = Counter()
    seen: set[int] = set()
    todo: list[tuple[str, object]] = [("", root)]
    while todo:
        path, thing = todo.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, Mapping):
            held[path] += len(thing)
            todo += [(f"{path}[]", value) for value in thing.values()]
        elif isinstance(thing, list | tuple | deque | AbstractSet):
            held[path] += len(thing)
            todo += [(f"{path}[]", value) for value in thing]
        elif (module := type(thing).__module__).startswith(OURS) and not module.startswith(SIMULATED):
            todo += [(f"{path}.{name}".strip("."), value) for name, value in _attributes(thing)]
    return held


def _attributes(thing: object) -> list[tuple[str, object]]:
    names = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    slots = [(name, getattr(thing, name)) for name in names if hasattr(thing, name)]
    return [*getattr(thing, "__dict__", {}).items(), *slots]
