"""The manual's page of what happens when, against the fault table: each row is proved by a fault, with its number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults.page_rows import DETECTED, PAGE
from tests.faults.real_rows import REAL
from tests.faults.rows import FAULTS

SAFETY = (Path(__file__).parents[2] / "docs" / "safety.md").read_text(encoding="utf-8")
LATE_S = 45.0
"""A fault is told so much later than its time at most: it shows with a command, which is tried again each 45 s."""
NAMES = {fault.name for fault in FAULTS} | {row.name for row in REAL}


def table(heading: str) -> list[tuple[str, ...]]:
    """Return the cells of the table below a heading, without its head."""
    part = SAFETY.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines[2:]]


def test_the_page_says_what_the_faults_promise():
    assert table("What fails, what happens, after how long") == [cells for row in PAGE for cells in row.cells]


@pytest.mark.parametrize("row", PAGE, ids=lambda row: row.what)
def test_each_row_of_the_page_is_proved_by_a_fault(row):
    for happens in row.happens:
        assert happens.proved_by or (happens.seen is not None and row.timed in FAULTS), happens.what
        assert NAMES.issuperset(happens.proved_by), happens.what


def test_each_lie_on_the_page_is_proved_by_a_fault():
    rows = table("What is detected, and how quickly")
    assert [row[0] for row in rows] == list(DETECTED)
    assert NAMES.issuperset(DETECTED.values())


def test_what_the_page_says_is_told_is_told_in_these_words_and_in_time():
    told = {row[0]: row[2] for row in table("What is detected, and how quickly")}
    faults = {fault.name: fault for fault in FAULTS}
    lies = [(told[what], faults[name]) for what, name in DETECTED.items() if name in faults and faults[name].words]
    assert len(lies) == 6
    for text, fault in lies:
        assert re.search(fault.words, text, re.IGNORECASE), fault.name
        number, unit = re.findall(r"(\d+) (s|minutes)", text)[0]
        assert fault.told_s <= float(number) * (1 if unit == "s" else 60) + LATE_S, fault.name
