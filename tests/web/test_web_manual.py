"""Every name of the documents is explained in the manual, in the paragraph of its section."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.web.history.day_store import FILE_NAME
from opendtu_dcload.web.history.day_totals import Day
from tests.web.served import SERIALS, served

pytestmark = pytest.mark.realtime

MANUAL = (Path(__file__).parents[2] / "docs" / "web.md").read_text(encoding="utf-8")
EVERYTHING = {"solar": {"host": "192.0.2.3"}, "relay": {"host": "192.0.2.4"}}


def part(heading: str) -> str:
    return MANUAL.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def names(value: Any) -> Iterator[str]:
    """Yield all names in a part of a document; a serial is none."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in SERIALS:
                yield name
            yield from names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names(inner)


async def test_every_name_of_the_state_is_explained(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(f"{json.dumps(Day('2026-01-01', 1.0, 2.0, 3.0, 4, 5)._asdict())}\n")
    async with served(tmp_path, plant=EVERYTHING) as site:
        state = await site.document()
    assert state["days"]
    paragraphs = re.split(r"\*\*`(\w+)`\*\*", part("`/api/state`"))[1:]
    explained = dict(zip(paragraphs[::2], paragraphs[1::2], strict=True))
    explained["days"] += explained["today"]  # "the same of ..."
    holds_for_all = part("What holds for all of it")
    for section, value in state.items():
        if not isinstance(value, dict | list):
            assert f"`{section}`" in holds_for_all
            continue
        assert section in explained
        unexplained = [name for name in names(value) if f"`{name}`" not in explained[section]]
        assert unexplained == [], section
    assert explained.keys() == {name for name, value in state.items() if isinstance(value, dict | list)}


async def test_every_name_of_the_history_is_explained(tmp_path: Path) -> None:
    async with served(tmp_path) as site:
        while not (history := await site.document("/api/history"))["events"]:
            site.clock.now_s += 1.0
    text = part("`/api/history`")
    assert [name for name in names(history) if f'"{name}"' not in text and name not in history["hour"]] == []
    assert [name for name in history["hour"] if f'"{name}"' not in text] == []
