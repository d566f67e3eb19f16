"""Recordings of plants in trouble, decided again by `test_replayed`.

The simulated ones are those of `troubles` (the controller alone) and of `troubled_program` (the whole program);
`python -m tests.recording` makes them anew. A user's recording is put beside them as it is, packed with gzip;
`python -m tests.recording FILE` writes the decisions of now into it. Both are right only after the control was changed
on purpose.
"""

from pathlib import Path

FOLDER = Path(__file__).parent


def recordings() -> list[Path]:
    """Return the files, in the order of their names."""
    return sorted(FOLDER.glob("*.jsonl.gz"))
