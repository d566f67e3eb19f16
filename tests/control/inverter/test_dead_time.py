"""The dead time is learned at the meter, where the house moves too, and kept to what the inverter's own data allow."""

from __future__ import annotations

import pytest

from opendtu_dcload.control.inverter.dead_time import DeadTime
from opendtu_dcload.control.inverter.tracker import InverterTracker
from tests.control.inverter.tracked import UNIT, feed, known, shown, status

STEP_W = 200.0
HALF_S = 1.0
"""From the end of the dead time until half of the step has come out: it rises by 100 W a second."""


def learned(*dead_times_s: float) -> DeadTime:
    """A dead time of which the meter has told these."""
    dead_time = DeadTime(UNIT)
    for number, dead_time_s in enumerate(dead_times_s):
        at_s = 100.0 * number
        dead_time.posted(at_s, at_s)
        dead_time.learn(at_s, at_s + dead_time_s + HALF_S, STEP_W)
    return dead_time


def still(dead_time: DeadTime, at_s: float, still_s: float, ended_s: float) -> None:
    """Let the inverter's data show nothing of a limit for so long, and all of it later."""
    dead_time.posted(at_s, at_s)
    dead_time.lasts_until(at_s + still_s)
    dead_time.ended_by(at_s + ended_s)


def test_what_the_meter_shows_while_the_inverters_own_data_do_not_was_the_house():
    dead_time = learned(1.0, 1.2, 0.8)
    assert dead_time.usual_s == pytest.approx(1.0)
    still(dead_time, 500.0, 6.0, 20.0)
    assert dead_time.usual_s == UNIT.dead_time_s, "nothing is known any more"
    assert dead_time.bounds_s[1] >= 6.0
    dead_time.learn(500.0, 500.0 + 1.0 + HALF_S, STEP_W)
    dead_time.learn(500.0, 500.0 + 7.0 + HALF_S, STEP_W)
    still(dead_time, 600.0, 5.0, 20.0)
    dead_time.learn(600.0, 600.0 + 7.5 + HALF_S, STEP_W)
    still(dead_time, 700.0, 5.0, 20.0)
    dead_time.learn(700.0, 700.0 + 8.0 + HALF_S, STEP_W)
    assert dead_time.usual_s == pytest.approx(7.5), "the second that the meter showed first is not counted"


def test_no_dead_time_is_believed_to_be_longer_than_the_longest_ever_reported():
    assert learned(85.0, 88.0, 89.0).bounds_s[1] == 90.0


def test_a_limit_that_never_comes_out_tells_nothing_of_the_dead_time():
    dead_time = learned(2.0, 2.2, 1.8)
    before_s = dead_time.bounds_s
    dead_time.posted(500.0, 500.0)
    for waited_s in range(1, 60):
        dead_time.lasts_until(500.0 + waited_s)
    assert dead_time.bounds_s == before_s
    dead_time.posted(600.0, 600.0)
    dead_time.ended_by(604.0)
    assert dead_time.bounds_s == before_s, "another limit was followed"


def test_an_inverter_that_has_become_quicker_is_learned_anew():
    dead_time = learned()
    still(dead_time, 500.0, 9.0, 20.0)
    still(dead_time, 600.0, 0.0, 3.0)
    for number in range(7, 10):
        at_s = 100.0 * number
        dead_time.posted(at_s, at_s)
        dead_time.learn(at_s, at_s + 1.0 + HALF_S, STEP_W)
    assert dead_time.usual_s == pytest.approx(1.0)


def measure(tracker: InverterTracker, at_s: float, output_w: float) -> None:
    tracker.apply_measurement(status(at_s, output_w), at_s, 20.0)


def tell(tracker: InverterTracker, at_s: float, limit_w: float) -> None:
    """Give it a limit that it acknowledges."""
    tracker.post(at_s, limit_w, at_s)
    feed(tracker, shown(at_s + 3.0, limit_w))


def stepped(begins_s: float) -> InverterTracker:
    """An inverter that has begun to follow a step so many seconds after it was told, and was measured every 5 s."""
    tracker = known(100)
    tell(tracker, 10.0, 300)
    for at_s in range(14, 100, 5):
        measure(tracker, at_s, 100.0 if at_s < 10 + begins_s else 300.0)
    return tracker


def test_the_inverters_own_data_lengthen_the_credit_of_a_slow_one():
    assert stepped(3.0).output.credit_s == UNIT.credit_s
    assert 11.0 <= stepped(15.0).output.credit_s - 2 * UNIT.time_constant_s <= 15.0


def test_that_something_else_held_the_output_for_long_is_no_dead_time():
    tracker = stepped(45.0)
    assert tracker.output.held_w is None, "it has been let go"
    assert tracker.output.credit_s == UNIT.credit_s


def test_an_output_that_dips_long_after_its_step_has_no_longer_dead_time():
    tracker = stepped(3.0)
    for at_s, output_w in ((104.0, 110.0), (109.0, 300.0)):
        measure(tracker, at_s, output_w)
    assert tracker.output.credit_s == UNIT.credit_s


def test_a_slow_one_that_is_told_to_come_back_before_it_has_begun_is_taken_for_no_quicker():
    tracker = stepped(15.0)
    before_s = tracker.output.credit_s
    tell(tracker, 100.0, 100)
    measure(tracker, 104.0, 300.0)
    tell(tracker, 106.0, 300)
    measure(tracker, 109.5, 300.0)  # where the last limit leads to, since the one before has not come out yet
    assert tracker.output.credit_s == before_s
    tell(tracker, 110.0, 100)
    measure(tracker, 114.5, 300.0)
    measure(tracker, 115.5, 100.0)  # by the first of the three
    assert tracker.output.credit_s == before_s


def test_that_an_output_moves_after_a_limit_that_was_declined_tells_nothing():
    tracker = known(100)
    tracker.post(10.0, 300, 10.0)
    tracker.decline(10.1)
    for at_s in range(14, 100, 5):
        measure(tracker, at_s, 100.0)
    measure(tracker, 104.0, 300.0)
    assert tracker.output.credit_s == UNIT.credit_s
