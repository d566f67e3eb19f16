from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.regulator import Regulator, RiseHold

LIMITS_W = (60.0, 1200.0)
TARGET_W = 10.0


def settled(
    grid_w: float, committed_w: float, *, seconds: int = 60, regulator: Regulator | None = None
) -> list[float | None]:
    """The demands for a constant grid power while nothing is in flight."""
    regulator = regulator or Regulator()
    return [
        regulator.step(float(at_s), grid_w, (committed_w, committed_w), committed_w, TARGET_W, LIMITS_W)
        for at_s in range(seconds)
    ]


@pytest.mark.parametrize(
    ("grid_w", "within_s", "setpoint_w"),
    [
        pytest.param(-100, 1, 290, id="export is answered at once by its full size"),
        pytest.param(-16, 20, 374, id="small export is worth a command after a while"),
        pytest.param(35, 30, 425, id="small import later"),
        pytest.param(310, 30, 700, id="a load that stays is followed by its full size"),
        pytest.param(-9999, 1, 60, id="not below the floor"),
        pytest.param(9999, 30, 1200, id="not above the ceiling"),
    ],
)
def test_a_lasting_error_is_answered_by_its_full_size(grid_w, within_s, setpoint_w):
    first = next(d for d in settled(grid_w, 400.0)[: within_s + 1] if d is not None)
    assert first == pytest.approx(setpoint_w, abs=1)


@pytest.mark.parametrize("grid_w", [8.5, 10.0, 11.5])
def test_at_the_target_nothing_is_commanded(grid_w):
    assert not any(d is not None for d in settled(grid_w, 400.0, seconds=600))


@pytest.mark.parametrize(
    ("grid_w", "committed_w"),
    [
        pytest.param(500, 1200, id="at the ceiling more is not asked for"),
        pytest.param(-500, 60, id="at the floor less is not asked for"),
    ],
)
def test_clamped_errors_are_not_asked_for_nor_wound_up(grid_w, committed_w):
    regulator = Regulator()
    for demand in settled(grid_w, committed_w, seconds=600, regulator=regulator):
        assert demand is None
    after = regulator.step(601.0, TARGET_W, (committed_w, committed_w), committed_w, TARGET_W, LIMITS_W)
    assert after is None, "ten minutes at a clamp leave nothing behind"


def test_what_is_in_flight_is_not_answered_again():
    # 400 -> 700 W was commanded; the meter still shows the shortage of 300 W and may or may not contain the rise.
    regulator = Regulator()
    demands = [regulator.step(float(s), 310.0, (400.0, 400.0), 700.0, TARGET_W, LIMITS_W) for s in range(30)]
    assert not any(d is not None for d in demands)


def test_raising_trusts_the_slowest_inverter_and_lowering_the_quickest():
    # The reading may contain anything from 400 to 700 W of a rise to 700 W.
    regulator = Regulator()
    for at_s in range(30):
        assert regulator.step(float(at_s), 250.0, (400.0, 700.0), 700.0, TARGET_W, LIMITS_W) is None
    assert regulator.step(31.0, -200.0, (400.0, 700.0), 500.0, TARGET_W, LIMITS_W) is None


def test_a_short_spike_is_not_followed():
    regulator = Regulator()
    settled(10.0, 400.0, seconds=30, regulator=regulator)
    demand = regulator.step(30.0, 2010.0, (400.0, 400.0), 400.0, TARGET_W, LIMITS_W)
    assert demand is None
    assert regulator.step(31.0, 10.0, (400.0, 400.0), 400.0, TARGET_W, LIMITS_W) is None


def test_a_rise_goes_no_higher_than_the_lowest_load_of_the_hold():
    regulator = Regulator()
    grids_w = [10.0] * 10 + [400.0, 150.0, 400.0, 150.0] * 5
    changes = [
        d
        for s, grid_w in enumerate(grids_w)
        if (d := regulator.step(float(s), grid_w, (400.0, 400.0), 400.0, TARGET_W, LIMITS_W)) is not None
    ]
    assert changes
    assert max(changes) <= 400 + 140 + 1


def test_reset_forgets_what_was_integrated():
    regulator = Regulator()
    settled(-5.0, 400.0, seconds=8, regulator=regulator)
    regulator.reset()
    first = next(n for n, d in enumerate(settled(-5.0, 400.0, regulator=Regulator())) if d is not None)
    again = [regulator.step(8.0 + n, -5.0, (400.0, 400.0), 400.0, TARGET_W, LIMITS_W) for n in range(first)]
    assert not any(d is not None for d in again)


@given(
    st.lists(st.tuples(st.floats(0.1, 100), st.floats(-2e4, 2e4)), min_size=1, max_size=60),
    st.floats(0, 3000),
    st.floats(0, 500),
)
def test_any_readings_give_a_finite_setpoint_within_the_limits_or_none(readings, committed_w, spread_w):
    regulator = Regulator()
    at_s = 0.0
    for wait_s, grid_w in readings:
        at_s += wait_s
        demand = regulator.step(at_s, grid_w, (committed_w, committed_w + spread_w), committed_w, TARGET_W, LIMITS_W)
        assert demand is None or (math.isfinite(demand) and LIMITS_W[0] <= demand <= LIMITS_W[1])


@given(st.floats(-3000, 3000), st.floats(60, 1200))
def test_a_change_always_goes_against_the_error(grid_w, committed_w):
    for demand in settled(grid_w, committed_w, seconds=40):
        if demand is not None and abs(grid_w - TARGET_W) > 1:
            assert (demand - committed_w) * (grid_w - TARGET_W) >= 0


# ---- how long a rise is held back


def play(hold: RiseHold, duration_s: float, pause_s: float, count: int) -> None:
    at_s = 0.0
    for _ in range(count):
        for needed_w, seconds in ((1000.0, duration_s), (400.0, pause_s)):
            until_s = at_s + seconds
            while at_s < until_s:
                hold.see(at_s, needed_w, 400.0)
                at_s += 1.0


def test_short_pulses_are_not_followed_and_long_loads_are():
    short, long = RiseHold(5.0), RiseHold(5.0)
    play(short, 6.0, 30.0, 12)
    play(long, 50.0, 30.0, 12)
    assert short.wait_s() > 6.0
    assert long.wait_s() <= 3.0


def test_pulses_are_forgotten_when_the_hob_is_off():
    hold = RiseHold(5.0)
    play(hold, 6.0, 30.0, 12)
    fresh = RiseHold(5.0).wait_s()
    hold.see(5000.0, 1000.0, 400.0)
    hold.see(5050.0, 400.0, 400.0)
    assert hold.wait_s() <= fresh


@given(st.lists(st.tuples(st.floats(0.1, 400), st.floats(0, 3000)), max_size=200))
def test_the_hold_stays_within_its_choices(readings):
    hold = RiseHold(5.0)
    at_s = 0.0
    for wait_s, needed_w in readings:
        at_s += wait_s
        hold.see(at_s, needed_w, 400.0)
        assert hold.wait_s() in RiseHold.WAITS_S
