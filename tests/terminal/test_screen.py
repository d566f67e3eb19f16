"""What stands on a terminal after the program has drawn: a small terminal that knows what the program sends."""

from __future__ import annotations

import io
import logging
import os
import re
import sys

import pytest

from opendtu_dcload.terminal.screen import Colour, Screen, screen_of
from tests.terminal.drawn import Drawn


class Written(io.StringIO):
    """A stream that says that it is a terminal, or not."""

    def __init__(self, *, is_terminal: bool = True, encoding: str = "UTF-8") -> None:
        super().__init__()
        self._is_terminal, self._encoding = is_terminal, encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute there
        return self._encoding

    def isatty(self) -> bool:
        return self._is_terminal


class Stage:
    """A screen, and the terminal that it draws on."""

    def __init__(self, columns: int = 30, lines: int = 8, *, has_colour: bool = False) -> None:
        self.stream = Written()
        self.terminal = Drawn(columns, lines)
        self.screen = Screen(self.stream, lambda: self.size, has_colour)

    @property
    def size(self) -> os.terminal_size:
        return os.terminal_size((self.terminal.columns, self.terminal.lines))

    def draw(self, *rows: str) -> list[str]:
        self.screen.draw([[(row, Colour.GREEN)] for row in rows])
        return self.seen()

    def say(self, text: str) -> list[str]:
        self.screen.say(text)
        return self.seen()

    def seen(self) -> list[str]:
        self.terminal.feed(self.stream.getvalue())
        self.stream.seek(0)
        self.stream.truncate()
        return self.terminal.seen()


def test_rows_are_drawn_in_their_place():
    stage = Stage()
    stage.terminal.feed("$ start\n")
    assert stage.draw("one", "two") == ["$ start", "one", "two"]
    assert stage.draw("1", "2", "3") == ["$ start", "1", "2", "3"]
    assert stage.draw("a") == ["$ start", "a"]


def test_a_log_stays_above_the_rows():
    stage = Stage()
    stage.draw("one", "two")
    assert stage.say("WARNING a\n") == ["WARNING a", "one", "two"]
    assert stage.say("Traceback\n  b") == ["WARNING a", "Traceback", "  b", "one", "two"]
    assert stage.draw("1", "2") == ["WARNING a", "Traceback", "  b", "1", "2"]


def test_a_log_that_fills_the_terminal_scrolls_and_the_rows_stay():
    stage = Stage(lines=5)
    for number in range(20):
        stage.draw("one", "two")
        stage.say(f"log {number}\n")
    assert stage.seen() == ["log 18", "log 19", "one", "two"]
    assert stage.terminal.scrolled == [f"log {number}" for number in range(18)]


def test_a_row_is_no_wider_than_the_terminal_and_what_is_below_it_is_left_out():
    stage = Stage(columns=5, lines=3)
    assert stage.draw("123456789", "東京東京", "left out") == ["1234", "東京"]


@pytest.mark.parametrize(("columns", "lines"), [(12, 8), (60, 8), (30, 4), (30, 20)])
def test_a_terminal_that_is_resized_shows_the_rows_once(columns, lines):
    stage = Stage()
    stage.say("a log\n")
    stage.draw("one " * 7, "two " * 7)
    stage.terminal.resize(columns, lines)
    rows = [("one " * 7)[: columns - 1].rstrip(), ("two " * 7)[: columns - 1].rstrip()]
    assert stage.draw("one " * 7, "two " * 7) == rows
    assert stage.draw("one " * 7, "two " * 7) == rows
    assert "a log" in stage.terminal.scrolled


def test_what_the_log_says_steers_no_terminal():
    stage = Stage()
    assert stage.say("WARNING \x1b[2J\x1b]0;title\x07\x9b2J lost\n") == ["WARNING ?[2J?]0;title??2J lost"]


@pytest.mark.parametrize("has_colour", [False, True])
def test_colour_is_there_only_where_it_is_wanted(has_colour):
    stage = Stage(has_colour=has_colour)
    stage.screen.draw([[("one", Colour.GREEN), ("two", Colour.PLAIN)]])
    assert bool(re.search(r"\x1b\[\d*m", stage.stream.getvalue())) is has_colour
    assert stage.seen() == ["onetwo"]


@pytest.mark.parametrize(
    ("stream", "environ", "is_screen"),
    [
        (Written(), {"TERM": "xterm"}, True),
        (Written(encoding="utf8"), {"TERM": "linux"}, True),
        (Written(is_terminal=False), {"TERM": "xterm"}, False),
        (Written(), {"TERM": "dumb"}, False),
        (Written(), {}, False),
        (Written(encoding="latin-1"), {"TERM": "xterm"}, False),
    ],
)
def test_only_a_terminal_that_can_draw_is_a_screen(stream, environ, is_screen):
    assert (screen_of(stream, environ) is not None) is is_screen


@pytest.mark.parametrize(("environ", "has_colour"), [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)])
def test_no_colour_is_respected(environ, has_colour):
    screen = screen_of(Written(), {"TERM": "xterm", **environ})
    assert screen is not None
    assert screen.has_colour is has_colour


def test_a_terminal_that_tells_no_size_is_taken_for_a_usual_one():
    screen = screen_of(Written(), {"TERM": "xterm"})
    assert screen is not None
    assert screen.size() == (80, 24)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_log_goes_above_the_rows_only_where_both_are_on_a_terminal(monkeypatch, is_terminal):
    stage, errors = Stage(), Written(is_terminal=is_terminal)
    monkeypatch.setattr(sys, "stderr", errors)
    handler = logging.StreamHandler()
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with stage.screen.log_above():
            logging.getLogger("a").warning("said")
        logging.getLogger("a").warning("later")
    finally:
        root.removeHandler(handler)
    assert stage.seen() == (["said"] if is_terminal else [])
    assert errors.getvalue().split() == (["later"] if is_terminal else ["said", "later"])
