"""The bar is seen at a terminal and nowhere else, and leaves nothing behind."""

from __future__ import annotations

import io
import sys
import time

import pytest

from opendtu_dcload.terminal.progress_bar import progress_bar
from tests.terminal.drawn import Drawn


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_it_is_and_how_long_it_takes(monkeypatch: pytest.MonkeyPatch):
    stream, clock = Terminal(), iter([0.0, 5.0, 300.0, 1000.0])
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    seen = []
    with progress_bar() as progress:
        for share in (0.25, 0.5, 0.9):
            progress(share)
            drawn = Drawn()
            drawn.feed(stream.getvalue())
            seen.append(drawn.seen()[0])
    assert seen == [
        f"[{'#' * 10}{'.' * 30}]  25%",
        f"[{'#' * 20}{'.' * 20}]  50%, 5 min left",
        f"[{'#' * 36}{'.' * 4}]  90%, 2 min left",
    ]
    drawn = Drawn()
    drawn.feed(stream.getvalue())
    assert drawn.seen() == []


def test_where_nobody_looks_nothing_is_shown(capsys: pytest.CaptureFixture[str]):
    with progress_bar() as progress:
        progress(0.5)
    assert capsys.readouterr().err == ""
