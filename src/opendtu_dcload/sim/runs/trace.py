"""Measured house loads that the package carries, and files of the same form that a user brings."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from importlib import resources
from itertools import pairwise
from pathlib import Path

from opendtu_dcload.errors import ConfigError

DEFAULT_TRACE = "ukdale_h1_2013-04-13"
MAX_SECONDS = 8 * 86400
MAX_LOAD_W = 100_000.0


def trace_names() -> list[str]:
    """Return the names of the traces that the package carries."""
    folder = resources.files("opendtu_dcload.sim.runs") / "traces"
    return sorted(f.name.removesuffix(".csv.gz") for f in folder.iterdir() if f.name.endswith(".csv.gz"))


def load_trace(name_or_path: str) -> list[float]:
    """Return a house load in W, one value per second.

    Takes the name of a carried trace, or the path of a CSV file (plain or .gz) with the header `t_s,power_w`, whose
    values hold until the next line.

    Raises:
        ConfigError: no such trace, or not a file of that form.
    """
    carried = resources.files("opendtu_dcload.sim.runs") / "traces" / f"{name_or_path}.csv.gz"
    try:
        raw = carried.read_bytes() if carried.is_file() else Path(name_or_path).read_bytes()
        text = gzip.decompress(raw).decode() if raw[:2] == b"\x1f\x8b" else raw.decode()
        return _per_second(text)
    except (OSError, EOFError, ValueError, zlib.error) as err:
        names = ", ".join(trace_names())
        raise ConfigError([f"trace {name_or_path!r}: {err}; write one of: {names}, or a CSV file t_s,power_w"]) from err


def _rows(text: str) -> list[tuple[int, float]]:
    try:
        return [(int(float(row["t_s"])), float(row["power_w"])) for row in csv.DictReader(io.StringIO(text))]
    except (csv.Error, KeyError, OverflowError, TypeError, ValueError) as err:
        raise ValueError("a line has not a time and a power") from err


def _per_second(text: str) -> list[float]:
    rows = _rows(text)
    if not rows:
        raise ValueError("no lines")
    if rows[-1][0] - rows[0][0] > MAX_SECONDS:
        raise ValueError(f"longer than {MAX_SECONDS} s")
    if any(after[0] <= before[0] for before, after in pairwise(rows)):
        raise ValueError("t_s does not rise")
    if not all(math.isfinite(w) and 0 <= w <= MAX_LOAD_W for _, w in rows):
        raise ValueError(f"power_w outside 0 to {MAX_LOAD_W:.0f}")
    load_w: list[float] = []
    for (at_s, power_w), (until_s, _) in pairwise([*rows, (rows[-1][0] + 1, 0.0)]):
        load_w.extend([power_w] * (until_s - at_s))
    return load_w
