"""A day that is over is summed up in one line of the log."""

from __future__ import annotations

from datetime import date

import pytest

from opendtu_dcload.control.bookkeeping.alarms import Alarms
from opendtu_dcload.control.bookkeeping.books import Books
from opendtu_dcload.control.bookkeeping.statistics import CommandLog
from opendtu_dcload.control.commands.command_policy import SetLimit
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import MeterReading
from opendtu_dcload.state import State

SERIAL = "1124a0000001"
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
