"""stdout and stderr that never make the program wait: their reader may be stuck, as a log writer on a full disk is."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Thread
from typing import TextIO

MOST_WAITING = 1000
"""Texts that wait for the reader, a line or a part of one each; what comes beyond them is lost."""
PATIENCE_S = 1.0
"""For what still waits at the end."""


@contextlib.contextmanager
def unblocked() -> Iterator[None]:
    """Let `sys.stdout` and `sys.stderr` take everything at once."""
    with (
        contextlib.closing(_Unblocked(sys.stdout)) as out,
        contextlib.closing(_Unblocked(sys.stderr)) as err,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        yield


class _Unblocked(io.TextIOBase):
    """Hands what is written to a thread, which may wait; a text that finds too many before it is lost and counted."""

    def __init__(self, stream: TextIO | None) -> None:
        """Take the stream to write to; None = it was closed before Python began, and its number may be another file."""
        self._fd = os.open(os.devnull, os.O_WRONLY) if stream is None else stream.fileno()
        self._is_terminal = stream is not None and stream.isatty()
        self._encoding = (stream and stream.encoding) or "utf-8"
        self._texts: SimpleQueue[str | None] = SimpleQueue()
        self._lost_lines = 0
        self._is_broken = False
        self._writer = Thread(target=self._write_all, name=f"writes to {self._fd}", daemon=True)
        self._writer.start()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # settable there, for nobody
        """That of the stream."""
        return self._encoding

    def fileno(self) -> int:
        """Return the number of what is written to."""
        return self._fd

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        return self._is_terminal

    def write(self, text: str) -> int:
        """Take `text`.

        Raises:
            BrokenPipeError: the reader is gone for good.
        """
        if self._is_broken:
            raise BrokenPipeError(0, "nobody reads it")
        if self._texts.qsize() >= MOST_WAITING:
            self._lost_lines += text.count("\n")
            return len(text)
        if self._lost_lines:
            self._texts.put(f"WARNING {self._lost_lines} lines are missing here: nobody read them in time\n")
            self._lost_lines = 0
        self._texts.put(text)
        return len(text)

    def close(self) -> None:
        """Wait a moment until everything is read; a reader that is stuck is left behind."""
        if not self.closed:
            self._texts.put(None)
            self._writer.join(PATIENCE_S)
        super().close()

    def _write_all(self) -> None:
        while (text := self._texts.get()) is not None:
            try:
                self._write_one(text.encode(self._encoding, "backslashreplace"))
            except BrokenPipeError:
                self._is_broken = True
            except OSError:  # a disk that is full now may not be later
                continue

    def _write_one(self, rest: bytes) -> None:
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # whoever shares the file may have made it so
                select.select([], [self._fd], [])
