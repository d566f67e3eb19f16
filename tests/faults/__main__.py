"""`make faults`: plays all faults and prints for each what was promised, what was seen, and whether that will do.

`python -m tests.faults refuses HM` plays those whose name holds one of the words. What needs real processes, a bus or
the host is played by tests, run here too. Exits 1 if a promise is not kept, but for the rows that name their cause.
"""

from __future__ import annotations

import logging
import sys
from concurrent.futures import ProcessPoolExecutor

from tests.faults.fault import play
from tests.faults.real_rows import REAL, play_real
from tests.faults.rows import FAULTS
from tests.plays.lie import Promise
from tests.plays.lies import table


def _play(number: int) -> list[Promise]:
    logging.getLogger("opendtu_dcload").propagate = False
    return play(FAULTS[number])


def main(words: list[str]) -> int:
    """Play the rows and return the exit code."""

    def is_chosen(name: str) -> bool:
        return not words or any(word in name for word in words)

    faults = [number for number, fault in enumerate(FAULTS) if is_chosen(fault.name)]
    real = [row for row in REAL if is_chosen(row.name)]
    if not faults and not real:
        names = [*(fault.name for fault in FAULTS), *(row.name for row in REAL)]
        print("no row has such a name; there are:", *names, sep="\n  ", file=sys.stderr)
        return 2
    with ProcessPoolExecutor(2) as pool:
        kept = dict(zip([FAULTS[number].name for number in faults], pool.map(_play, faults), strict=True))
    kept |= dict(play_real(real)) if real else {}
    print(table(kept))
    causes = {fault.name: fault.not_kept for fault in FAULTS if fault.not_kept}
    wrong = [name for name, promises in kept.items() if not all(promise.ok for promise in promises)]
    print(
        f"{len(kept) - len(wrong)} of {len(kept)} rows ok",
        *(f"not kept: {n}: {causes.get(n, '')}" for n in wrong),
        sep="\n",
    )
    return 0 if set(wrong) <= set(causes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
