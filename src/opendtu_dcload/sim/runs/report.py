"""`simulate`: a measured day on virtual time, with a progress bar and a readable result."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from opendtu_dcload.errors import ConfigError
from opendtu_dcload.sim.runs.simulate import Result, default_models, simulate
from opendtu_dcload.sim.runs.trace import DEFAULT_TRACE, load_trace

BAR = 40


def print_simulation(trace: str | None, seed: int, record: Path | None = None) -> int:
    """Play a trace (None = the carried one) and print what it cost; return the exit code.

    Raises:
        ConfigError: no such trace, or the file to record it in cannot be written.
    """
    name = trace or DEFAULT_TRACE
    load_w = load_trace(name)
    models = default_models()
    print(f"{name}: {len(load_w) / 3600:.1f} h, {len(models)} inverters of {models[0].rated_w:.0f} W, seed {seed}")
    started_s = time.monotonic()
    with progress_bar() as progress, _recording(record) as recording:
        result = simulate(load_w, models=models, seed=seed, progress=progress, record=recording)
    print(_report(result))
    print(f"took                  {time.monotonic() - started_s:9.1f} s")
    return 0


@contextlib.contextmanager
def _recording(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    try:
        with path.open("w", encoding="utf-8") as file:
            yield file
    except OSError as err:
        raise ConfigError([f"{path} cannot be written: {err.strerror}; name another file"]) from err


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[float], None]]:
    """Give a function that shows the share done on stderr; nothing is shown where nobody looks."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    _bar(0.0)
    try:
        yield _bar
    finally:
        print("\r" + " " * (BAR + 8) + "\r", end="", file=sys.stderr, flush=True)


def _bar(share: float) -> None:
    done = min(int(share * BAR), BAR)
    print(f"\r[{'#' * done}{'.' * (BAR - done)}] {min(share, 1.0):4.0%}", end="", file=sys.stderr, flush=True)


def _report(result: Result) -> str:
    counters = result.counters
    return "\n".join(
        [
            f"load                  {result.load_wh:9.0f} Wh",
            f"exported              {result.exported_wh:9.0f} Wh",
            f"imported              {result.imported_wh:9.0f} Wh",
            f"  with room           {result.avoidable_wh:9.0f} Wh  (imported although an inverter had room)",
            f"waste                 {result.waste_wh:9.0f} Wh  (2 x exported + imported with room)",
            f"ideal (J0)            {result.ideal_wh:9.0f} Wh  (plant output = load 3.7 s ago)",
            f"waste / J0            {result.ratio:9.2f}",
            f"limits sent           {counters.limits:9d}     ({counters.limits / result.hours:.0f} per hour)",
            f"power commands        {counters.power:9d}",
            f"persistent limits     {counters.persistent:9d}",
            f"raised while pending  {counters.raised_or_repeated_while_pending:9d}     (or repeated)",
        ]
    )
