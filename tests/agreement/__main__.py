"""`make agreement`: what thirteen windows cost each controller on virtual time and in real processes.

`python -m tests.agreement results.json [--windows 2] [--jobs 6] [--speed 5]` plays what is not in the file yet, and
prints the table of what is. Exits 1 if a controller's sums over one kind of windows differ by more than 10 %, or there
are none.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.agreement.real_run import FAKETIME, AgreementError, Real, real_run
from tests.agreement.windows import CONTROLLERS, KINDS, PLAYED_S, WINDOWS, virtual_wh

ALLOWED_PCT = 10.0
HEAD = f"{'window':22} {'controller':12} {'virtual Wh':>10} {'+-':>5} {'real Wh':>8} {'differ %':>8} {'late ms':>8}"


class Results:
    """What was measured, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.virtual: dict[str, list[float]] = {}
        self.real: dict[str, Real] = {}
        if path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            self.virtual = kept["virtual"]
            self.real = {key: Real(**values) for key, values in kept["real"].items()}

    def keep(self) -> None:
        """Write the file."""
        kept: dict[str, Any] = {"virtual": self.virtual, "real": {k: asdict(v) for k, v in self.real.items()}}
        self._path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def _key(window: str, controller: str) -> str:
    return f"{window}, {controller}"


def _virtual(pair: tuple[str, str]) -> list[float]:
    return virtual_wh(WINDOWS[pair[0]], pair[1])


async def play_real(results: Results, pairs: list[tuple[str, str]], jobs: int, speed: float) -> None:
    """Play what is missing or was starved, `jobs` runs side by side, each a few seconds after the last."""
    free = asyncio.Semaphore(jobs)

    async def one(window: str, controller: str) -> None:
        async with free:
            try:
                run = await real_run(WINDOWS[window], controller, speed)
            except AgreementError as err:
                print(f"{_key(window, controller)}: {err}", file=sys.stderr)
                return
        results.real[_key(window, controller)] = run
        results.keep()
        print(f"{_key(window, controller)}: {run}", file=sys.stderr, flush=True)

    async with asyncio.TaskGroup() as group:
        for pair in pairs:
            group.create_task(one(*pair), name=_key(*pair))
            await asyncio.sleep(0.5)


def table(results: Results) -> tuple[list[str], bool]:
    """Return the table, and whether the sums of each kind of window agree."""
    lines = [HEAD]
    sums = {kind: {controller: [0.0, 0.0] for controller in CONTROLLERS} for kind in KINDS}
    for name, window in WINDOWS.items():
        for controller in CONTROLLERS:
            virtual, real = results.virtual.get(_key(name, controller)), results.real.get(_key(name, controller))
            if not virtual or real is None:
                continue
            mean_wh = sum(virtual) / len(virtual)
            sums[window.kind][controller][0] += mean_wh
            sums[window.kind][controller][1] += real.waste_wh
            spread = f"{(max(virtual) - min(virtual)) / 2:5.1f}"
            late = f"{1000 * real.lag_p99_s:8.0f}{' starved' if real.is_starved else ''}"
            lines.append(_row(name, controller, mean_wh, spread, real.waste_wh) + f" {late}")
    everything = {name: [sum(kind[name][i] for kind in sums.values()) for i in (0, 1)] for name in CONTROLLERS}
    for kind, of_kind in (*sums.items(), ("all", everything)):
        lines += [_row(f"{kind} together", name, v, 5 * " ", real) for name, (v, real) in of_kind.items() if v]
    pairs = [pair for of_kind in sums.values() for pair in of_kind.values()]
    return lines, all(virtual and abs(real / virtual - 1) <= ALLOWED_PCT / 100 for virtual, real in pairs)


def _row(window: str, controller: str, virtual_wh: float, spread: str, real_wh: float) -> str:
    differ_pct = 100 * (real_wh / virtual_wh - 1)
    return f"{window:22} {controller:12} {virtual_wh:10.1f} {spread} {real_wh:8.1f} {differ_pct:+8.1f}"


def main() -> int:
    """Play, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.agreement", description="Virtual time against real time.")
    parser.add_argument("results", type=Path, help="JSON file with what was measured; is added to")
    parser.add_argument("--windows", type=int, default=len(WINDOWS), help="only the first ones")
    parser.add_argument("--jobs", type=int, default=6, help="real runs side by side")
    parser.add_argument("--speed", type=float, default=5.0, help="of the real runs' clock")
    arguments = parser.parse_args()
    if not FAKETIME.exists():
        print("faketime is not installed: apt-get install faketime", file=sys.stderr)
        return 2
    results = Results(arguments.results)
    pairs = [(window, controller) for window in list(WINDOWS)[: arguments.windows] for controller in CONTROLLERS]
    missing = [pair for pair in pairs if (run := results.real.get(_key(*pair))) is None or run.is_starved]
    begun_s = time.monotonic()
    asyncio.run(play_real(results, missing, arguments.jobs, arguments.speed))
    if missing:
        took_s = time.monotonic() - begun_s
        print(f"{len(missing)} x {PLAYED_S} s of real processes took {took_s:.0f} s", file=sys.stderr)
    unplayed = [pair for pair in pairs if _key(*pair) not in results.virtual]
    with ProcessPoolExecutor(2) as pool:
        for pair, wasted_wh in zip(unplayed, pool.map(_virtual, unplayed), strict=True):
            results.virtual[_key(*pair)] = wasted_wh
            results.keep()
    lines, do_agree = table(results)
    print(*lines, sep="\n")
    return 0 if do_agree else 1


if __name__ == "__main__":
    sys.exit(main())
