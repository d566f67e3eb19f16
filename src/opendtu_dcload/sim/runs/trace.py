"""Measured house loads that the package carries, and files of the same form that a user brings."""

from __future__ import annotations

import csv
import gzip
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
    values hold until the next line; with `t_s;power_w` decimals may have a comma. A negative load is surplus solar.

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
    head, *lines = text.removeprefix("\N{BYTE ORDER MARK}").splitlines() or [""]
    separator = ";" if ";" in head else ","
    names = [name.strip(' "') for name in head.split(separator)]
    if not {"t_s", "power_w"} <= set(names):
        raise ValueError("the first line must be t_s,power_w or t_s;power_w")
    rows = []
    for number, line in enumerate(csv.reader(lines, delimiter=separator), start=2):
        fields = [field.replace(",", ".") for field in line]
        if not fields:
            continue
        if len(fields) > len(names):
            advice = "write decimals with a point, or ; between the fields"
            raise ValueError(f"line {number} has more fields than the first line: {advice}")
        row = dict(zip(names, fields, strict=False))
        try:
            rows.append((int(float(row["t_s"])), float(row["power_w"])))
        except (KeyError, OverflowError, ValueError) as err:
            raise ValueError(f"line {number} has not a time and a power") from err
    return rows


def _per_second(text: str) -> list[float]:
    try:
        rows = _rows(text)
    except csv.Error as err:
        raise ValueError(f"no CSV file ({err})") from err
    if not rows:
        raise ValueError("no lines")
    if rows[-1][0] - rows[0][0] > MAX_SECONDS:
        raise ValueError(f"longer than {MAX_SECONDS} s")
    if any(after[0] <= before[0] for before, after in pairwise(rows)):
        raise ValueError("t_s does not rise")
    if not all(abs(w) <= MAX_LOAD_W for _, w in rows):  # nor is this true of nan
        raise ValueError(f"power_w outside -{MAX_LOAD_W:.0f} to {MAX_LOAD_W:.0f}")
    load_w: list[float] = []
    for (at_s, power_w), (until_s, _) in pairwise([*rows, (rows[-1][0] + 1, 0.0)]):
        load_w.extend([power_w] * (until_s - at_s))
    return load_w
