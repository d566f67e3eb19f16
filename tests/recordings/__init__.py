"""Recordings of simulated plants in trouble, decided again by `test_recordings`.

`python -m tests.recordings` makes them anew, which is right only after the control was changed on purpose.
"""

from pathlib import Path

FOLDER = Path(__file__).parent


def recordings() -> list[Path]:
    """Return the files, in the order of their names."""
    return sorted(FOLDER.glob("*.jsonl.gz"))
