"""Measured house loads: those that the package carries, and files that a user brings."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from opendtu_dcload.errors import ConfigError
from opendtu_dcload.recording.recorded_fields import MARK
from opendtu_dcload.sim.loads.measured_load import MeasuredLoad, total
from opendtu_dcload.sim.loads.power_table import power_load
from opendtu_dcload.sim.loads.recorded_load import recorded_load
from opendtu_dcload.sim.loads.shelly_history import history_load, is_history, table_of_answer
from opendtu_dcload.sim.loads.table import read_table

DEFAULT_TRACE = "ukdale_h1_2013-04-13"
MOST_BYTES = 30_000_000
"""Of a file, unpacked: a year of a Shelly's minutes has two thirds of it. Reading takes 50 times as much memory."""

SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How the files of spreadsheets begin: packed ones, and the old ones of Excel."""


def trace_names() -> list[str]:
    """Return the names of the traces that the package carries."""
    folder = resources.files("opendtu_dcload.sim.runs") / "traces"
    return sorted(f.name.removesuffix(".csv.gz") for f in folder.iterdir() if f.name.endswith(".csv.gz"))


def load_trace(name_or_path: str) -> list[float]:
    """Return a house load in W, one value per second; a negative load is surplus solar.

    Raises:
        ConfigError: as `read_traces`, or it is longer than 8 days.
    """
    load = read_traces([name_or_path])
    try:
        return load.per_second_w()
    except ValueError as err:
        raise ConfigError([_refusal(name_or_path, str(err))]) from err


def read_traces(names_or_paths: Sequence[str], column: str | None = None) -> MeasuredLoad:
    """Return the load of carried traces or files, plain or .gz, which are added.

    A file is a CSV file with times and powers, a Shelly's history, or a recording of the service.

    Args:
        names_or_paths: at least one.
        column: the name of the power's column; None = find it.

    Raises:
        ConfigError: there is no such trace, or there is no load in it.
    """
    loads = [_read(name, column) for name in names_or_paths]
    try:
        return total(loads)
    except ValueError as err:
        raise ConfigError([f"--trace: {err}"]) from err


def _read(name_or_path: str, column: str | None) -> MeasuredLoad:
    carried = resources.files("opendtu_dcload.sim.runs") / "traces" / f"{name_or_path}.csv.gz"
    try:
        text = _unpacked(carried.read_bytes() if carried.is_file() else _bytes_of(Path(name_or_path)))
        if text.startswith(f'{{"{MARK}"'):
            return recorded_load(Path(name_or_path))
        if text.lstrip()[:1] == "{":
            return history_load(table_of_answer(text))
        table = read_table(text)
        return history_load(table) if column is None and is_history(table) else power_load(table, column)
    except (OSError, EOFError, ValueError, zlib.error) as err:
        why = (err.strerror if isinstance(err, OSError) else None) or str(err)
        raise ConfigError([_refusal(name_or_path, why)]) from err


def _refusal(name_or_path: str, why: str) -> str:
    if why[:1].islower() or why[:1] == "-":
        return f"trace {name_or_path!r}: {why}"
    return (
        f"trace {name_or_path!r}: {why}; write a CSV file with times and powers, or one of: {', '.join(trace_names())}"
    )


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return _bounded(file.read(MOST_BYTES + 1))


def _unpacked(raw: bytes) -> str:
    """Return the text of a file: spreadsheets on Windows write UTF-16 and their own code page."""
    if raw[:2] == b"\x1f\x8b":
        raw = _decompressed(raw)
    if raw.startswith(SPREADSHEETS):
        raise ValueError("it is a spreadsheet or a ZIP file: save the table in it as CSV")
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return raw.decode("utf-16")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _decompressed(packed: bytes) -> bytes:
    """Return what is in a .gz, which may have several members one after the other."""
    raw = b""
    while packed:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        raw = _bounded(raw + unpacker.decompress(packed, MOST_BYTES + 1 - len(raw)))
        if not unpacker.eof:
            raise ValueError("it is cut off: fetch or pack it again")
        packed = unpacker.unused_data
    return raw


def _bounded(raw: bytes) -> bytes:
    if len(raw) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES // 1_000_000} MB: keep less of it")
    return raw
