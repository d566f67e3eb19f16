"""`python -m tests.recordings`: plays plants in which everything goes wrong, and records the controller."""

from __future__ import annotations

import gzip
import io
import sys

from tests.recordings import FOLDER
from tests.recordings.troubles import TROUBLES, play


def main() -> int:
    """Write the files; 0 when done."""
    for trouble in TROUBLES:
        text = io.StringIO()
        play(trouble, text)
        packed = gzip.compress(text.getvalue().encode(), 9, mtime=0)
        (FOLDER / f"{trouble.name}.jsonl.gz").write_bytes(packed)
        print(f"{trouble.name}: {len(text.getvalue().splitlines())} lines, {len(packed)} bytes")
    return 0


sys.exit(main())
