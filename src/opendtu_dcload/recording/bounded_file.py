"""A file that makes nobody wait, grows to a bound, and whose end costs one line in the log."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TextIO

log = logging.getLogger(__name__)

FILE_NAME = "recording.jsonl"
MOST_BYTES = 20_000_000
LONGEST_S = 86_400.0
MOST_WAITING = 1000
"""Lines that wait for the disk; with more of them it is stuck."""
PATIENCE_S = 1.0
"""For what still waits at the end."""


class BoundedFile:
    """Hands lines to a thread, which may wait."""

    def __init__(self, file: TextIO, name: str, most_bytes: int = MOST_BYTES, longest_s: float = LONGEST_S) -> None:
        """Take a file that writes each line at once, and what the log calls it."""
        self._file = file
        self._name = name
        self._left_bytes = most_bytes
        self._until_s = time.monotonic() + longest_s
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._is_closed = self._is_told = False
        self._writer = Thread(target=self._write_all, name=f"writes {name}", daemon=True)
        self._writer.start()

    @property
    def closed(self) -> bool:
        """Whether it takes no more lines."""
        return self._is_closed

    def write(self, line: str, /) -> int:
        """Take one line; what comes after the end is left out."""
        if self._is_closed:
            return len(line)
        self._left_bytes -= len(line.encode())
        if self._left_bytes < 0 or time.monotonic() > self._until_s:
            self._end("it is as large, or as long, as it may be")
        elif self._lines.qsize() >= MOST_WAITING:
            self._end("the disk does not keep up")
        else:
            self._lines.put(line)
        return len(line)

    def close(self) -> None:
        """Wait a moment until everything is written; a disk that is stuck is left behind."""
        self._is_closed = True
        self._lines.put(None)
        self._writer.join(PATIENCE_S)

    def _end(self, why: str) -> None:
        self._is_closed = True
        self._lines.put(None)
        if not self._is_told:
            self._is_told = True
            log.warning("%s ends, regulation goes on: %s", self._name, why)

    def _write_all(self) -> None:
        try:
            with self._file:
                while (line := self._lines.get()) is not None:
                    self._file.write(line)
        except OSError as err:
            self._end(err.strerror or str(err))


def open_recording(folder: Path) -> BoundedFile | None:
    """Return the file of a new recording in `folder`; None when there can be none, and the log says why.

    One that is there already may hold the very problem after which the program was started again: it is kept.
    """
    path = folder / FILE_NAME
    try:
        file = path.open("x", encoding="utf-8", buffering=1)
    except FileExistsError:
        log.warning("nothing is recorded: %s is there already; send it, or delete it and restart", path)
    except OSError as err:
        log.warning("nothing is recorded: %s cannot be written (%s)", path, err.strerror)
    else:
        log.info("%s records what is seen and decided, for a day or %d MB", path, MOST_BYTES // 1_000_000)
        return BoundedFile(file, str(path))
    return None
