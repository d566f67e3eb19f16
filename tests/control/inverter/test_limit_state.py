from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.model import CommandState, LimitStatus
from tests.control.inverter.tracked import FAILURE, OK, PENDING, SERIAL, UNIT, feed, known, shown, status

# ---- the highest output still possible


def test_an_unknown_limit_counts_as_rated():
    tracker = InverterTracker(UNIT)
    assert tracker.highest_w == UNIT.rated_w
    tracker.apply_limit_status(shown(1.0, None), 1.0)
    assert tracker.highest_w == UNIT.rated_w
    assert tracker.wanted_w is None
    assert not tracker.is_usable


@pytest.mark.parametrize(
    ("before_w", "posted_w", "highest_w"),
    [
        pytest.param(200, 300, 300, id="a raise counts as soon as it is sent"),
        pytest.param(200, 100, 200, id="a fall counts when it is acknowledged"),
    ],
)
def test_what_is_pending_counts_with_the_higher_limit(before_w, posted_w, highest_w):
    tracker = known(before_w)
    tracker.post(10.0, posted_w, 0.0)
    assert tracker.highest_w == highest_w
    feed(tracker, shown(11.5, before_w, PENDING))
    assert tracker.highest_w == highest_w
    feed(tracker, shown(12.5, posted_w))
    assert tracker.highest_w == posted_w
    assert not tracker.is_pending


def test_a_superseded_waiting_limit_still_counts_until_the_acknowledgement():
    tracker = known(100)
    tracker.post(10.0, 350, 0.0)
    tracker.post(11.0, 50, 12.0)
    feed(tracker, shown(12.1, 100, PENDING), shown(12.6, 350, PENDING))
    assert tracker.highest_w == 350, "it may have been on air already"
    feed(tracker, shown(14.6, 50))
    assert tracker.highest_w == 50


def test_a_superseded_limit_does_not_count_for_ever_when_its_successor_is_declined():
    tracker = known(100)
    tracker.post(10.0, 350, 0.0)
    tracker.post(11.0, 50, 12.0)
    tracker.decline(100.0)
    assert tracker.highest_w == 350
    feed(tracker, shown(12.6, 350), shown(20.0, 350))
    tracker.post(30.0, 60, 0.0)
    feed(tracker, shown(33.0, 60))
    assert tracker.highest_w == 60


def test_a_declined_successor_leaves_the_first_limit_on_its_way():
    tracker = known(100)
    tracker.post(10.0, 350, 0.0)
    tracker.post(11.0, 50, 12.0)
    tracker.decline(100.0)
    assert feed(tracker, shown(12.6, 350)) == [False], "the limit that arrives is ours"


def test_switched_off_counts_as_nothing_only_when_it_gives_nothing():
    tracker = known(200)
    tracker.power.switch(10.0, on=False)
    assert tracker.highest_w == 200
    tracker.apply_measurement(status(11.0, 200), 11.0, 20.0)
    assert tracker.highest_w == 200
    tracker.apply_measurement(status(13.0, 0), 13.0, 20.0)
    assert tracker.highest_w == 0
    tracker.power.switch(60.0, on=True)
    assert tracker.highest_w == 200


@given(st.lists(st.floats(20, 400), min_size=1, max_size=6), st.floats(20, 400))
def test_nothing_posted_is_forgotten_before_an_acknowledgement(posted_w, before_w):
    tracker = known(before_w)
    known_w = tracker.limit_w or 0.0
    for number, limit_w in enumerate(posted_w):
        tracker.post(10.0 + number / 10, limit_w, 0.0)
    assert tracker.highest_w == max(known_w, *posted_w)


# ---- Pending, Ok and which command they mean (OpenDTU answers carry no command id)


@pytest.mark.parametrize(
    ("answers", "is_pending", "limit_w"),
    [
        pytest.param([shown(10.5, 300, OK)], True, 200, id="Ok within 1 s may be the one before"),
        pytest.param([shown(11.5, 200, OK)], True, 200, id="Ok with the old value within 3 s: wait"),
        pytest.param([shown(12.2, 300, OK)], False, 300, id="Ok with our value: done"),
        pytest.param([shown(12.2, 300, PENDING)], True, 200, id="Pending with our value: another waits"),
        pytest.param([shown(13.5, 200, OK)], False, 200, id="Ok with the old value after 3 s: swallowed"),
        pytest.param([shown(99.0, 200, PENDING)], True, 200, id="Pending for long: lost packets"),
        pytest.param([shown(25.0, 200, FAILURE)], True, 200, id="Failure: the DTU sends it again by itself"),
        pytest.param(
            [shown(25.0, 200, FAILURE), shown(90.0, 200, PENDING), shown(92.0, 300)], False, 300, id="and it arrives"
        ),
        pytest.param([shown(9.9, 200, OK), shown(9.9, 200, OK)], True, 200, id="an answer from before the POST"),
        pytest.param([shown(15.0, None, OK)], False, None, id="nothing known after 3 s: the DTU restarted"),
    ],
)
def test_which_answer_ends_a_command(answers, is_pending, limit_w):
    tracker = known(200)
    tracker.post(10.0, 300, 0.0)
    feed(tracker, *answers)
    assert tracker.is_pending is is_pending
    assert tracker.limit_w == limit_w


def test_an_answer_from_before_the_post_was_over_does_not_acknowledge_a_limit_that_is_repeated():
    tracker = known(200)
    tracker.post(10.0, 200, 0.0)
    tracker.limits.taken(15.0)
    feed(tracker, shown(15.5, 200))
    assert tracker.is_pending
    feed(tracker, shown(16.5, 200))
    assert not tracker.is_pending


def test_a_swallowed_command_is_not_believed_to_be_seen_by_the_meter():
    tracker = known(200)
    tracker.post(10.0, 300, 0.0)
    feed(tracker, shown(13.5, 200))
    assert tracker.highest_w == 200
    assert tracker.final_w == pytest.approx(200)
    assert tracker.output.visible_w(40.0) == pytest.approx((200, 200))


def test_after_a_refusal_the_old_limit_rules():
    tracker = known(200)
    tracker.post(10.0, 300, 0.0)
    tracker.decline(100.0)
    assert (tracker.wanted_w, tracker.highest_w) == (200, 200)
    assert tracker.output.visible_w(40.0) == pytest.approx((200, 200))


# ---- two masters


@pytest.mark.parametrize("rated_w", [300.0, 350.0, 400.0, 800.0, 1500.0, 2000.0])
@given(limit_w=st.floats(20, 300))
def test_our_own_rounding_is_not_foreign(rated_w, limit_w):
    tracker = InverterTracker(replace(UNIT, rated_w=rated_w, maximum_w=rated_w))
    feed(tracker, shown(0.0, 50.0, rated_w=rated_w))
    tracker.post(10.0, int(limit_w * 10) / 10, 0.0)
    answers = [shown(at_s, limit_w, rated_w=rated_w) for at_s in (12.5, 13.5, 90.0)]
    assert feed(tracker, *answers) == [False] * 3
    assert not tracker.is_pending


@pytest.mark.parametrize("rated_w", [300.0, 400.0, 1500.0, 2000.0])
@given(limit_w=st.floats(20, 300))
def test_whole_watts_of_old_firmware_are_not_foreign(rated_w, limit_w):
    tracker = InverterTracker(replace(UNIT, rated_w=rated_w, maximum_w=rated_w))
    feed(tracker, shown(0.0, 50.0, rated_w=rated_w))
    tracker.post(10.0, int(limit_w * 10) / 10, 0.0)
    assert feed(tracker, *(shown(at_s, int(limit_w), rated_w=rated_w) for at_s in (12.5, 13.5, 90.0))) == [False] * 3
    assert not tracker.is_pending


def test_another_acknowledged_limit_is_noticed_once_and_believed():
    tracker = known(200)
    assert feed(tracker, shown(50.0, 320), shown(51.0, 320)) == [True, False]
    assert tracker.limit_w == pytest.approx(320)
    assert tracker.highest_w == pytest.approx(320.4), "0.1 % may have been cut off"


def test_another_master_is_noticed_while_a_limit_of_ours_is_on_its_way():
    tracker = known(200)
    tracker.post(10.0, 300, 0.0)
    assert any(feed(tracker, shown(12.0, 200, PENDING), shown(14.5, 77), shown(15.5, 77)))


def test_a_read_back_that_shows_what_we_had_set_before_is_no_strangers_and_frees_nothing():
    tracker = known(20.0)
    tracker.post(10.0, 300.0, 10.0)
    assert feed(tracker, shown(12.0, 300.0), shown(14.0, 20.0), shown(250.0, 300.0)) == [False, False, False]
    tracker = known(20.0)
    tracker.post(10.0, 300.0, 10.0)
    feed(tracker, shown(12.0, 300.0), shown(14.0, 20.0))
    assert tracker.highest_w >= 300.0
    assert feed(tracker, shown(16.0, 60.0)) == [True]


def test_the_first_limit_seen_is_not_foreign():
    assert feed(InverterTracker(UNIT), shown(1.0, 320), shown(2.0, 320)) == [False, False]


def test_a_limit_learned_after_a_dtu_restart_is_not_foreign():
    tracker = known(200)
    assert feed(tracker, shown(50.0, None), shown(300.0, 200)) == [False, False]


# ---- an inverter that OpenDTU does not know shows no limit in %


def unknown_model(at_s: float, state: CommandState) -> LimitStatus:
    return LimitStatus(SERIAL, at_s, None, None, state)


def test_a_model_that_opendtu_does_not_know_acknowledges_by_pending_and_ok():
    tracker = InverterTracker(UNIT)
    feed(tracker, unknown_model(0.0, OK))
    assert tracker.highest_w == UNIT.rated_w
    tracker.post(10.0, 150, 10.0)
    feed(tracker, unknown_model(11.5, PENDING), unknown_model(12.5, OK))
    assert (tracker.limit_w, tracker.highest_w, tracker.is_pending) == (150, 150, False)
    feed(tracker, unknown_model(13.5, OK), unknown_model(500.0, OK))
    assert tracker.limit_w == 150, "that nothing is shown is no news"


def test_a_model_that_opendtu_does_not_know_is_not_believed_without_pending():
    tracker = InverterTracker(UNIT)
    feed(tracker, unknown_model(0.0, OK))
    tracker.post(10.0, 20, 10.0)
    feed(tracker, unknown_model(11.5, OK), unknown_model(14.0, OK))
    assert tracker.limit_w is None
    assert tracker.highest_w == UNIT.rated_w
    assert tracker.limits.ignored == 1


def test_a_percentage_of_an_unknown_rated_power_means_nothing():
    tracker = InverterTracker(UNIT)
    feed(tracker, LimitStatus(SERIAL, 0.0, 50.0, None, OK))
    assert tracker.limit_w is None
