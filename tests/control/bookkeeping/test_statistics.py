"""Commands are counted once each, and energies for the day they flowed on."""

from __future__ import annotations

from datetime import date

import pytest

from opendtu_dcload.control.bookkeeping.statistics import CommandLog, Ledger
from opendtu_dcload.control.commands.command_policy import Command, Restart, SetLimit, SetPower
from opendtu_dcload.control.inverter.limit_state import LimitState
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.model import CommandState, LimitStatus, MeterReading
from opendtu_dcload.tallies import Outcome, Today

SERIAL = "1124a0000001"
MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)


def seen(log: CommandLog, limits: LimitState, at_s: float, limit_w: float, state: CommandState) -> Outcome | None:
    """Let the DTU say something; return what is known of the last command."""
    limits.apply(LimitStatus(SERIAL, at_s, limit_w / 4, 400.0, state), at_s)
    log.add_limit_state(SERIAL, limits)
    return log.records[SERIAL].outcome if SERIAL in log.records else None


def taken(limit_w: float = 100.0) -> tuple[CommandLog, LimitState]:
    """A limit that the DTU took at 5 s, of an inverter that had 200 W."""
    log, limits = CommandLog(), LimitState(InverterParameters(SERIAL, 20, 400, 400, 2.0, 8.0, 5.0, 210.0))
    seen(log, limits, 0.0, 200.0, CommandState.OK)
    limits.post(5.0, limit_w)
    log.posted(SetLimit(SERIAL, limit_w), 5.0)
    log.ended(SERIAL, Outcome.TAKEN)
    return log, limits


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (SetLimit(SERIAL, 209.96), "limit 210 W"),
        (SetPower(SERIAL, on=True), "on"),
        (SetPower(SERIAL, on=False), "off"),
    ],
)
def test_the_last_command_is_kept_in_words(command: Command, words: str) -> None:
    log = CommandLog()
    log.posted(command, 5.0)
    record = log.records[SERIAL]
    assert (record.last, record.at_s, record.outcome) == (words, 5.0, Outcome.WAITING)


def test_commands_and_failures_are_counted() -> None:
    log = CommandLog()
    for outcome in (Outcome.TAKEN, Outcome.DECLINED, Outcome.UNANSWERED):
        log.posted(SetLimit(SERIAL, 100.0), 5.0)
        log.ended(SERIAL, outcome)
    assert (log.records[SERIAL].sent, log.records[SERIAL].failed) == (3, 2)
    assert log.records[SERIAL].outcome is Outcome.UNANSWERED


def test_a_limit_that_the_inverter_does_not_answer_fails_once_however_often_it_is_told() -> None:
    log, limits = taken()
    for at_s, state in enumerate((CommandState.PENDING, CommandState.FAILURE, CommandState.FAILURE), start=7):
        assert seen(log, limits, at_s, 200.0, state) is Outcome.TAKEN
    assert log.records[SERIAL].failed == 1
    assert seen(log, limits, 20.0, 100.0, CommandState.OK) is Outcome.ACKNOWLEDGED
    assert log.records[SERIAL].failed == 1


def test_a_limit_that_the_dtu_never_shows_is_not_acknowledged_and_counts_as_failed() -> None:
    log, limits = taken()
    assert seen(log, limits, 6.5, 200.0, CommandState.OK) is Outcome.TAKEN
    assert seen(log, limits, 9.0, 200.0, CommandState.OK) is Outcome.IGNORED
    assert log.records[SERIAL].failed == 1


def test_a_failure_of_somebody_elses_command_is_not_counted() -> None:
    log, limits = CommandLog(), LimitState(InverterParameters(SERIAL, 20, 400, 400, 2.0, 8.0, 5.0, 210.0))
    seen(log, limits, 0.0, 200.0, CommandState.FAILURE)
    assert log.records == {}


def flow(ledger: Ledger, *steps: tuple[float, float], room_w: float = 500.0, day: date = MONDAY) -> Today:
    for at_s, power_w in steps:
        ledger.add_reading(day, MeterReading(at_s, power_w), room_w)
    return ledger.today


def test_export_and_import_are_told_apart() -> None:
    today = flow(Ledger(), (0.0, 0.0), (3.6, -1000.0), (7.2, 400.0))
    assert today.exported_wh == pytest.approx(1.0)
    assert today.avoidable_wh == pytest.approx(0.4)


@pytest.mark.parametrize(("room_w", "avoidable_wh"), [(500.0, 0.5), (0.0, 0.0), (-20.0, 0.0), (2000.0, 1.0)])
def test_import_is_avoidable_as_far_as_the_inverters_have_room(room_w: float, avoidable_wh: float) -> None:
    assert flow(Ledger(), (0.0, 0.0), (3.6, 1000.0), room_w=room_w).avoidable_wh == pytest.approx(avoidable_wh)


def test_a_reading_counts_once() -> None:
    once = flow(Ledger(), (0.0, 0.0), (3.6, -1000.0))
    assert flow(Ledger(), (0.0, 0.0), (3.6, -1000.0), (3.6, -1000.0), (3.6, -1000.0)) == once


def test_what_flows_while_the_meter_is_silent_is_not_guessed() -> None:
    ledger = Ledger()
    assert flow(ledger, (0.0, -1000.0), (11.0, -1000.0)) == Today(day=MONDAY)
    assert flow(ledger, (14.6, -1000.0)).exported_wh == pytest.approx(1.0)


def test_a_new_day_begins_at_zero() -> None:
    ledger = Ledger()
    flow(ledger, (0.0, 0.0), (3.6, -1000.0))
    assert flow(ledger, (7.2, -500.0), day=TUESDAY).exported_wh == pytest.approx(0.5)


def test_last_resorts_are_counted_at_the_inverter_and_at_the_dtu():
    log = CommandLog()
    log.posted(Restart(SERIAL, 1), 5.0)
    log.ended(SERIAL, Outcome.TAKEN)
    log.restarted("opendtu", "reboot", 7.0)
    log.ended("opendtu", Outcome.UNANSWERED)
    inverter, dtu = log.records[SERIAL], log.records["opendtu"]
    assert (inverter.restarts, inverter.restarted_at_s, inverter.last, inverter.failed) == (1, 5.0, "restart", 0)
    assert (dtu.restarts, dtu.restarted_at_s, dtu.last, dtu.failed) == (1, 7.0, "reboot", 1)
