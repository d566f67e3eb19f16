"""Events: what lasted, since when, for how long; never more than there is room for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from opendtu_dcload.model import Alarm, Cause, Plan, Reason, Severity
from opendtu_dcload.web.history.event_log import KEPT, EventLog

ALARM = Alarm(Cause.METER_LOST, "meter", Severity.ALARM, "Meter lost", 100.0)


class Watched:
    """A log that sees what is told to it second by second."""

    def __init__(self) -> None:
        self.log = EventLog()
        self.now_s = 100.0
        self.news: list[Any] = []

    def hold(self, reason: Reason | None, seconds: int, *alarms: Alarm) -> None:
        for _ in range(seconds):
            plan = None if reason is None else Plan(self.now_s, 0, 0, reason)
            news = self.log.update(self.now_s, plan, alarms, lambda ago_s: f"{self.now_s - ago_s:g}")
            self.news += [event.row() for event in news]
            self.now_s += 1

    def rows(self) -> list[tuple[str, str, int | None]]:
        rows: list[Any] = self.log.rows()
        return [(row["at"], row["name"], row["lasted_s"]) for row in rows]


def test_a_reason_that_lasts_is_an_event_since_it_began():
    seen = Watched()
    seen.hold(Reason.REGULATING, 30)
    seen.hold(Reason.ALL_AT_MINIMUM, 20)
    assert seen.rows() == [("100", "REGULATING", 30), ("130", "ALL_AT_MINIMUM", None)]


def test_one_that_soon_ends_is_none_and_ends_none():
    seen = Watched()
    seen.hold(Reason.REGULATING, 30)
    for _ in range(20):
        seen.hold(Reason.ALL_AT_MINIMUM, 5)
        seen.hold(Reason.REGULATING, 5)
    assert seen.rows() == [("100", "REGULATING", None)]


def test_what_the_log_has_at_once_is_an_event_at_once():
    seen = Watched()
    seen.hold(Reason.REGULATING, 30)
    seen.hold(Reason.METER_LOST_OFF, 1)
    assert seen.rows() == [("100", "REGULATING", 30), ("130", "METER_LOST_OFF", None)]


def test_while_nothing_is_decided_nothing_changes():
    seen = Watched()
    seen.hold(Reason.REGULATING, 30)
    seen.hold(None, 50)
    seen.hold(Reason.REGULATING, 30)
    assert seen.rows() == [("100", "REGULATING", None)]


def test_an_alarm_lasts_from_its_begin_to_its_end():
    seen = Watched()
    seen.hold(None, 5, ALARM)
    seen.hold(None, 5, ALARM, replace(ALARM, subject="x"))
    seen.hold(None, 5, replace(ALARM, subject="x"))
    assert seen.rows() == [("100", "METER_LOST", 10), ("100", "METER_LOST", None)]
    assert [(row["subject"], row["lasted_s"]) for row in seen.news] == [("meter", None), ("x", None), ("meter", 10)]


def test_it_does_not_grow():
    seen = Watched()
    for number in range(KEPT * 2):
        seen.hold(None, 1, replace(ALARM, since_s=float(number)))
    assert len(seen.rows()) == KEPT
    assert seen.rows()[-1][0] == str(2 * KEPT - 1)
    assert len(seen.log._alarms) == 1
