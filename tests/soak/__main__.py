"""`make soak`: plays a month to the whole program on virtual time; an hour or more on one core.

`python -m tests.soak --days 2 --seed 7` plays less, or another month; `--real --hours 24 --factor 20` plays one day to
processes over HTTP and D-Bus, in 72 minutes (needs Debian's faketime). Prints a line per day or hour, and exits 1 with
one sentence at the first promise that is broken.
"""

from __future__ import annotations

import argparse
import sys

from tests.soak.month import BrokenPromiseError, Month
from tests.soak.real_day import RealDay


def main() -> int:
    """Play, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", action="store_true", help="processes, HTTP and D-Bus instead of virtual time")
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--factor", type=float, default=20.0, help="how much faster time passes")
    arguments = parser.parse_args()
    try:
        if arguments.real:
            with RealDay(arguments.factor) as day:
                for line in day.hours(arguments.hours):
                    print(line, flush=True)
            return 0
        with Month(arguments.days, arguments.seed) as month:
            for figures in month.days():
                print(figures, flush=True)
    except BrokenPromiseError as err:
        print(f"NOT KEPT: {err}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
