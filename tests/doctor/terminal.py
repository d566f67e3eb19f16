"""The program at a real pseudo-terminal, and somebody who answers its questions."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path


class Terminal:
    """What was said so far, and the keyboard."""

    def __init__(self, process: asyncio.subprocess.Process, number: int) -> None:
        self.said = ""
        self.answers = 0
        self.process = process
        self._number = number
        self._read_to = 0
        self._more = asyncio.Event()
        self._is_over = False
        asyncio.get_running_loop().add_reader(number, self._take)

    def _take(self) -> None:
        try:
            chunk = os.read(self._number, 4096)
        except OSError:  # how Linux says that the other side has closed it
            chunk = b""
        if not chunk:
            self._is_over = True
            asyncio.get_running_loop().remove_reader(self._number)
        self.said += chunk.decode(errors="replace")
        self._more.set()

    async def hear(self, words: str) -> None:
        """Wait until the program has said `words` since what was heard last."""
        while (at := self.said.find(words, self._read_to)) < 0:
            assert not self._is_over, self.said
            self._more.clear()
            await self._more.wait()
        self._read_to = at + len(words)

    @property
    def heard(self) -> str:
        """All that was said up to the end of what was heard last."""
        return self.said[: self._read_to]

    async def answer(self, question: str, *answers: str | bytes) -> None:
        """Wait for a question, and answer it as often as there are answers, each time that it is put."""
        for answer in answers:
            await self.hear(question)
            self.answers += 1
            self.type((answer if isinstance(answer, bytes) else answer.encode()) + b"\n")

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._number, keys)

    async def end(self) -> int:
        """Wait until the program ends; return its exit code."""
        while not self._is_over:
            self._more.clear()
            await self._more.wait()
        return await self.process.wait()


@contextlib.asynccontextmanager
async def at_terminal(*arguments: str | Path, program: str = "", **more: str) -> AsyncIterator[Terminal]:
    """Start the program, or other code, at a terminal of its own, with `more` in its environment."""
    environ = {name: value for name, value in os.environ.items() if name != "DBUS_SESSION_BUS_ADDRESS"}
    code = ("-c", program) if program else ("-m", "opendtu_dcload")
    async with typed((sys.executable, *code, *map(str, arguments)), environ | more) as terminal:
        yield terminal


@contextlib.asynccontextmanager
async def typed(command: Sequence[str], environ: Mapping[str, str]) -> AsyncIterator[Terminal]:
    """Start a command at a terminal of its own."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *command, stdin=theirs, stdout=theirs, stderr=theirs, env={"NO_COLOR": "1", **environ}
    )
    os.close(theirs)
    terminal = Terminal(process, ours)
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
