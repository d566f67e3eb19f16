from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.output import Unit
from opendtu_dcload.control.policy import SetLimit, SetPower, Wish, allowed, refresh, room_left_w
from opendtu_dcload.control.track import Track
from opendtu_dcload.model import CommandState, InverterStatus, LimitStatus

NOW_S = 1000.0


def unit(serial: str = "a", rated_w: float = 400.0) -> Unit:
    return Unit(serial, 20, rated_w, rated_w, dead_time_s=2, credit_s=8, raise_spacing_s=5, refresh_s=210)


def ruled(serial: str, limit_w: float | None, output_w: float | None = None) -> Track:
    """An inverter whose limit is ours, acknowledged long ago; None = unknown."""
    track = Track(unit(serial))
    track.see_limit(LimitStatus(serial, 0.0, None, 400.0, CommandState.OK), 0.0)
    if limit_w is not None:
        track.post(0.0, limit_w, 0.0)
        track.see_limit(LimitStatus(serial, 5.0, limit_w / 4, 400.0, CommandState.OK), 5.0)
    given_w = limit_w if output_w is None else output_w
    track.see_status(InverterStatus(serial, "", NOW_S, NOW_S, True, True, ac_power_w=given_w), NOW_S, 20.0)
    return track


def pending(serial: str, limit_w: float, posted_w: float, since_s: float = 1.0) -> Track:
    track = ruled(serial, limit_w)
    track.post(NOW_S - since_s, posted_w, 0.0)
    return track


def off(serial: str, limit_w: float | None = 20.0) -> Track:
    track = ruled(serial, limit_w, 0.0)
    track.post_power(NOW_S - 200, on=False)
    track.see_status(InverterStatus(serial, "", NOW_S, NOW_S, True, False, ac_power_w=0.0), NOW_S, 20.0)
    track.is_producing = False
    return track


def ask(track: Track, wish: Wish, cap_w: float = 800.0) -> list[object]:
    return list(allowed(NOW_S, {"a": wish}, {"a": track}, cap_w))


@pytest.mark.parametrize(
    ("track", "wish", "expected"),
    [
        pytest.param(ruled("a", 200), Wish(300), [SetLimit("a", 300)], id="a rise"),
        pytest.param(ruled("a", 200), Wish(100), [SetLimit("a", 100)], id="a fall"),
        pytest.param(ruled("a", 200), Wish(200), [], id="nothing new: nothing sent"),
        pytest.param(ruled("a", 200), Wish(202.9), [], id="less than 3 W is not worth a command"),
        pytest.param(ruled("a", 200), Wish(199, is_urgent=True), [], id="not even for a guard"),
        pytest.param(ruled("a", 200), Wish(123.4567), [SetLimit("a", 123.4)], id="rounded down to 0.1 W"),
        pytest.param(pending("a", 100, 200), Wish(300), [], id="no raise while pending"),
        pytest.param(pending("a", 100, 200), Wish(300, is_urgent=True), [], id="no raise while pending for a guard"),
        pytest.param(pending("a", 100, 200), Wish(200), [], id="no repeat while pending"),
        pytest.param(pending("a", 100, 200), Wish(150), [], id="a small fall waits"),
        pytest.param(pending("a", 100, 200), Wish(99), [SetLimit("a", 99)], id="a fall by more than 100 W does not"),
        pytest.param(pending("a", 100, 200), Wish(150, is_urgent=True), [SetLimit("a", 150)], id="a guard's neither"),
        pytest.param(ruled("a", None), Wish(20), [SetLimit("a", 20)], id="unknown gets its minimum"),
        pytest.param(
            ruled("a", 200), Wish(20, is_on=False), [SetPower("a", False), SetLimit("a", 20)], id="off, and low"
        ),
        pytest.param(off("a"), Wish(20, is_on=False), [], id="off is not repeated"),
        pytest.param(off("a"), Wish(20), [SetPower("a", True)], id="on again at a known low limit"),
        pytest.param(off("a", None), Wish(20), [SetLimit("a", 20)], id="not on while its limit is unknown"),
    ],
)
def test_what_may_go_out(track, wish, expected):
    assert ask(track, wish) == expected


@pytest.mark.parametrize(("since_s", "sent"), [(4.9, 0), (5.1, 1)])
def test_raises_to_one_inverter_are_spaced(since_s, sent):
    track = ruled("a", 100)
    track.post(NOW_S - since_s, 200, 0.0)
    track.see_limit(LimitStatus("a", NOW_S, 50.0, 400.0, CommandState.OK), NOW_S)
    assert not track.is_pending
    assert len(ask(track, Wish(300))) == sent
    assert len(ask(track, Wish(100))) == 1, "falls are not"


def test_an_unknown_limit_gets_its_minimum_only_once_until_the_refresh():
    track = ruled("a", None)
    track.post(NOW_S - 100, 20, 0.0)
    track.see_limit(LimitStatus("a", NOW_S - 50, None, 400.0, CommandState.OK), NOW_S - 50)
    assert ask(track, Wish(20, is_urgent=True)) == []
    assert len(allowed(NOW_S + 111, {"a": Wish(20)}, {"a": track}, 800)) == 1


def test_a_limit_lost_in_a_dtu_restart_is_answered_at_once_however_lately_the_last_one_was_sent():
    track = ruled("a", 100)
    track.post(NOW_S - 20, 300, 0.0)
    track.see_limit(LimitStatus("a", NOW_S - 15, 75.0, 400.0, CommandState.OK), NOW_S - 15)
    track.see_limit(LimitStatus("a", NOW_S - 1, None, 0.0, CommandState.OK), NOW_S - 1)
    assert ask(track, Wish(20, is_urgent=True)) == [SetLimit("a", 20)]


def test_power_moves_from_one_to_the_other_only_after_the_fall_is_acknowledged():
    tracks = {"a": ruled("a", 400), "b": ruled("b", 100)}
    wishes = {"a": Wish(100), "b": Wish(400)}
    commands = allowed(NOW_S, wishes, tracks, 500.0)
    assert commands == [SetLimit("a", 100)]
    tracks["a"].post(NOW_S, 100, 0.0)
    assert allowed(NOW_S + 1, wishes, tracks, 500.0) == []
    tracks["a"].see_limit(LimitStatus("a", NOW_S + 2.5, 25.0, 400.0, CommandState.OK), NOW_S + 2.5)
    assert allowed(NOW_S + 3, wishes, tracks, 500.0) == [SetLimit("b", 400)]


def test_a_switched_off_inverter_comes_on_only_when_its_limit_fits_below_the_cap():
    tracks = {"a": ruled("a", 400), "b": off("b")}
    wishes = {"a": Wish(380), "b": Wish(20)}
    assert SetPower("b", True) not in allowed(NOW_S, wishes, tracks, 400.0)
    tracks["a"].post(NOW_S, 380, 0.0)
    tracks["a"].see_limit(LimitStatus("a", NOW_S + 2.5, 95.0, 400.0, CommandState.OK), NOW_S + 2.5)
    assert allowed(NOW_S + 3, wishes, tracks, 400.0) == [SetPower("b", True)]


def test_a_limit_of_another_master_that_is_pending_is_not_raised_over():
    track = ruled("a", 100)
    track.see_limit(LimitStatus("a", NOW_S, 25.0, 400.0, CommandState.PENDING), NOW_S)
    assert ask(track, Wish(300)) == []
    assert refresh(NOW_S, {"a": Wish(100)}, {"a": track}, 800.0) == []


def test_an_inverter_that_comes_back_while_its_limit_is_pending_is_not_sent_the_same_again():
    # After its boot the DTU calls every inverter reachable.
    track = ruled("a", None)
    track.see_status(InverterStatus("a", "", NOW_S - 9, NOW_S - 9, False, False, ac_power_w=0.0), NOW_S - 9, 20.0)
    track.post(NOW_S - 3, 20, 0.0)
    track.see_limit(LimitStatus("a", NOW_S, None, 400.0, CommandState.PENDING), NOW_S)
    track.see_status(InverterStatus("a", "", NOW_S, NOW_S, True, True, ac_power_w=20.0), NOW_S, 20.0)
    assert ask(track, Wish(20, is_urgent=True)) == []


def test_refresh_takes_the_one_that_has_waited_longest_and_one_at_a_time():
    tracks = {"a": ruled("a", 100), "b": ruled("b", 150)}
    for serial, posted_s in (("a", NOW_S - 250), ("b", NOW_S - 300)):
        limit_w = tracks[serial].limit_w or 0.0
        tracks[serial].post(posted_s, limit_w, 0.0)
        tracks[serial].see_limit(LimitStatus(serial, posted_s + 3, limit_w / 4, 400.0, CommandState.OK), posted_s + 3)
    wishes = {"a": Wish(100), "b": Wish(150)}
    assert refresh(NOW_S, wishes, tracks, 800.0) == [SetLimit("b", 150)]
    tracks["b"].post(NOW_S, 150, 0.0)
    assert refresh(NOW_S + 1, wishes, tracks, 800.0) == [], "not while something is pending"
    assert refresh(NOW_S - 100, wishes, tracks, 800.0) == [], "not before it is due"


def test_a_refresh_never_repeats_a_limit_outside_the_bounds():
    for limit_w in (4.0, 400.0):
        track = ruled("a", limit_w)
        track.unit = Unit("a", 20, 300, 400, dead_time_s=2, credit_s=8, raise_spacing_s=5, refresh_s=210)
        commands = refresh(NOW_S, {"a": Wish(limit_w)}, {"a": track}, 800.0)
        assert [20 <= c.limit_w <= 300 for c in commands if isinstance(c, SetLimit)] == [True]


@pytest.mark.parametrize(("room_w", "sent"), [(15.9, []), (16.0, [SetLimit("a", 20)])])
def test_a_foreign_limit_below_the_minimum_is_raised_to_it_only_into_the_room_that_the_cap_leaves(room_w, sent):
    assert refresh(NOW_S, {"a": Wish(4)}, {"a": ruled("a", 4.0)}, room_w) == sent


def test_what_is_about_to_be_sent_takes_room_too():
    tracks = {"a": ruled("a", 100.0), "b": ruled("b", 4.0)}
    assert room_left_w(tracks, [], 120.0) == pytest.approx(16)
    assert room_left_w(tracks, [SetLimit("a", 110.0)], 120.0) == pytest.approx(6)
    assert room_left_w(tracks, [SetLimit("a", 50.0)], 120.0) == pytest.approx(16), (
        "a fall makes room once it is confirmed"
    )


@st.composite
def plants(draw: st.DrawFn) -> tuple[dict[str, Track], dict[str, Wish]]:
    tracks, wishes = {}, {}
    for number in range(draw(st.integers(1, 6))):
        serial = f"s{number}"
        limit_w = draw(st.none() | st.floats(20, 400))
        track = ruled(serial, limit_w) if draw(st.booleans()) else off(serial, limit_w)
        if draw(st.booleans()):
            track.post(NOW_S - draw(st.floats(0, 300)), draw(st.floats(20, 400)), 0.0)
        tracks[serial] = track
        wishes[serial] = Wish(draw(st.floats(20, 400)), draw(st.booleans()), draw(st.booleans()))
    return tracks, wishes


def send(command: SetLimit | SetPower, tracks: dict[str, Track]) -> None:
    if isinstance(command, SetLimit):
        tracks[command.serial].post(NOW_S, command.limit_w, 0.0)
    else:
        tracks[command.serial].post_power(NOW_S, on=command.on)


@given(plants(), st.floats(0, 2500))
def test_no_limits_sent_together_take_the_possible_output_above_the_cap(plant, cap_w):
    tracks, wishes = plant
    before_w = sum(t.highest_w for t in tracks.values())
    for command in allowed(NOW_S, wishes, tracks, cap_w):
        if isinstance(command, SetLimit):
            send(command, tracks)
        assert sum(t.highest_w for t in tracks.values()) <= max(cap_w, before_w) + 0.11


def test_a_limit_is_not_cut_below_the_minimum_by_what_the_cap_leaves():
    # Off and unknown: it gets its minimum, of which the cap leaves 12 W.
    tracks = {"a": ruled("a", 388), "b": off("b", None)}
    commands = allowed(NOW_S, {"a": Wish(388), "b": Wish(20, is_on=False)}, tracks, 400.0)
    assert commands in ([], [SetLimit("b", 20)])


@given(plants(), st.floats(0, 2500))
def test_a_limit_lies_within_the_bounds_whatever_the_cap_leaves(plant, cap_w):
    tracks, wishes = plant
    commands = allowed(NOW_S, wishes, tracks, cap_w)
    assert all(19.9 <= c.limit_w <= 400 for c in commands if isinstance(c, SetLimit))


@given(plants(), st.floats(0, 2500))
def test_nothing_is_raised_or_repeated_while_pending(plant, cap_w):
    tracks, wishes = plant
    for command in allowed(NOW_S, wishes, tracks, cap_w):
        track = tracks[command.serial]
        if isinstance(command, SetLimit) and track.is_pending:
            assert command.limit_w < (track.wanted_w or 0.0)
