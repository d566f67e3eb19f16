"""`python -m tests.recording [FILE]`: plays plants in which everything goes wrong, or decides a recording anew."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TextIO

from opendtu_dcload.recording.recorder import RecordedController
from opendtu_dcload.recording.replay import replay
from tests.recording import FOLDER, troubled_program, troubles

PLAYED: dict[str, Callable[[TextIO], None]] = {
    **{trouble.name: partial(troubles.play, trouble) for trouble in troubles.TROUBLES},
    troubled_program.NAME: troubled_program.play,
}
"""All that is recorded, by the file's name."""


def decided_anew(path: Path) -> str:
    """Return a recording with the decisions of now."""
    text = io.StringIO()
    replay(path, partial(RecordedController, text))
    return text.getvalue()


def write(path: Path, text: str) -> None:
    """Write a packed recording."""
    packed = gzip.compress(text.encode(), 9, mtime=0)
    path.write_bytes(packed)
    print(f"{path}: {text.count(chr(10))} lines, {len(packed)} bytes")


def main() -> int:
    """Write the files; 0 when done."""
    for path in map(Path, sys.argv[1:]):
        write(path, decided_anew(path))
    for name, play in PLAYED.items() if len(sys.argv) == 1 else ():
        text = io.StringIO()
        play(text)
        write(FOLDER / f"{name}.jsonl.gz", text.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main())
