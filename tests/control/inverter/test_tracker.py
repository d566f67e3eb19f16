from __future__ import annotations

import pickle

import pytest

from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.model import LimitStatus
from tests.control.inverter.tracked import FAILURE, OK, PENDING, SERIAL, UNIT, feed, known, shown, status

# ---- restarts


def test_after_the_inverter_was_gone_its_limit_is_unknown_although_the_dtu_still_shows_the_old_one():
    # A restarted inverter runs at its persistent limit; the DTU goes on showing the last acknowledged one.
    tracker = known(100)
    tracker.apply_measurement(status(60.0, 100, reachable=False), 60.0, 20.0)
    tracker.apply_measurement(status(200.0, 400), 200.0, 20.0)
    feed(tracker, shown(200.0, 100), shown(201.0, 100))
    assert tracker.wanted_w is None
    assert tracker.highest_w == UNIT.rated_w


def test_after_the_inverter_came_back_the_acknowledged_minimum_is_known_again():
    tracker = known(100)
    tracker.apply_measurement(status(60.0, 100, reachable=False), 60.0, 20.0)
    tracker.apply_measurement(status(200.0, 400), 200.0, 20.0)
    feed(tracker, shown(200.0, 100))
    tracker.post(201.0, 20, 0.0)
    feed(tracker, shown(202.5, 100, PENDING), shown(203.5, 20))
    assert tracker.highest_w == pytest.approx(20)


def test_a_command_that_waits_at_the_dtu_still_counts_when_the_inverter_comes_back():
    # OpenDTU sends a failed limit again in each poll slot: it may arrive just now.
    tracker = known(100)
    tracker.post(10.0, 350, 0.0)
    tracker.apply_measurement(status(60.0, 100, reachable=False), 60.0, 20.0)
    feed(tracker, shown(60.0, 100, FAILURE))
    tracker.apply_measurement(status(200.0, 100), 200.0, 20.0)
    feed(tracker, shown(200.0, 100, PENDING))
    assert tracker.highest_w >= 350


@pytest.mark.parametrize(
    ("at_s", "age_s", "reachable", "is_fresh"),
    [
        pytest.param(100.0, 19.9, True, True, id="young"),
        pytest.param(100.0, 20.1, True, False, id="old: the DTU does not hear it"),
        pytest.param(100.0, 1.0, False, False, id="the DTU says it is gone"),
    ],
)
def test_freshness(at_s, age_s, reachable, is_fresh):
    tracker = known(200)
    tracker.apply_measurement(status(at_s, 200, reachable=reachable), at_s + age_s, 20.0)
    assert tracker.is_fresh is is_fresh
    assert tracker.is_usable is is_fresh


@pytest.mark.parametrize(
    ("pct", "is_off"), [pytest.param(100.0, True, id="100 % while off"), pytest.param(0.1, False, id="0.1 % at night")]
)
def test_what_a_resting_inverter_reads_back_was_set_by_nobody(pct, is_off):
    tracker = known(200)
    if is_off:
        tracker.power.switch(10.0, on=False)
        tracker.apply_measurement(status(20.0, 0), 20.0, 20.0)
    answers = [LimitStatus(SERIAL, at_s, pct, 400.0, OK) for at_s in (300.0, 301.0, 420.0)]
    assert feed(tracker, *answers) == [False] * 3


# ---- sent is not done


def test_what_a_lost_inverter_is_told_changes_nothing_until_it_answers():
    tracker = known(300)
    tracker.apply_measurement(status(60.0, 295, reachable=False), 60.0, 20.0)
    tracker.post(100.0, 20, 100.0)
    assert tracker.final_w == pytest.approx(300, abs=10), "from the first moment on"
    feed(tracker, shown(105.0, 300, PENDING), shown(111.0, 300, FAILURE), shown(125.0, 300, PENDING))
    assert tracker.final_w == pytest.approx(300, abs=10)
    assert tracker.output.visible_w(400.0) == pytest.approx((300, 300), abs=10)
    tracker.apply_measurement(status(500.0, 295), 500.0, 20.0)
    feed(tracker, shown(503.0, 20))
    assert tracker.final_w == pytest.approx(20, abs=2)
    assert tracker.highest_w == 20


@pytest.mark.parametrize("answers", [(PENDING,), (PENDING, FAILURE)], ids=["pending for ever", "failing for ever"])
def test_a_limit_that_is_never_acknowledged_is_not_believed_for_ever(answers):
    tracker = known(300)
    tracker.post(100.0, 20, 100.0)
    for at_s in range(102, 200):
        tracker.apply_measurement(status(float(at_s), 296), float(at_s), 20.0)
        feed(tracker, shown(float(at_s), 300, answers[at_s // 8 % len(answers)]))
        tracker.update_reachability(float(at_s))
    assert tracker.final_w == pytest.approx(296)
    assert tracker.highest_w == 300
    assert tracker.limits.is_unconfirmed(200.0)
    assert tracker.disobeys_since_s == 100.0


def test_commands_that_the_dtu_drops_are_held_back_longer():
    tracker = known(300)
    waits_s = []
    at_s = 100.0
    for limit_w in (200, 150, 100, 50):
        tracker.post(at_s, limit_w, at_s)
        feed(tracker, shown(at_s + 1.5, 300), shown(at_s + 4, 300))
        waits_s.append(tracker.limits.held_until_s - at_s - 4)
        at_s = tracker.limits.held_until_s
    assert waits_s == [5, 15, 45, 45]
    assert tracker.limits.is_ignored(at_s)
    assert tracker.limit_w == 300
    assert tracker.final_w == pytest.approx(300, abs=1)
    tracker.post(at_s, 200, at_s)
    feed(tracker, shown(at_s + 3, 200))
    assert not tracker.limits.is_ignored(at_s + 60), "one that is shown ends it"


def test_a_limit_on_its_way_that_is_not_ours_counts_as_rated_until_it_is_acknowledged():
    tracker = InverterTracker(UNIT)
    feed(tracker, shown(0.0, 20, PENDING))
    assert tracker.highest_w == UNIT.rated_w
    feed(tracker, shown(8.0, 350))
    assert tracker.highest_w == pytest.approx(350.4)


def test_a_limit_of_somebody_else_that_failed_counts_as_rated_until_ours_takes_its_place():
    tracker = InverterTracker(UNIT)
    feed(tracker, shown(0.0, 200, FAILURE))
    assert tracker.highest_w == UNIT.rated_w
    tracker.post(1.0, 20, 1.0)
    assert tracker.highest_w == pytest.approx(200.4)


def test_an_inverter_that_is_told_for_weeks_and_never_heard_takes_no_more_memory():
    tracker = known()
    sizes = []
    for week in range(3):
        for number in range(2880):
            at_s = 210.0 * (1 + number + 2880 * week)
            tracker.post(at_s, 20.0 + number % 2, at_s)
            feed(tracker, shown(at_s + 3, 20.0 + number % 2))
            tracker.output.visible_w(at_s + 100)
        sizes.append(len(pickle.dumps(tracker)))
    assert sizes[2] < 1.01 * sizes[0]


def test_one_that_gave_too_much_and_is_off_is_not_said_to_disobey():
    tracker = known(300)
    tracker.post(100.0, 20, 100.0)
    feed(tracker, shown(103.0, 20))
    for at_s in range(105, 165, 5):
        tracker.apply_measurement(status(float(at_s), 296), float(at_s), 20.0)
    assert tracker.disobeys_since_s is not None
    tracker.power.switch(165.0, on=False)
    feed(tracker, shown(170.0, 20))
    for at_s in range(170, 900, 5):
        tracker.apply_measurement(status(float(at_s), 0.0), float(at_s), 20.0)
    assert tracker.disobeys_since_s is None
