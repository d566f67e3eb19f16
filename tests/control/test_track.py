from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.model import CommandState, InverterStatus, LimitStatus

SERIAL = "1124a0000001"
UNIT = InverterParameters(
    SERIAL,
    minimum_w=20,
    maximum_w=400,
    rated_w=400,
    dead_time_s=2,
    credit_s=8,
    raise_spacing_s=5,
    refresh_s=210,
)
OK, PENDING, FAILURE = CommandState.OK, CommandState.PENDING, CommandState.FAILURE


def shown(at_s: float, limit_w: float | None, state: CommandState = OK, rated_w: float | None = 400.0) -> LimitStatus:
    """What the DTU says: limits in whole 0.1 %."""
    pct = None if limit_w is None else int(limit_w / (rated_w or 400) * 1000 + 1e-9) / 10
    return LimitStatus(SERIAL, at_s, pct, rated_w, state)


def status(at_s: float, output_w: float, *, reachable: bool = True) -> InverterStatus:
    return InverterStatus(SERIAL, "", at_s, at_s, reachable, output_w > 0, ac_power_w=output_w)


def known(limit_w: float = 200.0) -> InverterTracker:
    """An inverter that has acknowledged a limit of ours and gives it."""
    tracker = InverterTracker(UNIT)
    tracker.apply_limit_status(shown(-60.0, 20.0), -60.0)
    tracker.post(-50.0, limit_w, -50.0)
    tracker.apply_limit_status(shown(-47.0, limit_w), -47.0)
    tracker.apply_measurement(status(0.0, limit_w), 0.0, 20.0)
    return tracker


def feed(tracker: InverterTracker, *statuses: LimitStatus) -> list[bool]:
    return [tracker.apply_limit_status(s, s.at_s) for s in statuses]


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


# ---- what the meter sees


def test_the_meter_sees_a_command_only_after_radio_dead_time_and_ramp():
    tracker = known(200)
    tracker.output.visible_w(9.0)
    tracker.post(10.0, 100, 0.0)
    assert tracker.output.visible_w(10.5) == pytest.approx((200, 200))
    low_w, high_w = tracker.output.visible_w(13.0)
    assert low_w < 150, "the quickest plausible inverter has fallen"
    assert high_w == pytest.approx(200), "the slowest has not"
    assert tracker.output.visible_w(25.0) == pytest.approx((100, 100), abs=1)
    assert tracker.final_w == pytest.approx(100)


def test_a_command_that_waits_for_the_radio_is_seen_later():
    tracker = known(200)
    tracker.output.visible_w(9.0)
    tracker.post(10.0, 100, 16.0)
    assert tracker.output.visible_w(16.5) == pytest.approx((200, 200))


@given(st.lists(st.tuples(st.floats(0.1, 30), st.floats(20, 400)), min_size=1, max_size=12))
def test_what_may_be_visible_lies_between_the_limits_there_were(steps):
    tracker = known(200)
    seen_w = [200.0]
    now_s = 1.0
    for wait_s, limit_w in steps:
        now_s += wait_s
        tracker.post(now_s, limit_w, now_s)
        seen_w.append(limit_w)
        low_w, high_w = tracker.output.visible_w(now_s)
        assert min(seen_w) - 1 <= low_w <= high_w <= max(seen_w) + 1
    assert tracker.output.visible_w(now_s + 60) == pytest.approx((seen_w[-1], seen_w[-1]), abs=1)


def settle(tracker: InverterTracker, since_s: float, limit_w: float, output_w: float) -> None:
    """Let a limit of ours be acknowledged, and the output be measured for a minute."""
    tracker.post(since_s, limit_w, since_s)
    feed(tracker, shown(since_s + 3, limit_w))
    for at_s in range(int(since_s) + 20, int(since_s) + 80, 5):
        tracker.apply_measurement(status(float(at_s), output_w), float(at_s), 20.0)


def test_output_per_limit_is_learned_from_steps_that_the_output_followed():
    # Inputs share the limit evenly: with half of them connected half the limit comes out.
    tracker = known(200)
    for number, limit_w in enumerate((100, 200, 300, 380)):
        settle(tracker, 100.0 * (number + 1), limit_w, limit_w / 2)
    assert tracker.output.gain == pytest.approx(0.5, abs=0.02)
    assert tracker.final_w == pytest.approx(190, abs=5), "the model gives what was learned"
    assert tracker.output.held_w is None


def test_a_small_error_of_the_inverter_is_learned_at_once():
    tracker = known(200)
    settle(tracker, 100.0, 300, 280)
    assert tracker.output.gain == pytest.approx(280 / 300, abs=0.01)


@pytest.mark.parametrize("output_w", [0.0, 1.0, 1e6])
def test_nonsense_output_does_not_spoil_the_model(output_w):
    tracker = known(200)
    for at_s in range(20, 400, 5):
        tracker.apply_measurement(status(float(at_s), output_w), float(at_s), 20.0)
    assert 0.3 <= tracker.output.gain <= 1.1


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


# ---- a limit is known only when it ruled


def shown_only(limit_w: float, output_w: float) -> InverterTracker:
    """An inverter as it is met at the program's start: its limit was set by somebody else, or never ruled."""
    tracker = InverterTracker(UNIT)
    tracker.apply_limit_status(shown(0.0, limit_w), 0.0)
    for at_s in range(0, 120, 5):
        tracker.apply_measurement(status(float(at_s), output_w), float(at_s), 20.0)
    return tracker


def test_a_limit_that_is_not_ours_teaches_no_ratio_and_the_model_gives_what_is_measured():
    # The DTU shows 100 %, an older temporary limit lets 60 W through.
    tracker = shown_only(400, 60)
    assert tracker.output.gain == 1.0
    assert tracker.final_w == pytest.approx(60)
    assert tracker.output.visible_w(130.0) == pytest.approx((60, 60))
    assert tracker.output.held_w is None


def test_a_held_output_teaches_no_ratio_and_leaves_only_little_room():
    # A hub holds the output at 60 W whatever the limit.
    tracker = known(60)
    settle(tracker, 100.0, 300, 60)
    settle(tracker, 200.0, 380, 60)
    assert tracker.output.gain == pytest.approx(1.0, abs=0.05)
    assert tracker.output.held_w == 60
    assert tracker.final_w == pytest.approx(60)
    assert tracker.output.useful_limit_w == pytest.approx(220)
    assert tracker.output.limit_for_w(200.0) >= 380, "its limit is no measure of it"


def test_an_inverter_that_is_let_go_follows_its_limit_again():
    tracker = known(60)
    settle(tracker, 100.0, 300, 60)
    settle(tracker, 200.0, 220, 218)
    assert tracker.output.held_w is None
    assert tracker.final_w == pytest.approx(218, abs=5)


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


# ---- sent is not done


def test_what_a_lost_inverter_is_told_changes_nothing_until_it_answers():
    tracker = known(300)
    tracker.apply_measurement(status(60.0, 295, reachable=False), 60.0, 20.0)
    tracker.post(100.0, 20, 100.0)
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
