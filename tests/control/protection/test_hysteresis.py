from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.protection.hysteresis import DwellLatch, SlidingMax, StepLimiter


def test_a_state_is_entered_and_left_only_by_what_lasts():
    state = DwellLatch(20.0, 60.0, 600.0)
    assert not state.update(0, is_bad=True, is_good=False)
    assert not state.update(19, is_bad=True, is_good=False)
    assert not state.update(20, is_bad=False, is_good=True), "it has to begin anew"
    assert not state.update(21, is_bad=True, is_good=False)
    assert state.update(41, is_bad=True, is_good=False)
    assert state.update(42, is_bad=False, is_good=True)
    assert state.update(101, is_bad=False, is_good=False), "nothing known: stays, and the rest begins anew"
    assert state.update(102, is_bad=False, is_good=True)
    assert state.update(161, is_bad=False, is_good=True)
    assert not state.update(162, is_bad=False, is_good=True)


def test_relapses_are_kept_longer_up_to_a_bound():
    state, now_s, rests_s = DwellLatch(0.0, 60.0, 200.0), 0.0, []
    for _ in range(4):
        state.update(now_s, is_bad=True, is_good=False)
        bad_s = now_s
        while state.is_on:
            now_s += 10
            state.update(now_s, is_bad=False, is_good=True)
        rests_s.append(now_s - bad_s - 10)
        now_s += 10
    assert rests_s == [60, 120, 200, 200]


@given(st.lists(st.tuples(st.floats(0.1, 20), st.floats(0, 1000)), min_size=1, max_size=40))
def test_highest_is_that_of_the_window(steps):
    highest, seen, now_s = SlidingMax(30.0), [], 0.0
    for dt_s, value in steps:
        now_s += dt_s
        seen.append((now_s, value))
        assert highest.add(now_s, value) == max(v for s, v in seen if s >= now_s - 30.0)


@pytest.mark.parametrize(("wanted", "within_s"), [(0.0, 45), (0.35, 30)])
def test_a_taper_goes_down_step_by_step_within_a_minute_and_slowly_up(wanted, within_s):
    taper = StepLimiter()
    shares = [taper.approach(s, wanted) for s in range(within_s + 1)]
    assert max(a - b for a, b in pairwise(shares)) == pytest.approx(0.1)
    assert shares[-1] == pytest.approx(int(wanted * 10) / 10)
    assert taper.approach(within_s + 14, 1.0) == shares[-1]
    assert taper.approach(within_s + 15, 1.0) == pytest.approx(shares[-1] + 0.1)
