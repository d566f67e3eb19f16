"""Tasks that run for as long as something else does, and of which none may end before it unnoticed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from typing import Any, NamedTuple, NoReturn

from opendtu_dcload.errors import TaskEndedError


class Task(NamedTuple):
    """What is to be run, and what it is called."""

    name: str
    coroutine: Coroutine[Any, Any, object]
    may_end: bool = False
    """It ends when it has done what it is for."""


@contextlib.asynccontextmanager
async def lasting(tasks: Iterable[Task]) -> AsyncIterator[None]:
    """Run tasks beside the body, and cancel them at its end.

    Raises:
        ExceptionGroup: what a task ended with, a TaskEndedError where it just returned or was cancelled by somebody
            else; the body and the other tasks are cancelled then.
    """
    async with asyncio.TaskGroup() as group:
        started = {group.create_task(task.coroutine, name=task.name): task for task in tasks}
        watched = [task for task, about in started.items() if not about.may_end]
        watching = group.create_task(_watch(watched), name="watch over tasks") if watched else None
        yield
        for task in (watching, *started):
            if task is not None:
                task.cancel()


async def _watch(tasks: Sequence[asyncio.Task[object]]) -> NoReturn:
    """Wait for the end of any of the tasks; a task group notices by itself only those that fail."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    names = ", ".join(f'"{task.get_name()}"' for task in done)
    raise TaskEndedError(f"the task {names} has ended, which it never should: please report this")
