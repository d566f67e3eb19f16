"""The manual says what the program has and shows: complete tables, exact texts, links that lead somewhere."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from opendtu_dcload.config import SECTIONS
from opendtu_dcload.control import explanation
from opendtu_dcload.control.bookkeeping.alarms import RULES, _alarm
from opendtu_dcload.control.dtu_settings import NOTES
from opendtu_dcload.control.reason_delays import alarm_after_s
from opendtu_dcload.control.regulation.regulator import Wait
from opendtu_dcload.model import Cause, Reason, Severity
from opendtu_dcload.tallies import Outcome
from opendtu_dcload.venus.services.diagnostics import _ON_ITS_WAY
from tests import manual

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REASONS = (ROOT / "docs" / "reasons-and-alarms.md").read_text(encoding="utf-8")
LARGEST_README_BYTES = 10_000


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the tables below a heading of the second level, without those of their heads."""
    (part,) = [part for part in re.split(r"^## ", REASONS, flags=re.MULTILINE) if part.startswith(f"{heading}\n")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:3] == "| `"]
    assert all(len(row) == len(cells[0]) and all(row) for row in cells)
    return [[row[0].strip("`"), *row[1:]] for row in cells]


def test_each_reason_has_a_row_with_the_text_that_is_shown():
    assert sorted(row[0] for row in rows("Reasons")) == sorted(str(reason) for reason in Reason)


def test_each_alarm_has_a_row_with_its_text_and_the_worst_is_first():
    alarms = [_alarm(cause, "", "", 0.0) for cause in RULES]
    assert [row[0] for row in rows("Alarms")] == [alarm.text for alarm in alarms]
    assert set(Cause) <= set(RULES)
    warned = {row[0] for row in rows("Alarms") if row[1].startswith("warning")}
    assert warned == {alarm.text for alarm in alarms if alarm.severity is Severity.WARNING}


@pytest.mark.parametrize("cause", [cause for cause in RULES if alarm_after_s(cause)], ids=str)
def test_an_alarm_that_takes_its_time_has_a_time_in_its_row(cause):
    (when,) = [row[1] for row in rows("Alarms") if row[0] == _alarm(cause, "", "", 0.0).text]
    assert re.search(r"\d|a minute", when), when
    assert "at once" not in when


def notes() -> Iterator[str]:
    """Yield a pattern for each text that `note` returns."""
    yield from map(re.escape, NOTES.values())
    yield re.escape(Reason.SWITCHED_OFF)
    (function,) = ast.parse(inspect.getsource(explanation.note)).body
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    branches = [[value.body, value.orelse] if isinstance(value, ast.IfExp) else [value] for value in returned]
    parts = [part for branch in branches for part in branch]
    for part in parts:
        if isinstance(part, ast.Constant) and part.value:
            yield re.escape(str(part.value))
        elif isinstance(part, ast.JoinedStr):
            yield "".join(re.escape(str(p.value)) if isinstance(p, ast.Constant) else r"\d+" for p in part.values)


def test_each_remark_about_an_inverter_has_a_row():
    texts = [row[0] for row in rows("What is special about one inverter")]
    patterns = list(notes())
    assert len(patterns) == len(texts) == 10
    for pattern in patterns:
        assert len([text for text in texts if re.fullmatch(pattern, text)]) == 1, pattern


def test_each_way_to_wait_has_a_row():
    assert sorted(row[0] for row in rows("Why it waits")) == sorted(str(wait) for wait in Wait if wait)


def test_each_result_of_a_command_has_a_row():
    shown = [*map(str, Outcome), *_ON_ITS_WAY.values()]
    assert sorted(row[0] for row in rows("What came of a command")) == sorted(shown)


# ---- tables


@pytest.mark.parametrize("name", manual.PAGES)
def test_the_tables_are_those_of_the_program(name):
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == manual.page(name), "run `make docs`"


def test_every_setting_and_every_path_says_what_it_means():
    for model in SECTIONS.values():
        assert model.model_fields.keys() == manual.docstrings(model).keys()
        assert all(manual.docstrings(model).values()), model
    for _, service in manual.services():
        assert not [path for path, item in service._items.items() if not item.meaning], service.name


# ---- pages


def anchors(page: Path) -> set[str]:
    """Return the names that GitHub gives a page's headings."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_ours_that_is_named_exists(page):
    named = re.findall(r"\b((?:src|tests|deploy)/[\w./-]+\.\w+)", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_make_knows_every_target_that_is_named():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    make = ["make", "--question", "--print-data-base", "--no-builtin-rules", "--directory", str(ROOT), "clean"]
    database = subprocess.run(make, env=environment, capture_output=True, text=True, check=False).stdout
    targets = re.findall(r"^([\w-]+):", database, flags=re.MULTILINE)
    pages = [*PAGES, ROOT / "CONTRIBUTING.md"]
    named = {name for page in pages for name in re.findall(r"`make ([\w-]+)", page.read_text(encoding="utf-8"))}
    assert len(named) > 10
    assert named - set(targets) == set()


def test_every_page_is_reached_from_the_readme():
    readme = PAGES[0].read_text(encoding="utf-8")
    assert [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in readme] == []


def test_the_readme_is_short():
    assert len(PAGES[0].read_bytes()) <= LARGEST_README_BYTES
