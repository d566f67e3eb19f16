"""The soak in short: what it watches turns red, and what it plays is the same each time."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

import pytest

from opendtu_dcload.control.bookkeeping.statistics import CommandLog
from opendtu_dcload.model import Alarm, Cause, Severity
from tests.soak.growth import Size, contents, grown
from tests.soak.month import BrokenPromiseError, Month, must_be_over
from tests.soak.troubles import KINDS, QUIET_S, Trouble, troubles_of
from tests.soak.weather import DAY_S, Day, MonthLoad

FIRST = Size(50_000, 100_000, 5, Counter({"loop.kept": 1000}))


def digest_of(seed: int) -> str:
    with Month(1, seed) as month:
        month.play_until(300.0)
        return month.digest


def test_the_same_seed_plays_the_same_and_another_one_does_not():
    assert digest_of(1) == digest_of(1) != digest_of(2)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_quarter_of_a_day_keeps_all_promises():
    with Month(1, 1) as month:
        assert month.plan_day(0)
        month.play_until(DAY_S / 4)
        assert month.books.shown_wrong() == []


def test_faults_of_a_day_end_one_after_the_other_and_leave_midnight_alone():
    troubles = [trouble for day in range(30) for trouble in troubles_of(day, 1)]
    edges_s = [at_s for trouble in troubles for at_s in (trouble.begin_s, trouble.end_s)]
    assert len(troubles) > 100
    assert edges_s == sorted(edges_s)
    assert all(QUIET_S < at_s % DAY_S < DAY_S - QUIET_S for at_s in edges_s)


def test_a_month_has_all_weathers_and_guests_on_some_days():
    days = [Day(number, 1) for number in range(4)]
    assert {day.sky for day in days} == {"clear", "clouds", "overcast"}
    assert {day.has_guests for day in days} == {True, False}
    assert MonthLoad(4, 1)[2 * DAY_S + 40_000] == days[2].load_w[40_000]


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (replace(FIRST, memory_kb=53_000), "kB of memory"),
        (replace(FIRST, objects=106_000), "objects"),
        (replace(FIRST, tasks=8), "8 now"),
        (replace(FIRST, held=Counter({"loop.kept": 2000})), "loop.kept by 1000"),
    ],
)
def test_growth_is_said(now: Size, said: str):
    (sentence,) = grown([FIRST, FIRST], [now, now])
    assert said in sentence
    assert grown([FIRST, FIRST], [FIRST, FIRST]) == []


def test_what_is_kept_of_the_last_hour_may_be_more_at_one_look_than_at_another():
    busy = replace(FIRST, objects=150_000, tasks=7, held=Counter({"loop.kept": 3000}))
    assert grown([FIRST], [busy, FIRST]) == []


def test_containers_are_found_wherever_they_are():
    log = CommandLog()
    log.records = {"one": [1, 2], "two": deque([3])}  # type: ignore[dict-item]  # any containers
    assert contents(log) == {"CommandLog.records": 2, "CommandLog.records[]": 3, "CommandLog._counted": 0}


def test_what_a_running_program_keeps_is_found_too():
    with Month(1, 1) as month:
        month.play_until(120.0)
        kept = Size.of(month.program).held
        assert sum(path.startswith("ControlLoop._controller.") for path in kept) > 20
        month.controller.watch.found["leak"] = ["again"] * 1000
        assert (Size.of(month.program).held - kept)["ControlLoop._controller.watch.found[]"] == 1000


def test_what_is_told_otherwise_than_it_was_is_noticed():
    with Month(1, 1) as month:
        month.play_until(300.0)
        assert month.books.shown_wrong() == []
        assert month.books.open_share(sum(month.load_w.day.load_w[:300]) / 3600) < 1e-6
        month.house.energy.imported_wh += 30.0
        next(iter(month.house.inverters.values())).energy_wh += 100.0
        month.play_until(400.0)
        assert month.books.open_share(sum(month.load_w.day.load_w[:400]) / 3600) > 0.1
        shelly, *_ = month.books.shown_wrong()
        assert shelly.startswith("the Shelly counted")
        month.house.energy.exported_wh += 30.0
        month.play_until(500.0)
        assert any("the program counted" in wrong for wrong in month.books.shown_wrong())


def test_a_broken_rule_ends_it_with_day_time_and_seed():
    with Month(1, 7) as month:
        month.play_until(60.0)
        month.stage.dtu.counters.persistent = 1
        with pytest.raises(BrokenPromiseError, match="day 1, 00:02:00, seed 7: a persistent limit"):
            month.play_until(120.0)


def test_what_is_logged_as_an_error_ends_it():
    with Month(1, 1) as month:
        month.program.loop.call_exception_handler({"message": "Task exception was never retrieved"})
        with pytest.raises(BrokenPromiseError, match="never retrieved"):
            month.play_until(60.0)


def test_an_error_that_is_what_the_fault_is_told_in_ends_nothing_and_another_one_does():
    (refused,) = [row for rows in KINDS for row in rows if row.name == "DTU's password is changed"]
    with Month(1, 1) as month:
        month.play_until(60.0)
        month._begin(Trouble(refused, 60.0, 240.0))
        refused.begin(month.stage)
        month.play_until(240.0)
        (dtu,) = month.program.state.dtus.values()
        assert dtu.accepts_password is False
        refused.end(month.stage)
        month._begin(Trouble(next(row for row in KINDS[0] if row.words), 300.0, 360.0))
        month.play_until(300.0)
        month.log.wrong.append("OpenDTU refuses the password")
        with pytest.raises(BrokenPromiseError, match="refuses the password"):
            month.play_until(360.0)


@pytest.mark.parametrize(
    ("cause", "after_s", "must_be_over_then"),
    [
        (Cause.INVERTER_RESTARTED, 3700.0, False),
        (Cause.INVERTER_RESTARTED, 3800.0, True),
        (Cause.METER_LOST, 1.0, True),
        (Cause.VOLTAGE_LOW, 9999.0, False),
    ],
)
def test_a_last_resort_is_told_for_an_hour_whatever_ended_meanwhile(cause, after_s, must_be_over_then):
    alarm = Alarm(cause, "1141a0000003", Severity.WARNING, "told", 100.0)
    assert must_be_over(alarm, 100.0 + after_s) is must_be_over_then
