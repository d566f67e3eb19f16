"""A day that is over is summed up in one line of the log."""

from __future__ import annotations

from datetime import date

import pytest

from opendtu_dcload.control.bookkeeping.alarms import Alarms
from opendtu_dcload.control.bookkeeping.books import Books
from opendtu_dcload.control.bookkeeping.statistics import CommandLog
from opendtu_dcload.control.commands.command_policy import SetLimit
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import InverterStatus, MeterReading, Plan, Reason
from opendtu_dcload.state import State
from tests.control.inverter.tracked import SERIAL, UNIT, known, status

SUNDAY, MONDAY, TUESDAY = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)
STEP_S = 2


@pytest.mark.parametrize("is_dry", [False, True])
def test_each_day_has_one_line(caplog: pytest.LogCaptureFixture, *, is_dry: bool):
    state, commands, now_s = State(), CommandLog(), 0.0
    days = [SUNDAY]
    books = Books(state, Alarms(Settings(), (), 0.0), commands, {}, lambda: days[-1], is_dry=is_dry)
    with caplog.at_level("INFO"):
        for day, power_w, number in ((SUNDAY, -90.0, 3), (MONDAY, 900.0, 5), (TUESDAY, 0.0, 1)):
            days.append(day)
            for step in range(3600 // STEP_S):
                now_s += STEP_S
                state.set_meter(MeterReading(now_s, power_w))
                books.update(now_s)
                if step < number:
                    commands.posted(SetLimit(SERIAL, 100.0), now_s)
    of_sunday, of_monday = (0, 0) if is_dry else (3, 5)
    flows = "%s in sum: %d Wh exported, %d Wh imported, 0 Wh of these although the inverters had room; %d commands%s"
    assert caplog.messages == [
        flows % (SUNDAY, 90, 0, of_sunday, ", since the start"),
        flows % (MONDAY, 0, 900, of_monday, ""),
    ]


@pytest.mark.parametrize(
    ("told", "room_w"),
    [
        ({SERIAL: status(0.0, 200.0)}, 200.0),
        ({}, 400.0),
        (
            {
                SERIAL: status(0.0, 200.0),
                "of another": InverterStatus("of another", "", 0.0, 0.0, True, ac_power_w=90.0),
            },
            200.0,
        ),
    ],
)
def test_only_what_listed_inverters_give_now_takes_room_below_the_cap(told: dict[str, InverterStatus], room_w: float):
    state = State()
    books = Books(state, Alarms(Settings(), (), 0.0), CommandLog(), {SERIAL: known(200.0)}, lambda: SUNDAY)
    state.set_plan(Plan(0.0, 200.0, UNIT.rated_w, Reason.REGULATING))
    state.set_inverters("opendtu", told)
    state.set_meter(MeterReading(1.0, 0.0))
    books.update(1.0)
    assert state.room_w == room_w


def test_what_an_inverter_gave_before_it_was_lost_takes_no_room():
    state, dead = State(), known(200.0)
    other = known(100.0)
    dead.apply_measurement(status(0.0, 200.0), 90.0, 20.0)
    trackers = {SERIAL: dead, "other": other}
    books = Books(state, Alarms(Settings(), (), 0.0), CommandLog(), trackers, lambda: SUNDAY)
    state.set_plan(Plan(90.0, 100.0, 300.0, Reason.REGULATING))
    state.set_inverters("opendtu", {SERIAL: status(0.0, 200.0)})
    state.set_meter(MeterReading(90.0, 0.0))
    books.update(90.0)
    assert state.room_w == 300.0
