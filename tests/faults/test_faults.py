"""A few of the faults, played to the whole program on virtual time; `make faults` plays all of them."""

from __future__ import annotations

import ast

import pytest

from tests.faults.fault import play
from tests.faults.real_rows import REAL, ROOT, RealRow
from tests.faults.rows import FAULTS

PLAYED = (
    "meter refuses, HMS",
    "meter hangs in the middle of its answer",
    "meter shows 1e400 W",
    "half of the meter's answers are lost",
    "meter becomes another device of the same kind",
    "DTU refuses, HM",
    "DTU reboots in the middle of a command",
    "DTU comes back with old firmware",
    "lost inverter, 2 x HM-800",
    "no new data and called reachable, 2 x HMS-800",
    "read-back of 100 %, 2 x HMS-800",
    "meter frozen at +150 W, HMS-800",
)


def test_each_row_has_a_name_of_its_own():
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names) >= 80


@pytest.mark.parametrize("row", REAL, ids=lambda row: row.name)
def test_what_needs_real_processes_has_its_test(row: RealRow):
    path, _, name = row.node_id.partition("::")
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    assert name in {part.name for part in body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("name", PLAYED)
def test_the_promises_of_a_fault_are_kept(name: str):
    (fault,) = (fault for fault in FAULTS if fault.name == name)
    assert not [f"{promise.what}: {promise.seen}" for promise in play(fault) if not promise.ok]
