"""Days of the program on virtual time: what is counted is what flowed, and is there after a restart."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.config import parse_config
from opendtu_dcload.control.bookkeeping.statistics import Ledger
from opendtu_dcload.model import MeterReading
from opendtu_dcload.sim.plant.house import House
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.program import DAY_S, FIRST_DAY, Program, plant_config
from opendtu_dcload.sim.runs.simulated_plant import default_models
from opendtu_dcload.state import State
from opendtu_dcload.tallies import CommandRecord, Today
from opendtu_dcload.web.history.day_store import FILE_NAME, DayStore
from opendtu_dcload.web.history.day_totals import Day, DayTotals
from opendtu_dcload.web.history.history import History
from opendtu_dcload.web.moment import Eye, Totals
from tests.web.served import table

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


class Watched:
    """The program in a house with a restless load, watched from a time of the first day on."""

    def __init__(self, folder: Path | None, from_s: float, load_w: float = 0.0) -> None:
        load = [load_w or 300.0 + 500.0 * (second // 40 % 2) for second in range(3 * DAY_S)]
        house = House(load, default_models(), seed=3, cap_w=1200.0, start_s=from_s)
        self.world = World(house, [SimDtu(house, seed=3)])
        self.program = Program(self.world, plant_config(self.world, minimum_w=20.0, cap_w=1200.0), seed=3)
        eye = Eye(self.program.config, self.program.state)
        self.history = History(eye, self.program.state, folder, self._today, self._wall)
        self.saved = 0

    def _today(self) -> date:
        return FIRST_DAY + timedelta(days=self.program.loop.time() // DAY_S)

    def _wall(self) -> datetime:
        return MIDNIGHT + timedelta(seconds=self.program.loop.time())

    def play(self, until_s: float) -> None:
        with self.program as program:
            while program.loop.time() < until_s:
                program.advance(program.loop.time() // 1 + 1)
                self.history.look(program.loop.time())
                if self.history.has_unsaved:
                    self.history.save()
                    self.saved += 1

    def document(self) -> Any:
        return self.history.document(self.program.loop.time())()


def test_what_was_is_what_flowed(tmp_path: Path):
    watched = Watched(tmp_path, from_s=36_000.0)
    watched.play(36_000.0 + 1800)
    document, state = watched.document(), watched.program.state
    hour, day = document["hour"], document["day"]
    assert hour["end"] == "2026-01-01T10:30:00Z"
    assert len(hour["grid_w"]) == 1800
    assert len(day["grid_w"]) == 30
    assert sum(day["exported_wh"]) == pytest.approx(state.today.exported_wh, rel=0.05)
    for column in ("grid_w", "load_w", "output_w", "set_point_w"):
        known = [number for number in hour[column] if number is not None]
        assert len(known) > 1700
        assert day[column][9] == pytest.approx(sum(hour[column][9 * 60 : 600]) / 60, abs=20)
    assert any(number for number in hour["saved_w"] if number)
    seen = watched.history.totals
    assert seen.exported_wh == state.today.exported_wh
    assert seen.avoidable_import_wh == state.today.avoidable_wh
    assert seen.imported_wh >= seen.avoidable_import_wh > 0
    assert seen.commands == seen.commands_last_hour == sum(record.sent for record in state.commands.values())
    names = [event["name"] for event in document["events"]]
    assert "REGULATING" in names
    assert not watched.saved


def test_a_day_that_is_over_is_written_once_and_there_after_a_restart(tmp_path: Path):
    watched = Watched(tmp_path, from_s=DAY_S - 300.0)
    watched.play(DAY_S - 1.0)
    before = watched.history.totals
    watched = Watched(tmp_path, from_s=DAY_S - 300.0)
    watched.play(DAY_S + 120.0)
    assert watched.saved == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    day: Any
    (day,) = watched.history.days()
    assert day["date"] == "2026-01-01"
    assert day["exported_wh"] == pytest.approx(before.exported_wh, abs=0.2)
    assert day["avoidable_import_wh"] == pytest.approx(before.avoidable_import_wh, abs=1)
    assert day["imported_wh"] == pytest.approx(before.imported_wh, abs=1)
    assert day["commands"] == pytest.approx(before.commands, abs=2)
    assert day["known_s"] == pytest.approx(295, abs=6)
    assert watched.history.totals.exported_wh < before.exported_wh
    assert watched.history.totals.commands < before.commands
    assert [kept._asdict() for kept in DayStore(tmp_path).days] == [day]


def test_a_restart_goes_on_with_what_was_counted_today(tmp_path: Path):
    began_s, sums = 36_000.0, Totals()
    for number in range(3):
        watched = Watched(tmp_path, from_s=began_s + 1000.0 * number)
        watched.play(began_s + 1000.0 * number + 600)
        assert watched.history.days() == []
        state, seen = watched.program.state, watched.history.totals
        sums = Totals(
            sums.exported_wh + state.today.exported_wh,
            sums.avoidable_import_wh + state.today.avoidable_wh,
            sums.imported_wh + state.today.imported_wh,
            sums.commands + sum(record.sent for record in state.commands.values()),
            seen.commands_last_hour,
        )
        assert seen == pytest.approx(sums, abs=0.3)
        assert sum(filter(None, watched.document()["day"]["exported_wh"])) <= state.today.exported_wh + 0.1
        watched.history.end()
        watched.history.end()  # which is told twice counts once
    (today,) = DayStore(tmp_path).days
    assert today.known_s == pytest.approx(3 * 595, abs=20)
    watched = Watched(tmp_path, from_s=DAY_S - 300.0)
    watched.play(DAY_S + 60.0)
    day: Any
    (day,) = watched.history.days()
    assert day["date"] == "2026-01-01"
    assert day["known_s"] == pytest.approx(3 * 595 + 295, abs=25)


def test_a_program_that_knew_nothing_writes_nothing(tmp_path: Path):
    state = State()
    history = History(Eye(parse_config(table(8099)), state), state, tmp_path, lambda: FIRST_DAY)
    history.look(0.0)
    history.end()
    assert list(tmp_path.iterdir()) == []


def test_a_clock_that_is_set_for_a_while_costs_the_day_nothing(tmp_path: Path):
    state, ledger, today = State(), Ledger(), [FIRST_DAY]
    history = History(Eye(parse_config(table(8099)), state), state, tmp_path, lambda: today[-1])
    for second, day in enumerate([FIRST_DAY] * 50 + [FIRST_DAY + timedelta(days=3000)] * 7 + [FIRST_DAY] * 40):
        today.append(day)
        state.set_meter(MeterReading(float(second), -3600.0))
        ledger.add_reading(day, MeterReading(float(second), -3600.0), 0.0)
        state.set_today(ledger.today)
        history.look(float(second))
    assert history.totals.exported_wh == pytest.approx(89)
    assert history.days() == []


def test_commands_are_those_of_today_and_of_the_last_hour():
    totals, state, sent = DayTotals(), State(), []
    for minute in range(180):
        state.set_commands({"x": CommandRecord(minute + 1)})
        totals.update(60.0 * minute, FIRST_DAY + timedelta(days=minute // 90), state, is_known=True)
        sent.append((totals.totals.commands, totals.totals.commands_last_hour))
    assert sent[0] == (1, 1)
    assert sent[59] == (60, 60)
    assert sent[89] == (90, 60)
    assert sent[90] == (1, 60)
    assert sent[179] == (90, 60)


def test_what_the_state_still_has_of_yesterday_is_not_of_today():
    totals, state = DayTotals(), State()
    state.set_today(Today(5.0, 6.0, 7.0, FIRST_DAY))
    assert totals.update(0.0, FIRST_DAY, state, is_known=True) is None
    ended = totals.update(1.0, FIRST_DAY + timedelta(days=1), state, is_known=True)
    assert ended == Day("2026-01-01", 5.0, 6.0, 7.0, 0, 1)
    assert totals.totals.exported_wh == 0.0
    state.set_today(Today(1.0, day=FIRST_DAY + timedelta(days=1)))
    totals.update(2.0, FIRST_DAY + timedelta(days=1), state, is_known=True)
    assert totals.totals.exported_wh == 1.0
