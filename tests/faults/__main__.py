"""`make faults`: plays all faults and prints for each what was promised, what was seen, and whether that will do.

`python -m tests.faults refuses HM` plays those whose name holds one of the words. Exits 1 if a promise is not kept.
"""

from __future__ import annotations

import logging
import sys
from concurrent.futures import ProcessPoolExecutor

from tests.faults.fault import play
from tests.faults.rows import FAULTS
from tests.plays.lie import Lie, Promise
from tests.plays.lies import table


def chosen(words: list[str]) -> list[Lie]:
    """Return the rows whose name holds one of the words, all without any."""
    return [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]


def _play(number: int) -> list[Promise]:
    logging.getLogger("opendtu_dcload").propagate = False
    return play(FAULTS[number])


def main(words: list[str]) -> int:
    """Play the rows and return the exit code."""
    faults = chosen(words)
    if not faults:
        print("no row has such a name; there are:", *(fault.name for fault in FAULTS), sep="\n  ", file=sys.stderr)
        return 2
    with ProcessPoolExecutor(2) as pool:
        kept = dict(zip([f.name for f in faults], pool.map(_play, [FAULTS.index(f) for f in faults]), strict=True))
    print(table(kept))
    rows = sum(all(promise.ok for promise in promises) for promises in kept.values())
    print(f"{rows} of {len(kept)} rows ok")
    return 0 if rows == len(kept) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
