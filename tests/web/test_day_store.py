"""The days on disk: kept over restarts, whole after a power cut, whatever stands in the file."""

from __future__ import annotations

import json
import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.web.history import day_store
from opendtu_dcload.web.history.day_store import FILE_NAME, KEPT, DayStore
from opendtu_dcload.web.history.day_totals import Day

FIRST = date(2026, 2, 1)
TODAY = "2026-06-01"


def day(number: int, known_s: int = 86400) -> Day:
    return Day((FIRST + timedelta(days=number)).isoformat(), 1.5 * number, 2.0, 3.0, 4, known_s)


def kept(folder: Path, *days: Day) -> DayStore:
    store = DayStore(folder)
    for each in days:
        store.add(each, TODAY)
    store.write()
    return store


def test_the_days_are_there_after_a_restart(tmp_path: Path):
    kept(tmp_path, day(1), day(0), day(2))
    kept(tmp_path, day(3))
    assert DayStore(tmp_path).days == (day(0), day(1), day(2), day(3))


def test_thirty_days_are_kept(tmp_path: Path):
    store = kept(tmp_path, *map(day, range(100)))
    assert store.days == DayStore(tmp_path).days == tuple(map(day, range(100 - KEPT, 100)))
    assert len((tmp_path / FILE_NAME).read_bytes()) < day_store._LARGEST_BYTES / 2


def test_a_clock_that_was_set_back_does_not_cost_a_day(tmp_path: Path):
    kept(tmp_path, day(0, known_s=80_000), day(0, known_s=60))
    assert DayStore(tmp_path).days == (day(0, known_s=80_000),)


def test_days_of_a_clock_that_was_ahead_push_out_none_and_go_when_the_clock_proves_right(tmp_path: Path):
    kept(tmp_path, *map(day, range(KEPT)))
    store, today = DayStore(tmp_path), day(KEPT).date
    for number in range(1000, 1000 + 2 * KEPT):
        store.add(day(number, known_s=60), today)
    assert store.before(today) == tuple(map(day, range(KEPT)))
    assert len(store.days) == 2 * KEPT
    store.add(day(KEPT - 1), today)
    assert store.days == tuple(map(day, range(KEPT)))


def test_a_clock_that_is_still_behind_costs_no_day(tmp_path: Path):
    kept(tmp_path, *map(day, range(KEPT)))
    store = DayStore(tmp_path)
    store.add(day(-400, known_s=60), day(-399).date)
    assert store.before(day(KEPT).date) == (day(-400, known_s=60), *map(day, range(KEPT)))


def test_what_there_is_of_today_is_kept_beside_the_days_that_are_over(tmp_path: Path):
    store = kept(tmp_path, *map(day, range(KEPT)))
    today = day(KEPT, known_s=3600)
    store.add(today, today.date)
    store.write()
    store = DayStore(tmp_path)
    assert store.before(today.date) == tuple(map(day, range(KEPT)))
    assert store.of(today.date) == today


def test_a_clock_that_is_still_behind_at_an_orderly_end_costs_nothing_of_today(tmp_path: Path):
    store = kept(tmp_path, *map(day, range(KEPT)))
    today, behind = day(KEPT, known_s=3600), day(-400, known_s=60)
    store.add(today, today.date)
    store.add(behind, behind.date)
    store.write()
    assert DayStore(tmp_path).of(today.date) == today


def test_a_power_cut_leaves_the_days_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept(tmp_path, day(0))

    def cut(*_: Any) -> None:
        raise KeyboardInterrupt

    for owner, step in ((os, "fsync"), (Path, "replace")):
        with monkeypatch.context() as power:
            power.setattr(owner, step, cut)
            with pytest.raises(KeyboardInterrupt):
                kept(tmp_path, day(1))
        assert DayStore(tmp_path).days == (day(0),)


def test_it_is_on_disk_before_it_takes_the_place_of_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    steps: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _: steps.append("fsync"))
    monkeypatch.setattr(Path, "replace", lambda *_: steps.append("replace"))
    kept(tmp_path, day(0))
    assert steps == ["fsync", "replace"]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff",
        b"[" * 5000,
        *(
            json.dumps(day(0)._asdict() | wrong).encode()
            for wrong in (
                {"date": "yesterday"},
                {"date": 5},
                {"exported_wh": -1},
                {"exported_wh": "1"},
                {"imported_wh": None},
                {"commands": 1.5},
                {"known_s": True},
            )
        ),
        b'{"date": "2026-02-01", "exported_wh": NaN}',
        b'{"date": "2026-02-01", "exported_wh": 1e999}',
    ],
)
def test_a_line_that_is_no_day_is_left_out(line: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    kept(tmp_path, day(1))
    file = tmp_path / FILE_NAME
    file.write_bytes(line + b"\n" + file.read_bytes())
    assert DayStore(tmp_path).days == (day(1),)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "1 of 2 lines are no days" in caplog.text


def test_what_cannot_be_read_or_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / FILE_NAME).mkdir()
    store = DayStore(tmp_path)
    for number in range(3):
        store.add(day(number), TODAY)
        store.write()
    assert len(store.days) == 3
    read, written = caplog.messages
    assert "cannot be read" in read
    assert "cannot be written" in written


def test_nowhere_is_a_place_too():
    store = DayStore(None)
    store.add(day(0), TODAY)
    store.write()
    assert store.days == (day(0),)
