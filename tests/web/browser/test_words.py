"""All that the page says is there in German too, and nothing in the German file is said by nobody."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import Path

import pytest

import opendtu_dcload.web
from opendtu_dcload.control.bookkeeping.alarms import RULES
from opendtu_dcload.control.dtu_settings import NOTES
from opendtu_dcload.control.regulation.regulator import Wait
from opendtu_dcload.model import Cause, Reason
from opendtu_dcload.tallies import Outcome
from opendtu_dcload.time_words import lasted
from opendtu_dcload.web.status_document import NO_DECISION
from tests.web.browser import reasons_page
from tests.web.browser.conftest import ROOT

PAGE = Path(opendtu_dcload.web.__file__).parent / "page"
GERMAN = json.loads((PAGE / "de.json").read_text(encoding="utf-8"))
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in PAGE.glob("*.js")}
HTML = (PAGE / "index.html").read_text(encoding="utf-8")
TEXT = re.compile(r'\b(?:t|words)\(\s*"([^"]+)"')
STATIC = re.compile(r"data-t(?: hidden)?>([^<]+)<")


@pytest.mark.parametrize(("kind", "names"), [("reasons", Reason), ("causes", Cause)])
def test_every_reason_and_cause_is_there_in_german(kind: str, names: type[StrEnum]) -> None:
    known = set(GERMAN[kind]) - {NO_DECISION}
    assert known == {each.name for each in names}
    assert all(GERMAN[kind].values())


def test_an_alarm_with_words_of_its_own_has_german_ones_too() -> None:
    assert {cause.name for cause, rule in RULES.items() if rule.text and isinstance(cause, Reason)} == set(
        GERMAN["alarms"]
    )


def test_no_reason_says_that_something_happened_at_a_gx() -> None:
    """The same is set on the page and by MQTT, where there may be no GX at all."""
    texts = [*Reason, *GERMAN["reasons"].values(), *GERMAN["phrases"], *GERMAN["phrases"].values()]
    assert [text for text in texts if re.search(r"\bGX\b|\bhier\b|\bhere\b", text)] == []


def test_every_wait_is_there_in_german() -> None:
    assert [wait for wait in Wait if wait and wait not in GERMAN["phrases"]] == []


def test_every_outcome_has_the_words_of_the_program() -> None:
    told = dict(re.findall(r'(\w+): words\("([^"]+)"\)', SCRIPTS["now.js"]))
    assert told == {outcome.name: outcome.value for outcome in Outcome}


def test_every_note_at_an_inverter_is_there_in_german() -> None:
    page = (ROOT / "docs" / "reasons-and-alarms.md").read_text(encoding="utf-8")
    rows = page.partition("## What is special about one inverter")[2].partition("\n## ")[0]
    notes = re.findall(r"^\| `([^`]+)` \|", rows, re.MULTILINE)
    assert set(NOTES.values()) < set(notes)
    assert [note for note in notes if not _is_known(note)] == []


@pytest.mark.parametrize("command", ["limit 210 W", "on", "off", "restart"])
def test_every_command_is_there_in_german(command: str) -> None:
    assert _is_known(command)


@pytest.mark.parametrize("time", [lasted(time_s) for time_s in (5.0, 300.0, 9000.0, 300_000.0)])
def test_every_age_is_there_in_german(time: str) -> None:
    assert _is_known(f"last heard of {time} ago")
    assert _is_known(f"no good answer for {time}")


def test_every_word_of_the_page_is_there_in_german_and_no_other_is() -> None:
    said = set(STATIC.findall(HTML)) | {text for script in SCRIPTS.values() for text in TEXT.findall(script)}
    assert said == set(GERMAN["page"])
    assert all(GERMAN["page"].values())


def test_what_is_put_into_a_sentence_is_put_into_the_german_one_too() -> None:
    for english, german in GERMAN["page"].items():
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", german))


def _is_known(text: str) -> bool:
    return text in GERMAN["phrases"] or any(re.fullmatch(pattern, text) for pattern in GERMAN["patterns"])


def test_nothing_is_ever_made_of_a_text_but_text() -> None:
    for script in SCRIPTS.values():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|DOMParser", script)
    assert not re.search(r"<script(?! type=\"module\" src=)|<style|\sstyle=|\son\w+=", HTML)


def test_every_reason_and_alarm_is_explained_and_as_in_the_manual() -> None:
    page = reasons_page.PAGE.read_text(encoding="utf-8")
    assert page == reasons_page.made(), "it is no longer what the manual says: run `make docs`"
    wanted = {reason.name for reason in Reason} | {f"alarm-{cause.name}" for cause in RULES}
    assert set(re.findall(r'<dt id="([^"]+)">', page)) == wanted
    assert {link for link in re.findall(r'href="#([^"]+)"', page) if link not in wanted} == set()
