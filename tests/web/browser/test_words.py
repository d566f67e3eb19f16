"""All that the page says is there in German too, and nothing in the German file is said by nobody."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from types import ModuleType

import pytest

import opendtu_dcload.web
from opendtu_dcload.control.bookkeeping.alarms import RULES
from opendtu_dcload.control.dtu_settings import NOTES
from opendtu_dcload.control.regulation.regulator import Wait
from opendtu_dcload.model import Cause, Reason
from opendtu_dcload.tallies import Outcome
from opendtu_dcload.time_words import lasted
from opendtu_dcload.web import gate, set_points, status_document, web_server
from opendtu_dcload.web.status_document import NO_DECISION
from tests.web.browser import reasons_page
from tests.web.browser.conftest import ROOT

PAGE = Path(opendtu_dcload.web.__file__).parent / "page"
GERMAN = json.loads((PAGE / "de.json").read_text(encoding="utf-8"))
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in PAGE.glob("*.js")}
HTML = (PAGE / "index.html").read_text(encoding="utf-8")
TEXT = re.compile(r'\b(?:t|words)\(\s*"([^"]+)"')
REFUSING = (gate, set_points, web_server)
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
    texts = [*Reason, *GERMAN["reasons"].values(), GERMAN["phrases"][Reason.SWITCHED_OFF]]
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


def test_every_health_of_a_device_is_there_in_german() -> None:
    texts = set(_health_texts())
    assert texts > {"answers", "no good answer for 36 h", "its DTU does not reach it", str(Cause.BATTERY_FROZEN)}
    assert [text for text in texts if not _is_known(text)] == []


def _health_texts() -> Iterator[str]:
    """Yield all that the document can say of a device: what its functions put there or return."""
    functions = {node.name: node for node in ast.walk(_tree(status_document)) if isinstance(node, ast.FunctionDef)}
    for name in ("_devices", "_inverter_health", "_device"):
        for node in ast.walk(functions[name]):
            if isinstance(node, ast.Dict):
                told = dict(zip(map(ast.unparse, filter(None, node.keys)), node.values, strict=True))
                yield from _said(told["'text'"], functions)
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "text":
                yield from _said(node.value, functions)


def _said(node: ast.expr, functions: dict[str, ast.FunctionDef]) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from [*_said(node.body, functions), *_said(node.orelse, functions)]
    elif isinstance(node, ast.Call) and (function := functions.get(ast.unparse(node.func))) is not None:
        for inner in ast.walk(function):
            if isinstance(inner, ast.Return) and inner.value is not None:
                yield from _said(inner.value, functions)
    elif ast.unparse(node) != "text":  # which is assigned before
        values = {"age_s": 129_600.0, **vars(status_document)}
        yield str(eval(compile(ast.Expression(node), "status_document", "eval"), values))


def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


OF_NO_CONCERN_TO_THE_PAGE = (
    "the token is missing or wrong",  # it has words of its own for that
    "there is no such page",
    "too many listen already",  # the stream tells why by its number, and tries again
    "what is written must be",
    "more than {LARGEST_BYTES} bytes",
    "there is only ",
    "inverters must be an object",
    "of an inverter only is_enabled can be set",
    "{name} must be true or false",
)
"""Refusals of what the page does not send."""


def test_every_refusal_of_what_the_page_sends_is_there_in_german() -> None:
    calls = [node for module in REFUSING for node in ast.walk(_tree(module)) if isinstance(node, ast.Call)]
    made = [ast.unparse(call.args[-1]) for call in calls if ast.unparse(call.func) in {"RefusedError", "_wrong"}]
    refusals = [text.removeprefix("f")[1:].removesuffix("'") for text in made if text != "text"]
    assert len(refusals) > len(OF_NO_CONCERN_TO_THE_PAGE)
    assert [never for never in OF_NO_CONCERN_TO_THE_PAGE if not any(map(_begins(never), refusals))] == []
    met = [text for text in refusals if not text.startswith(OF_NO_CONCERN_TO_THE_PAGE)]
    number = "{name} must be a number from {low:g} to {high:g}"
    assert number in met
    bounds = [(-500.0, 500.0), (0.0, 1500.5)]
    ranges = [
        number.format(name=name, low=low, high=high)
        for name in ("grid_target_w", "max_feed_in_w")
        for low, high in bounds
    ]
    assert [
        text for text in (*met, *ranges, "a mistake of the program") if text != number and not _is_known(text)
    ] == []


def _begins(beginning: str) -> Callable[[str], bool]:
    return lambda text: text.startswith(beginning)


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
