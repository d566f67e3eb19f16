from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.output import Unit
from opendtu_dcload.control.track import Track
from opendtu_dcload.model import CommandState, InverterStatus, LimitStatus

SERIAL = "1124a0000001"
UNIT = Unit(
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


def known(limit_w: float = 200.0) -> Track:
    track = Track(UNIT)
    track.see_limit(shown(0.0, limit_w), 0.0)
    track.see_status(status(0.0, limit_w), 0.0, 20.0)
    return track


def feed(track: Track, *statuses: LimitStatus) -> list[bool]:
    return [track.see_limit(s, s.at_s) for s in statuses]


# ---- the highest output still possible


def test_an_unknown_limit_counts_as_rated():
    track = Track(UNIT)
    assert track.highest_w == UNIT.rated_w
    track.see_limit(shown(1.0, None), 1.0)
    assert track.highest_w == UNIT.rated_w
    assert track.wanted_w is None
    assert not track.is_usable


@pytest.mark.parametrize(
    ("before_w", "posted_w", "highest_w"),
    [
        pytest.param(200, 300, 300, id="a raise counts as soon as it is sent"),
        pytest.param(200, 100, 200, id="a fall counts when it is acknowledged"),
    ],
)
def test_what_is_pending_counts_with_the_higher_limit(before_w, posted_w, highest_w):
    track = known(before_w)
    track.post(10.0, posted_w, 0.0)
    assert track.highest_w == highest_w
    feed(track, shown(11.5, before_w, PENDING))
    assert track.highest_w == highest_w
    feed(track, shown(12.5, posted_w))
    assert track.highest_w == posted_w
    assert not track.is_pending


def test_a_superseded_waiting_limit_still_counts_until_the_acknowledgement():
    track = known(100)
    track.post(10.0, 350, 0.0)
    track.post(11.0, 50, 12.0)
    feed(track, shown(12.1, 100, PENDING), shown(12.6, 350, PENDING))
    assert track.highest_w == 350, "it may have been on air already"
    feed(track, shown(14.6, 50))
    assert track.highest_w == 50


def test_a_superseded_limit_does_not_count_for_ever_when_its_successor_is_declined():
    track = known(100)
    track.post(10.0, 350, 0.0)
    track.post(11.0, 50, 12.0)
    track.refused(100.0)
    assert track.highest_w == 350
    feed(track, shown(12.6, 350), shown(20.0, 350))
    track.post(30.0, 60, 0.0)
    feed(track, shown(33.0, 60))
    assert track.highest_w == 60


def test_a_declined_successor_leaves_the_first_limit_on_its_way():
    track = known(100)
    track.post(10.0, 350, 0.0)
    track.post(11.0, 50, 12.0)
    track.refused(100.0)
    assert feed(track, shown(12.6, 350)) == [False], "the limit that arrives is ours"


def test_switched_off_counts_as_nothing_only_when_it_gives_nothing():
    track = known(200)
    track.post_power(10.0, on=False)
    assert track.highest_w == 200
    track.see_status(status(11.0, 200), 11.0, 20.0)
    assert track.highest_w == 200
    track.see_status(status(13.0, 0), 13.0, 20.0)
    assert track.highest_w == 0
    track.post_power(60.0, on=True)
    assert track.highest_w == 200


@given(st.lists(st.floats(20, 400), min_size=1, max_size=6), st.floats(20, 400))
def test_nothing_posted_is_forgotten_before_an_acknowledgement(posted_w, before_w):
    track = known(before_w)
    known_w = track.limit_w or 0.0
    for number, limit_w in enumerate(posted_w):
        track.post(10.0 + number / 10, limit_w, 0.0)
    assert track.highest_w == max(known_w, *posted_w)


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
    track = known(200)
    track.post(10.0, 300, 0.0)
    feed(track, *answers)
    assert track.is_pending is is_pending
    assert track.limit_w == limit_w


def test_a_swallowed_command_is_not_believed_to_be_seen_by_the_meter():
    track = known(200)
    track.post(10.0, 300, 0.0)
    feed(track, shown(13.5, 200))
    assert track.highest_w == 200
    assert track.final_w == pytest.approx(200)
    assert track.visible_w(40.0) == pytest.approx((200, 200))


def test_after_a_refusal_the_old_limit_rules():
    track = known(200)
    track.post(10.0, 300, 0.0)
    track.refused(100.0)
    assert (track.wanted_w, track.highest_w) == (200, 200)
    assert track.visible_w(40.0) == pytest.approx((200, 200))


# ---- two masters


@pytest.mark.parametrize("rated_w", [300.0, 350.0, 400.0, 800.0, 1500.0, 2000.0])
@given(limit_w=st.floats(20, 300))
def test_our_own_rounding_is_not_foreign(rated_w, limit_w):
    track = Track(replace(UNIT, rated_w=rated_w, maximum_w=rated_w))
    feed(track, shown(0.0, 50.0, rated_w=rated_w))
    track.post(10.0, int(limit_w * 10) / 10, 0.0)
    answers = [shown(at_s, limit_w, rated_w=rated_w) for at_s in (12.5, 13.5, 90.0)]
    assert feed(track, *answers) == [False] * 3
    assert not track.is_pending


@pytest.mark.parametrize("rated_w", [300.0, 400.0, 1500.0, 2000.0])
@given(limit_w=st.floats(20, 300))
def test_whole_watts_of_old_firmware_are_not_foreign(rated_w, limit_w):
    track = Track(replace(UNIT, rated_w=rated_w, maximum_w=rated_w))
    feed(track, shown(0.0, 50.0, rated_w=rated_w))
    track.post(10.0, int(limit_w * 10) / 10, 0.0)
    assert feed(track, *(shown(at_s, int(limit_w), rated_w=rated_w) for at_s in (12.5, 13.5, 90.0))) == [False] * 3
    assert not track.is_pending


def test_another_acknowledged_limit_is_noticed_once_and_believed():
    track = known(200)
    assert feed(track, shown(50.0, 320), shown(51.0, 320)) == [True, False]
    assert track.limit_w == pytest.approx(320)
    assert track.highest_w == pytest.approx(320)


def test_another_master_is_noticed_while_a_limit_of_ours_is_on_its_way():
    track = known(200)
    track.post(10.0, 300, 0.0)
    assert any(feed(track, shown(12.0, 200, PENDING), shown(14.5, 77), shown(15.5, 77)))


def test_the_first_limit_seen_is_not_foreign():
    assert feed(Track(UNIT), shown(1.0, 320), shown(2.0, 320)) == [False, False]


def test_a_limit_learned_after_a_dtu_restart_is_not_foreign():
    track = known(200)
    assert feed(track, shown(50.0, None), shown(300.0, 200)) == [False, False]


# ---- restarts


def test_after_the_inverter_was_gone_its_limit_is_unknown_although_the_dtu_still_shows_the_old_one():
    # A restarted inverter runs at its persistent limit; the DTU goes on showing the last acknowledged one.
    track = known(100)
    track.see_status(status(60.0, 100, reachable=False), 60.0, 20.0)
    track.see_status(status(200.0, 400), 200.0, 20.0)
    feed(track, shown(200.0, 100), shown(201.0, 100))
    assert track.wanted_w is None
    assert track.highest_w == UNIT.rated_w


def test_after_the_inverter_came_back_the_acknowledged_minimum_is_known_again():
    track = known(100)
    track.see_status(status(60.0, 100, reachable=False), 60.0, 20.0)
    track.see_status(status(200.0, 400), 200.0, 20.0)
    feed(track, shown(200.0, 100))
    track.post(201.0, 20, 0.0)
    feed(track, shown(202.5, 100, PENDING), shown(203.5, 20))
    assert track.highest_w == pytest.approx(20)


def test_a_command_that_waits_at_the_dtu_still_counts_when_the_inverter_comes_back():
    # OpenDTU sends a failed limit again in each poll slot: it may arrive just now.
    track = known(100)
    track.post(10.0, 350, 0.0)
    track.see_status(status(60.0, 100, reachable=False), 60.0, 20.0)
    feed(track, shown(60.0, 100, FAILURE))
    track.see_status(status(200.0, 100), 200.0, 20.0)
    feed(track, shown(200.0, 100, PENDING))
    assert track.highest_w >= 350


# ---- what the meter sees


def test_the_meter_sees_a_command_only_after_radio_dead_time_and_ramp():
    track = known(200)
    track.visible_w(9.0)
    track.post(10.0, 100, 0.0)
    assert track.visible_w(10.5) == pytest.approx((200, 200))
    low_w, high_w = track.visible_w(13.0)
    assert low_w < 150, "the quickest plausible inverter has fallen"
    assert high_w == pytest.approx(200), "the slowest has not"
    assert track.visible_w(25.0) == pytest.approx((100, 100), abs=1)
    assert track.final_w == pytest.approx(100)


def test_a_command_that_waits_for_the_radio_is_seen_later():
    track = known(200)
    track.visible_w(9.0)
    track.post(10.0, 100, 16.0)
    assert track.visible_w(16.5) == pytest.approx((200, 200))


@given(st.lists(st.tuples(st.floats(0.1, 30), st.floats(20, 400)), min_size=1, max_size=12))
def test_what_may_be_visible_lies_between_the_limits_there_were(steps):
    track = known(200)
    seen_w = [200.0]
    now_s = 1.0
    for wait_s, limit_w in steps:
        now_s += wait_s
        track.post(now_s, limit_w, now_s)
        seen_w.append(limit_w)
        low_w, high_w = track.visible_w(now_s)
        assert min(seen_w) - 1 <= low_w <= high_w <= max(seen_w) + 1
    assert track.visible_w(now_s + 60) == pytest.approx((seen_w[-1], seen_w[-1]), abs=1)


def test_output_per_limit_is_learned_when_settled():
    track = known(200)
    for at_s in range(20, 200, 5):
        track.see_status(status(float(at_s), 100), float(at_s), 20.0)
    assert track.gain == pytest.approx(0.5, abs=0.02)


def test_the_model_gives_what_was_learned():
    # Inputs share the limit evenly: with half of them connected half the limit comes out.
    track = known(200)
    for at_s in range(20, 200, 5):
        track.see_status(status(float(at_s), 100), float(at_s), 20.0)
    assert track.final_w == pytest.approx(100, abs=5)


@pytest.mark.parametrize("output_w", [0.0, 1.0, 1e6])
def test_nonsense_output_does_not_spoil_the_model(output_w):
    track = known(200)
    for at_s in range(20, 400, 5):
        track.see_status(status(float(at_s), output_w), float(at_s), 20.0)
    assert 0.3 <= track.gain <= 1.1


@pytest.mark.parametrize(
    ("at_s", "age_s", "reachable", "is_fresh"),
    [
        pytest.param(100.0, 19.9, True, True, id="young"),
        pytest.param(100.0, 20.1, True, False, id="old: the DTU does not hear it"),
        pytest.param(100.0, 1.0, False, False, id="the DTU says it is gone"),
    ],
)
def test_freshness(at_s, age_s, reachable, is_fresh):
    track = known(200)
    track.see_status(status(at_s, 200, reachable=reachable), at_s + age_s, 20.0)
    assert track.is_fresh is is_fresh
    assert track.is_usable is is_fresh
