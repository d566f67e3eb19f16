"""What a Shelly meter keeps of the last weeks: energies by the minute, or of the first generation by ten minutes.

Generation 2 and later: `/emdata/0/data.csv?add_keys=true` and `EMData.GetData` (EM1Data likewise; described at
shelly-api-docs.shelly.cloud), Unix time at the beginning of each minute, Wh within it for each phase. First generation:
`/emeter/N/em_data.csv`, one file for each phase, "Date/time UTC" and Wh within ten minutes. All of them count each
phase by itself and both ways.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from opendtu_dcload.devices import json_fields
from opendtu_dcload.sim.loads.clock_times import times_of
from opendtu_dcload.sim.loads.measured_load import MeasuredLoad, step_s
from opendtu_dcload.sim.loads.number_forms import number_of
from opendtu_dcload.sim.loads.power_table import load_of
from opendtu_dcload.sim.loads.table import Table, is_missing

GEN2_S, GEN1_S = 60, 600
WS_PER_WH = 3600.0
_IMPORT = re.compile(r"([abc]_)?total_act_energy|active energy wh( \([abc]\))?", re.IGNORECASE)
_EXPORT = re.compile(r"([abc]_)?total_act_ret_energy|returned energy wh( \([abc]\))?", re.IGNORECASE)
_TIMES = ("timestamp", "date/time utc")
MOST_VALUES = 5_000_000


def is_history(table: Table) -> bool:
    """Tell whether a table is what a Shelly's page or address gives."""
    return any(map(_IMPORT.fullmatch, table.names)) and table.names[0].lower() in _TIMES


def history_load(table: Table) -> MeasuredLoad:
    """Return the load in a Shelly's history: what was bought less what was given, over all phases in it.

    Raises:
        ValueError: there is a mistake in it.
    """
    signs = [bool(_IMPORT.fullmatch(name)) - bool(_EXPORT.fullmatch(name)) for name in table.names]
    kept = [
        (line, cells)
        for line, cells in table.rows
        if not any(is_missing(cell) for cell, sign in zip(cells, signs, strict=True) if sign)
    ]
    if not kept:
        raise ValueError("there are no lines with energies in it")
    energies_wh = [_net_wh(line, cells, signs) for line, cells in kept]
    is_first_generation = table.names[0].lower() == _TIMES[1]
    times = times_of([cells[0] for _, cells in kept], [line for line, _ in kept], table.names[0])
    seconds = [(int(at_s), 0.0) for at_s in times.seconds]
    usual_s = step_s(seconds) if len(seconds) > 1 else (GEN1_S if is_first_generation else GEN2_S)
    phases = sum(sign > 0 for sign in signs)
    left_out = len(table.rows) - len(kept)
    notes = [f"Lines without energies: {left_out}; the one before them holds."] if left_out else []
    if is_first_generation:
        notes.append("A Shelly of the first generation keeps each phase in a file of its own: give all three of a 3EM.")
    told = f"a Shelly's history, {phases} phase{'s' if phases > 1 else ''}"
    powers_w = [energy_wh * WS_PER_WH / usual_s for energy_wh in energies_wh]
    return load_of(times, powers_w, told, tuple(notes), usual_s)


def table_of_answer(text: str) -> Table:
    """Return an answer of `EMData.GetData` or `EM1Data.GetData`, bare or in its frame, as the table it would be as CSV.

    Raises:
        ValueError: it is none.
    """
    fields = json_fields.document(text.encode())
    fields = fields.get("result", fields) if isinstance(fields, dict) else fields
    keys, blocks = (fields.get("keys"), fields.get("data")) if isinstance(fields, dict) else (None, None)
    if not (isinstance(keys, list) and isinstance(blocks, list) and all(isinstance(key, str) for key in keys)):
        raise ValueError('it is no answer of EMData.GetData with "keys" and "data": ask again with add_keys=true')
    rows: list[tuple[int, Sequence[str]]] = []
    for number, block in enumerate(blocks, start=1):
        rows += [(number, [at_s, *cells]) for at_s, cells in _block(number, block, len(keys))]
    return Table(("timestamp", *keys), rows)


def _block(number: int, block: object, width: int) -> list[tuple[str, list[str]]]:
    told = block if isinstance(block, Mapping) else {}
    at_s, period_s, values = told.get("ts"), told.get("period"), told.get("values")
    if not (type(at_s) is type(period_s) is int and 0 < period_s <= 86400 and isinstance(values, list)):
        raise ValueError(f"block {number} of data has no ts, period and values: fetch it again")
    if not all(isinstance(row, list) and len(row) == width for row in values) or len(values) * width > MOST_VALUES:
        raise ValueError(f"block {number} of data has not as many values as there are keys: fetch it again")
    texts = [["" if value is None else str(value) for value in row] for row in values]
    return [(str(at_s + place * period_s), row) for place, row in enumerate(texts)]


def _net_wh(line: int, cells: Sequence[str], signs: Sequence[int]) -> float:
    net_wh = 0.0
    for cell, sign in zip(cells, signs, strict=True):
        if sign:
            energy_wh = number_of(cell)
            if energy_wh is None:
                raise ValueError(f"line {line}: {cell[:40]!r} is no energy in Wh; correct it, or delete the line")
            net_wh += sign * energy_wh
    return net_wh
