from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.commands.command_policy import (
    DesiredState,
    SetLimit,
    SetPower,
    allowed,
    refresh,
    room_left_w,
)
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.model import CommandState, InverterStatus, LimitStatus

NOW_S = 1000.0


def unit(serial: str = "a", rated_w: float = 400.0) -> InverterParameters:
    return InverterParameters(serial, 20, rated_w, rated_w, dead_time_s=2, credit_s=8, raise_spacing_s=5, refresh_s=210)


def ruled(serial: str, limit_w: float | None, output_w: float | None = None) -> InverterTracker:
    """An inverter whose limit is ours, acknowledged long ago; None = unknown."""
    tracker = InverterTracker(unit(serial))
    tracker.apply_limit_status(LimitStatus(serial, 0.0, None, 400.0, CommandState.OK), 0.0)
    if limit_w is not None:
        tracker.post(0.0, limit_w, 0.0)
        tracker.apply_limit_status(LimitStatus(serial, 5.0, limit_w / 4, 400.0, CommandState.OK), 5.0)
    given_w = limit_w if output_w is None else output_w
    tracker.apply_measurement(InverterStatus(serial, "", NOW_S, NOW_S, True, ac_power_w=given_w), NOW_S, 20.0)
    return tracker


def pending(serial: str, limit_w: float, posted_w: float, since_s: float = 1.0) -> InverterTracker:
    tracker = ruled(serial, limit_w)
    tracker.post(NOW_S - since_s, posted_w, 0.0)
    return tracker


def off(serial: str, limit_w: float | None = 20.0) -> InverterTracker:
    tracker = ruled(serial, limit_w, 0.0)
    tracker.power.switch(NOW_S - 200, on=False)
    tracker.apply_measurement(InverterStatus(serial, "", NOW_S, NOW_S, True, ac_power_w=0.0), NOW_S, 20.0)
    tracker.power.is_producing = False
    return tracker


def ask(tracker: InverterTracker, wish: DesiredState, cap_w: float = 800.0) -> list[object]:
    return list(allowed(NOW_S, {"a": wish}, {"a": tracker}, cap_w))


@pytest.mark.parametrize(
    ("tracker", "wish", "expected"),
    [
        pytest.param(ruled("a", 200), DesiredState(300), [SetLimit("a", 300)], id="a rise"),
        pytest.param(ruled("a", 200), DesiredState(100), [SetLimit("a", 100)], id="a fall"),
        pytest.param(ruled("a", 200), DesiredState(200), [], id="nothing new: nothing sent"),
        pytest.param(ruled("a", 200), DesiredState(202.9), [], id="less than 3 W is not worth a command"),
        pytest.param(ruled("a", 200), DesiredState(199, is_urgent=True), [], id="not even for a guard"),
        pytest.param(ruled("a", 200), DesiredState(123.4567), [SetLimit("a", 123.4)], id="rounded down to 0.1 W"),
        pytest.param(pending("a", 100, 200, since_s=60), DesiredState(300), [], id="no raise while pending"),
        pytest.param(
            pending("a", 100, 200, since_s=60),
            DesiredState(300, is_urgent=True),
            [],
            id="no raise while pending for a guard",
        ),
        pytest.param(pending("a", 100, 200), DesiredState(200), [], id="no repeat while pending"),
        pytest.param(pending("a", 100, 200), DesiredState(150), [], id="a small fall waits"),
        pytest.param(
            pending("a", 100, 200), DesiredState(99), [SetLimit("a", 99)], id="a fall by more than 100 W does not"
        ),
        pytest.param(
            pending("a", 100, 200), DesiredState(150, is_urgent=True), [SetLimit("a", 150)], id="a guard's neither"
        ),
        pytest.param(ruled("a", None), DesiredState(20), [SetLimit("a", 20)], id="unknown gets its minimum"),
        pytest.param(
            ruled("a", 200), DesiredState(20, is_on=False), [SetPower("a", False), SetLimit("a", 20)], id="off, and low"
        ),
        pytest.param(off("a"), DesiredState(20, is_on=False), [], id="off is not repeated"),
        pytest.param(off("a"), DesiredState(20), [SetPower("a", True)], id="on again at a known low limit"),
        pytest.param(off("a", None), DesiredState(20), [SetLimit("a", 20)], id="not on while its limit is unknown"),
    ],
)
def test_what_may_go_out(tracker, wish, expected):
    assert ask(tracker, wish) == expected


@pytest.mark.parametrize(("since_s", "sent"), [(4.9, 0), (5.1, 1)])
def test_raises_to_one_inverter_are_spaced(since_s, sent):
    tracker = ruled("a", 100)
    tracker.post(NOW_S - since_s, 200, 0.0)
    tracker.apply_limit_status(LimitStatus("a", NOW_S, 50.0, 400.0, CommandState.OK), NOW_S)
    assert not tracker.is_pending
    assert len(ask(tracker, DesiredState(300))) == sent
    assert len(ask(tracker, DesiredState(100))) == 1, "falls are not"


def test_an_unknown_limit_gets_its_minimum_only_once_until_the_refresh():
    tracker = ruled("a", None)
    tracker.post(NOW_S - 100, 20, 0.0)
    tracker.apply_limit_status(LimitStatus("a", NOW_S - 50, None, 400.0, CommandState.OK), NOW_S - 50)
    assert ask(tracker, DesiredState(20, is_urgent=True)) == []
    assert len(allowed(NOW_S + 111, {"a": DesiredState(20)}, {"a": tracker}, 800)) == 1


def test_a_limit_lost_in_a_dtu_restart_is_answered_at_once_however_lately_the_last_one_was_sent():
    tracker = ruled("a", 100)
    tracker.post(NOW_S - 20, 300, 0.0)
    tracker.apply_limit_status(LimitStatus("a", NOW_S - 15, 75.0, 400.0, CommandState.OK), NOW_S - 15)
    tracker.apply_limit_status(LimitStatus("a", NOW_S - 1, None, 0.0, CommandState.OK), NOW_S - 1)
    assert ask(tracker, DesiredState(20, is_urgent=True)) == [SetLimit("a", 20)]


def test_power_moves_from_one_to_the_other_only_after_the_fall_is_acknowledged():
    trackers = {"a": ruled("a", 400), "b": ruled("b", 100)}
    desired = {"a": DesiredState(100), "b": DesiredState(400)}
    commands = allowed(NOW_S, desired, trackers, 500.0)
    assert commands == [SetLimit("a", 100)]
    trackers["a"].post(NOW_S, 100, 0.0)
    assert allowed(NOW_S + 1, desired, trackers, 500.0) == []
    trackers["a"].apply_limit_status(LimitStatus("a", NOW_S + 2.5, 25.0, 400.0, CommandState.OK), NOW_S + 2.5)
    assert allowed(NOW_S + 3, desired, trackers, 500.0) == [SetLimit("b", 400)]


def test_a_switched_off_inverter_comes_on_only_when_its_limit_fits_below_the_cap():
    trackers = {"a": ruled("a", 400), "b": off("b")}
    desired = {"a": DesiredState(380), "b": DesiredState(20)}
    assert SetPower("b", True) not in allowed(NOW_S, desired, trackers, 400.0)
    trackers["a"].post(NOW_S, 380, 0.0)
    trackers["a"].apply_limit_status(LimitStatus("a", NOW_S + 2.5, 95.0, 400.0, CommandState.OK), NOW_S + 2.5)
    assert allowed(NOW_S + 3, desired, trackers, 400.0) == [SetPower("b", True)]


def test_a_limit_of_another_master_that_is_pending_is_not_raised_over():
    tracker = ruled("a", 100)
    tracker.apply_limit_status(LimitStatus("a", NOW_S, 25.0, 400.0, CommandState.PENDING), NOW_S)
    assert ask(tracker, DesiredState(300)) == []
    assert refresh(NOW_S, {"a": DesiredState(100)}, {"a": tracker}, 800.0) == []


def test_an_inverter_that_comes_back_while_its_limit_is_pending_is_not_sent_the_same_again():
    # After its boot the DTU calls every inverter reachable.
    tracker = ruled("a", None)
    tracker.apply_measurement(InverterStatus("a", "", NOW_S - 9, NOW_S - 9, False, ac_power_w=0.0), NOW_S - 9, 20.0)
    tracker.post(NOW_S - 3, 20, 0.0)
    tracker.apply_limit_status(LimitStatus("a", NOW_S, None, 400.0, CommandState.PENDING), NOW_S)
    tracker.apply_measurement(InverterStatus("a", "", NOW_S, NOW_S, True, ac_power_w=20.0), NOW_S, 20.0)
    assert ask(tracker, DesiredState(20, is_urgent=True)) == []


def test_refresh_takes_the_one_that_has_waited_longest_and_one_at_a_time():
    trackers = {"a": ruled("a", 100), "b": ruled("b", 150)}
    for serial, posted_s in (("a", NOW_S - 250), ("b", NOW_S - 300)):
        limit_w = trackers[serial].limit_w or 0.0
        trackers[serial].post(posted_s, limit_w, 0.0)
        trackers[serial].apply_limit_status(
            LimitStatus(serial, posted_s + 3, limit_w / 4, 400.0, CommandState.OK), posted_s + 3
        )
    desired = {"a": DesiredState(100), "b": DesiredState(150)}
    assert refresh(NOW_S, desired, trackers, 800.0) == [SetLimit("b", 150)]
    trackers["b"].post(NOW_S, 150, 0.0)
    assert refresh(NOW_S + 1, desired, trackers, 800.0) == [], "not while something is pending"
    assert refresh(NOW_S - 100, desired, trackers, 800.0) == [], "not before it is due"


def test_a_refresh_never_repeats_a_limit_outside_the_bounds():
    for limit_w in (4.0, 400.0):
        tracker = ruled("a", limit_w)
        tracker.unit = InverterParameters(
            "a", 20, 300, 400, dead_time_s=2, credit_s=8, raise_spacing_s=5, refresh_s=210
        )
        commands = refresh(NOW_S, {"a": DesiredState(limit_w)}, {"a": tracker}, 800.0)
        assert [20 <= c.limit_w <= 300 for c in commands if isinstance(c, SetLimit)] == [True]


@pytest.mark.parametrize(("room_w", "sent"), [(15.9, []), (16.0, [SetLimit("a", 20)])])
def test_a_foreign_limit_below_the_minimum_is_raised_to_it_only_into_the_room_that_the_cap_leaves(room_w, sent):
    assert refresh(NOW_S, {"a": DesiredState(4)}, {"a": ruled("a", 4.0)}, room_w) == sent


def test_what_is_about_to_be_sent_takes_room_too():
    trackers = {"a": ruled("a", 100.0), "b": ruled("b", 4.0)}
    assert room_left_w(trackers, [], 120.0) == pytest.approx(16)
    assert room_left_w(trackers, [SetLimit("a", 110.0)], 120.0) == pytest.approx(6)
    assert room_left_w(trackers, [SetLimit("a", 50.0)], 120.0) == pytest.approx(16), (
        "a fall makes room once it is confirmed"
    )


@st.composite
def plants(draw: st.DrawFn) -> tuple[dict[str, InverterTracker], dict[str, DesiredState]]:
    trackers, desired = {}, {}
    for number in range(draw(st.integers(1, 6))):
        serial = f"s{number}"
        limit_w = draw(st.none() | st.floats(20, 400))
        tracker = ruled(serial, limit_w) if draw(st.booleans()) else off(serial, limit_w)
        if draw(st.booleans()):
            tracker.post(NOW_S - draw(st.floats(0, 300)), draw(st.floats(20, 400)), 0.0)
        trackers[serial] = tracker
        desired[serial] = DesiredState(draw(st.floats(20, 400)), draw(st.booleans()), draw(st.booleans()))
    return trackers, desired


def send(command: SetLimit | SetPower, trackers: dict[str, InverterTracker]) -> None:
    if isinstance(command, SetLimit):
        trackers[command.serial].post(NOW_S, command.limit_w, 0.0)
    else:
        trackers[command.serial].power.switch(NOW_S, on=command.on)


@given(plants(), st.floats(0, 2500))
def test_no_limits_sent_together_take_the_possible_output_above_the_cap(plant, cap_w):
    trackers, desired = plant
    before_w = sum(t.highest_w for t in trackers.values())
    for command in allowed(NOW_S, desired, trackers, cap_w):
        if isinstance(command, SetLimit):
            send(command, trackers)
        assert sum(t.highest_w for t in trackers.values()) <= max(cap_w, before_w) + 0.11


def test_a_limit_is_not_cut_below_the_minimum_by_what_the_cap_leaves():
    # Off and unknown: it gets its minimum, of which the cap leaves 12 W.
    trackers = {"a": ruled("a", 388), "b": off("b", None)}
    commands = allowed(NOW_S, {"a": DesiredState(388), "b": DesiredState(20, is_on=False)}, trackers, 400.0)
    assert commands in ([], [SetLimit("b", 20)])


@given(plants(), st.floats(0, 2500))
def test_a_limit_lies_within_the_bounds_whatever_the_cap_leaves(plant, cap_w):
    trackers, desired = plant
    commands = allowed(NOW_S, desired, trackers, cap_w)
    assert all(19.9 <= c.limit_w <= 400 for c in commands if isinstance(c, SetLimit))


@given(plants(), st.floats(0, 2500))
def test_nothing_is_raised_or_repeated_while_pending(plant, cap_w):
    trackers, desired = plant
    for command in allowed(NOW_S, desired, trackers, cap_w):
        tracker = trackers[command.serial]
        if isinstance(command, SetLimit) and tracker.is_pending:
            assert command.limit_w < (tracker.wanted_w or 0.0)


def test_a_limit_that_the_dtu_still_sends_is_not_repeated_because_of_a_restart():
    tracker = pending("a", 100, 20, since_s=60)
    for after_s, state in ((5, CommandState.FAILURE), (9, CommandState.PENDING)):
        told = LimitStatus("a", NOW_S - 60 + after_s, 25.0, 400.0, state)
        tracker.apply_limit_status(told, told.at_s)
    tracker.post_restart()
    tracker.apply_limit_status(LimitStatus("a", NOW_S - 1, 25.0, 400.0, CommandState.PENDING), NOW_S - 1)
    assert ask(tracker, DesiredState(20)) == []
    tracker.apply_limit_status(LimitStatus("a", NOW_S, 25.0, 400.0, CommandState.FAILURE), NOW_S)
    assert ask(tracker, DesiredState(20)) == [SetLimit("a", 20)]
