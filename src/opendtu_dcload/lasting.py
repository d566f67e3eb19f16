"""Tasks that run for as long as something else does, none of which may end or fail unnoticed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from opendtu_dcload.errors import TaskEndedError

log = logging.getLogger(__name__)


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


def tell_mishap(_: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Handle, for an event loop, what failed where nobody waits for it: in one sentence, and for who debugs in full."""
    error = context.get("exception")
    what = "".join(filter(str.isprintable, f"{type(error).__name__}: {error}")) if error is not None else "no exception"
    log.error(
        "%s (%s), and the program goes on: please report this",
        str(context.get("message", "a mishap"))[:200],
        what[:200],
    )
    log.debug("it came from here", exc_info=error)
