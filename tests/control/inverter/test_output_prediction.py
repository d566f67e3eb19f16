from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.inverter.tracker import InverterTracker
from tests.control.inverter.tracked import UNIT, known, settle, shown, status

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


def test_a_rise_that_was_soon_taken_back_may_come_out_as_late_as_any():
    tracker = known(100)
    for tenth in range(90, 176):
        if tenth in (100, 150):
            tracker.post(tenth / 10, 400 if tenth == 100 else 100, 0.0)
        possible_w = tracker.output.possible_w(tenth / 10)
    low_w, high_w = tracker.output.visible_w(17.5)
    assert 150 < low_w < high_w < 250, "the quickest falls again, the slowest still rises"
    assert possible_w == pytest.approx((low_w, 400), abs=10), "one between them is at its highest"


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
