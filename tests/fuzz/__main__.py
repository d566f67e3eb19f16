"""Plays very many spoilt inputs to every door and tells what came of those that should not have done anything else.

`make fuzz` plays a million in two processes; `python -m tests.fuzz --inputs 20000 config opendtu` fewer, to two doors.
An input that failed is written into a file: move it into the door's folder of `corpus`, and `make test` plays it.
Exits 1 if one failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter, deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz.mutation import mutate
from tests.fuzz.targets import TARGETS

_AT_ONCE = 2000
"""Inputs of one job of a process."""
_LARGEST_POOL, _LONGEST_KEPT = 200, 20_000


@dataclass(slots=True)
class Played:
    """What came of inputs to one door."""

    count: int = 0
    taken: int = 0
    """Inputs that had something usable in them."""
    failed: Counter[str] = field(default_factory=Counter)
    """By exception and place."""
    inputs: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    """The shortest input for each, and its traceback."""
    cpu_s: float = 0.0
    slowest: tuple[float, bytes] = (0.0, b"")

    def add(self, other: Played) -> None:
        """Add what came of others."""
        self.count += other.count
        self.taken += other.taken
        self.cpu_s += other.cpu_s
        self.failed += other.failed
        self.slowest = max(self.slowest, other.slowest)
        for where, found in other.inputs.items():
            self.keep(where, *found)

    def keep(self, where: str, data: bytes, told: str) -> None:
        """Keep an input that failed if none is shorter."""
        if where not in self.inputs or len(data) < len(self.inputs[where][0]):
            self.inputs[where] = data, told


def play(name: str, seed: str, count: int) -> Played:
    """Play so many inputs to one door; what is taken although it was spoilt is spoilt further."""
    target, rng, played = TARGETS[name], Random(seed), Played(count)
    seeds, usable, spoilt = target.seeds(), list[bytes](), deque[bytes](maxlen=_LARGEST_POOL)
    began_s = time.process_time()
    for index in range(count):
        is_seed = index < len(seeds)
        pool = spoilt if spoilt and rng.randrange(2) else usable or seeds
        data = seeds[index] if is_seed else mutate(rng.choice(pool), seeds, rng)
        input_began_s = time.process_time()
        try:
            is_taken = target.check(data)
        except Exception as err:
            where = _where(err)
            played.failed[where] += 1
            played.keep(where, data, traceback.format_exc())
        else:
            played.taken += is_taken
            if is_taken and len(data) <= _LONGEST_KEPT:
                (usable if is_seed else spoilt).append(data)
        played.slowest = max(played.slowest, (time.process_time() - input_began_s, data))
    played.cpu_s = time.process_time() - began_s
    return played


def _where(err: Exception) -> str:
    frame = traceback.extract_tb(err.__traceback__)[-1]
    return f"{type(err).__name__} in {Path(frame.filename).name}, line {frame.lineno}"


def play_all(names: list[str], inputs: int, seed: int, processes: int) -> dict[str, Played]:
    """Share the inputs over the doors and the processes."""
    shares = sum(TARGETS[name].share for name in names)
    jobs = []
    for name in names:
        count = -(-inputs * TARGETS[name].share // shares)
        jobs += [(name, f"{seed} {name} {start}", min(_AT_ONCE, count - start)) for start in range(0, count, _AT_ONCE)]
    all_played = {name: Played() for name in names}
    with ProcessPoolExecutor(processes) as pool:
        for (name, *_), played in zip(jobs, pool.map(play, *zip(*jobs, strict=True)), strict=True):
            all_played[name].add(played)
    return all_played


def main() -> int:
    """Play and tell; 1 when an input failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("doors", nargs="*", metavar="DOOR", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--inputs", type=int, default=1_000_000, metavar="N", help="in all")
    parser.add_argument("--seed", type=int, default=int(time.time()), metavar="N", help="to play the same again")
    parser.add_argument("--processes", type=int, default=2, metavar="N")
    arguments = parser.parse_args()
    if unknown := set(arguments.doors) - set(TARGETS):
        parser.error(f"there is no door {', '.join(sorted(unknown))}")
    print(f"seed {arguments.seed}", flush=True)
    began_s = time.monotonic()
    all_played = play_all(arguments.doors or list(TARGETS), arguments.inputs, arguments.seed, arguments.processes)
    folder = Path(tempfile.gettempdir())
    for name, played in all_played.items():
        _tell(name, played, folder)
    count, failed = (sum(p.count for p in all_played.values()), sum(p.failed.total() for p in all_played.values()))
    print(f"{count} inputs in {time.monotonic() - began_s:.0f} s, {failed} of them failed")
    return 1 if failed else 0


def _tell(name: str, played: Played, folder: Path) -> None:
    slowest_s, slowest = played.slowest
    count = max(played.count, 1)
    print(
        f"{name:<14}{played.count:>8} inputs  {played.taken / count:4.0%} taken  {played.cpu_s / count * 1000:6.2f} ms "
        f"each  slowest {slowest_s * 1000:6.0f} ms ({len(slowest)} bytes)  {played.failed.total()} failed"
    )
    for index, (where, count) in enumerate(played.failed.most_common()):
        data, told = played.inputs[where]
        path = folder / f"fuzz_{name}_{index}"
        path.write_bytes(data)
        print(f"  {count} x {where}; one of {len(data)} bytes: {path}\n    {data[:300]!r}\n{told}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
