"""How far something is that takes long, in one row of a terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

BAR = 40
SURE_AFTER_S = 10.0
"""From then on it is known how long the rest takes."""
MINUTE_S = 60


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[float], None]]:
    """Give a function that shows the share done on stderr; nothing is shown where nobody looks."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    began_s = time.monotonic()
    _bar(0.0, 0.0)
    try:
        yield lambda share: _bar(share, time.monotonic() - began_s)
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _bar(share: float, taken_s: float) -> None:
    share = min(share, 1.0)
    done = int(share * BAR)
    row = f"\r[{'#' * done}{'.' * (BAR - done)}] {share:4.0%}{_rest(share, taken_s)}"
    print(f"{row}\x1b[K", end="", file=sys.stderr, flush=True)


def _rest(share: float, taken_s: float) -> str:
    if taken_s < SURE_AFTER_S or not share:
        return ""
    left_s = taken_s * (1 - share) / share
    return f", {left_s / MINUTE_S:.0f} min left" if left_s > 1.5 * MINUTE_S else f", {left_s:.0f} s left"
