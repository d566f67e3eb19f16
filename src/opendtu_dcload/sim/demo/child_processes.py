"""Processes that end with the one that started them, whatever happens to it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

_PR_SET_PDEATHSIG = 1  # Linux: prctl(2)
_LIBC = ctypes.CDLL(None)
KILL_AFTER_S = 8.0
"""The controller may take 5 s to leave its inverters in a safe state."""
LONGEST_LINE_BYTES = 1 << 20

Line = Callable[[str], None]


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.asynccontextmanager
async def child(
    argv: Sequence[str], on_stdout: Line, on_stderr: Line, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """Run a process in a session of its own; at the end it gets TERM, and KILL if that does not help.

    Each line that it writes is handed on without its end. Its own session keeps the terminal's Ctrl-C away from it: who
    started it decides in which order things end.

    Raises:
        OSError: it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env=environ,
        limit=LONGEST_LINE_BYTES,
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )
    assert process.stdout
    assert process.stderr
    readers = [
        asyncio.create_task(_read(process.stdout, on_stdout), name=f"stdout of {process.pid}"),
        asyncio.create_task(_read(process.stderr, on_stderr), name=f"stderr of {process.pid}"),
    ]
    try:
        yield process
    finally:
        await _end(process)
        # A grandchild may hold the pipes open; what it would still say is of no interest.
        _, late = await asyncio.wait(readers, timeout=1.0)
        for reader in late:
            reader.cancel()


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), KILL_AFTER_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _read(stream: asyncio.StreamReader, on_line: Line) -> None:
    with contextlib.suppress(ValueError):  # a line beyond measure; nobody here writes one
        async for line in stream:
            on_line(line.decode(errors="replace").rstrip("\r\n"))
