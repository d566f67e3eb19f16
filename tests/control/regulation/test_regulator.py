from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opendtu_dcload.control.regulation.regulator import AvailableMoves, Move, Regulator
from opendtu_dcload.model import Priority

LIMITS_W = (60.0, 1200.0)
PRICE_WS, TRIM_WS = 600.0, 200.0
LAG_S = 3.0
NOTHING = AvailableMoves((), (), math.inf)
"""No command can be given."""
Load = float | tuple[float, float]


def moves(committed_w: float, *, price_ws: float = PRICE_WS, trim_ws: float = TRIM_WS) -> AvailableMoves:
    """One inverter that can go all the way."""
    low_w, high_w = LIMITS_W
    return AvailableMoves(
        rises=[Move(max(high_w - committed_w, 0.0), LAG_S, price_ws)],
        falls=[Move(max(committed_w - low_w, 0.0), LAG_S, price_ws)],
        trim_ws=trim_ws,
    )


def step(
    regulator: Regulator, at_s: float, load: Load, committed_w: float, can: AvailableMoves | None = None
) -> float | None:
    load_w = load if isinstance(load, tuple) else (load, load)
    return regulator.update(at_s, load_w, committed_w, LIMITS_W, can or moves(committed_w))


def held(
    regulator: Regulator,
    loads: Iterable[Load],
    committed_w: float,
    *,
    from_s: float = 0.0,
    can: AvailableMoves | None = None,
) -> list[float | None]:
    """What is asked for at one reading per second while nobody obeys."""
    return [step(regulator, from_s + n, load, committed_w, can) for n, load in enumerate(loads)]


def followed(regulator: Regulator, loads: Iterable[Load], committed_w: float, *, from_s: float = 0.0) -> list[float]:
    """What is commanded after one reading per second while everything asked for is commanded at once."""
    outputs_w = []
    for n, load in enumerate(loads):
        asked_w = step(regulator, from_s + n, load, committed_w)
        committed_w = committed_w if asked_w is None else asked_w
        outputs_w.append(committed_w)
    return outputs_w


def first(demands: Sequence[float | None]) -> tuple[int, float]:
    return next((n, d) for n, d in enumerate(demands) if d is not None)


def pulses(on_s: int, off_s: int, cycles: int, on_w: float = 1000.0, off_w: float = 200.0) -> list[float]:
    return ([off_w] * off_s + [on_w] * on_s) * cycles


# ---- a lasting error


@pytest.mark.parametrize(
    ("load_w", "within_s", "setpoint_w"),
    [
        pytest.param(100, 0, 100, id="large export is answered at once by its full size"),
        pytest.param(290, 2, 290, id="export of 110 W soon"),
        pytest.param(384, 10, 384, id="small export is worth a command after a while"),
        pytest.param(425, 15, 425, id="small import later"),
        pytest.param(395, 60, 395, id="export of 5 W when it has lasted for a minute"),
        pytest.param(410, 60, 410, id="import of 10 W likewise"),
        pytest.param(700, 3, 700, id="import of 300 W is answered when it is no spike"),
        pytest.param(-9999, 0, 60, id="not below the floor"),
        pytest.param(9999, 3, 1200, id="not above the ceiling"),
    ],
)
def test_a_lasting_error_is_answered_by_its_full_size(load_w, within_s, setpoint_w):
    after_s, demand_w = first(held(Regulator(), [float(load_w)] * 61, 400.0))
    assert demand_w == pytest.approx(setpoint_w, abs=1)
    assert after_s <= within_s


@pytest.mark.parametrize("load_w", [398.5, 400.0, 401.5])
@pytest.mark.parametrize("priority", Priority)
def test_at_the_target_nothing_is_commanded(load_w, priority):
    regulator = Regulator(priority)
    held(regulator, [load_w] * 3, 400.0, can=NOTHING)
    assert not any(d is not None for d in held(regulator, [load_w] * 600, 400.0, from_s=3))


def test_a_first_reading_at_the_target_is_no_reason_for_a_command():
    assert step(Regulator(Priority.NO_EXPORT), 0.0, 400.0, 400.0) is None


def test_a_small_error_that_changes_its_sign_is_left_alone():
    assert not any(d is not None for d in held(Regulator(), [395.0, 402.0, 408.0] * 200, 400.0))


@pytest.mark.parametrize("spread_w", [10.0, 45.0])
def test_within_a_restless_load_the_priority_sets_the_level(spread_w):
    loads = [600 + spread_w * n for n in (-1, 1, 0, -0.5, 0.5, 0.8, -0.8)] * 40
    levels_w = [followed(Regulator(priority), loads, 600.0)[-1] for priority in Priority]
    assert levels_w == sorted(levels_w), "no export, balanced, no import"
    assert levels_w[0] < levels_w[2]
    assert all(600 - spread_w <= w <= 600 + spread_w for w in levels_w)


# ---- clamps


@pytest.mark.parametrize(
    ("load_w", "committed_w"),
    [
        pytest.param(1700.0, 1200.0, id="at the ceiling more is not asked for"),
        pytest.param(-500.0, 60.0, id="at the floor less is not asked for"),
    ],
)
def test_ten_minutes_at_a_clamp_ask_for_nothing_and_leave_nothing_behind(load_w, committed_w):
    regulator = Regulator()
    assert not any(d is not None for d in held(regulator, [load_w] * 600, committed_w))
    assert step(regulator, 600.0, committed_w, committed_w) is None
    wider_w = (LIMITS_W[0] - 50, LIMITS_W[1] + 50)
    slightly_w = committed_w + math.copysign(8, load_w)
    can = AvailableMoves([Move(50.0, LAG_S, PRICE_WS)], [Move(50.0, LAG_S, PRICE_WS)], TRIM_WS)
    after = regulator.update(601.0, (slightly_w, slightly_w), committed_w, wider_w, can)
    assert after is None, "a small error is not answered sooner because of it"


@pytest.mark.parametrize(
    ("committed_w", "load_w", "setpoint_w"), [(1300.0, 1500.0, 1200.0), (20.0, 0.0, 60.0), (1300.0, 500.0, 500.0)]
)
def test_from_outside_the_limits_it_comes_back_within_at_once(committed_w, load_w, setpoint_w):
    assert step(Regulator(), 0.0, load_w, committed_w) == pytest.approx(setpoint_w, abs=1)


def test_above_a_ceiling_that_came_down_no_more_than_it_is_asked_for():
    regulator = Regulator()
    for at_s in range(10):
        regulator.update(float(at_s), (2900.0, 2900.0), 2900.0, (60.0, 3000.0), NOTHING)
    can = AvailableMoves((), [Move(400.0, LAG_S, PRICE_WS), Move(2400.0, LAG_S, 1e6)], math.inf)
    demand_w = regulator.update(10.0, (500.0, 500.0), 2900.0, LIMITS_W, can)
    assert demand_w is not None
    assert demand_w <= LIMITS_W[1]


# ---- what is on its way


def test_what_is_in_flight_is_not_answered_again():
    # 400 -> 700 W was commanded for a load of 700 W. The meter shows 300 W of import, then nothing, while nobody knows
    # how much of the rise each reading contains.
    regulator = Regulator()
    held(regulator, [700.0], 400.0)
    assert not any(d is not None for d in held(regulator, [(700.0, 1000.0)] * 30, 700.0, from_s=1))
    assert not any(d is not None for d in held(regulator, [(400.0, 700.0)] * 30, 700.0, from_s=31))


def test_raising_trusts_the_slowest_inverter():
    regulator = Regulator()
    held(regulator, [500.0] * 30, 500.0)
    outputs_w = followed(regulator, [(600.0, 1200.0)] * 120, 500.0, from_s=30)
    assert max(outputs_w) == pytest.approx(600, abs=20)


def test_lowering_trusts_the_quickest_inverter():
    regulator = Regulator()
    held(regulator, [500.0] * 30, 500.0)
    outputs_w = followed(regulator, [(100.0, 400.0)] * 120, 500.0, from_s=30)
    assert min(outputs_w) == pytest.approx(400, abs=20)


@pytest.mark.parametrize("load_w", [(495.0, 580.0), (420.0, 505.0)])
def test_a_small_error_that_may_be_none_is_not_corrected(load_w):
    regulator = Regulator()
    held(regulator, [500.0] * 30, 500.0)
    assert not any(d is not None for d in held(regulator, [load_w] * 120, 500.0, from_s=30))


# ---- what comes and goes


@pytest.mark.parametrize("seconds", [1, 2])
def test_a_spike_is_not_followed(seconds):
    regulator = Regulator()
    outputs_w = followed(regulator, [400.0] * 60 + [2400.0] * seconds + [400.0] * 60, 400.0)
    assert outputs_w == [400.0] * len(outputs_w)


def test_a_spike_may_be_followed_when_import_is_what_matters():
    assert step(Regulator(Priority.NO_IMPORT), 0.0, 1100.0, 400.0) == pytest.approx(1100, abs=1)


def test_a_dip_is_followed_at_once_for_export_is_lost():
    regulator = Regulator()
    held(regulator, [1000.0] * 60, 1000.0)
    assert step(regulator, 60.0, 200.0, 1000.0) == pytest.approx(200, abs=1)


def test_a_kettle_is_followed_while_it_boils_each_time():
    regulator = Regulator()
    loads_w = pulses(180, 300, 5, on_w=1100.0)
    outputs_w = followed(regulator, loads_w, 200.0)
    wrong_s = sum(abs(output_w - load_w) > 10 for output_w, load_w in zip(outputs_w, loads_w, strict=True))
    assert wrong_s <= 5 * 6, "until it is no spike, and the last seconds when its length is known"


def test_a_drum_is_no_longer_followed_once_it_is_known():
    regulator = Regulator()
    outputs_w = followed(regulator, pulses(4, 8, 40, on_w=600.0), 200.0)
    assert max(outputs_w[:60]) == pytest.approx(600, abs=1), "at first nobody knows"
    assert max(outputs_w[-300:]) == pytest.approx(200, abs=1)


def test_even_pulses_are_answered_before_they_come_and_before_they_end():
    loads_w = pulses(15, 15, 40)
    outputs_w = followed(Regulator(), loads_w, 200.0)
    last = range(len(loads_w) - 300, len(loads_w))
    early_rises = sum(outputs_w[n] > 900 and loads_w[n] < 300 for n in last)
    early_falls = sum(outputs_w[n] < 300 and loads_w[n] > 900 for n in last)
    assert early_rises >= 10, "each of ten pulses"
    assert early_falls >= 10
    late_w = [outputs_w[n - int(LAG_S)] - loads_w[n] for n in last]
    assert sum(abs(w) > 100 for w in late_w) <= 6 * 10, "a lag later it fits better than the 8 of 30 s of a follower"


# ---- the price of commands


def first_s(*, price_ws: float, trim_ws: float = math.inf, load_w: float = 460.0) -> int:
    regulator = Regulator()
    held(regulator, [400.0] * 30, 400.0)
    can = moves(400.0, price_ws=price_ws, trim_ws=trim_ws)
    return first(held(regulator, [load_w] * 900, 400.0, from_s=30, can=can))[0]


def test_a_dearer_command_waits_until_more_was_lost():
    waits_s = [first_s(price_ws=price_ws) for price_ws in (300.0, 1500.0, 6000.0)]
    assert waits_s[0] <= 3
    assert waits_s[0] + 15 < waits_s[1] < waits_s[2]
    assert waits_s[2] == pytest.approx((6000 - 5 * 60) / 60, abs=4), "60 W x s a second, trusted for 5 s more"


def test_a_dearer_trim_waits_longer():
    waits_s = [first_s(price_ws=1e6, trim_ws=trim_ws, load_w=420.0) for trim_ws in (150.0, 250.0, 290.0)]
    assert waits_s == sorted(set(waits_s))


@pytest.mark.parametrize("every_s", [0.5, 2.0, 3.0])
def test_a_small_error_is_weighed_by_its_duration_and_not_by_the_number_of_readings(every_s):
    def asked_s(every_s: float, trim_ws: float) -> float:
        regulator = Regulator()
        for n in range(200):
            can = moves(400.0, price_ws=1e9, trim_ws=trim_ws)
            if step(regulator, n * every_s, 430.0, 400.0, can) is not None:
                return n * every_s
        return math.inf

    assert asked_s(every_s, 200.0) == pytest.approx(asked_s(1.0, 200.0), abs=every_s)
    assert asked_s(every_s, 600.0) == math.inf, "30 W in 15 s"


def test_what_cannot_be_commanded_is_not_asked_for():
    for load_w in (-500.0, 380.0, 420.0, 5000.0):
        assert not any(d is not None for d in held(Regulator(), [load_w] * 60, 400.0, can=NOTHING))


def test_rises_at_an_infinite_price_wait_and_falls_go_on():
    can = AvailableMoves([Move(800.0, LAG_S, math.inf)], [Move(340.0, LAG_S, PRICE_WS)], TRIM_WS)
    for load_w in (420.0, 900.0):
        assert not any(d is not None for d in held(Regulator(), [load_w] * 120, 400.0, can=can))
    for load_w in (380.0, 100.0):
        assert first(held(Regulator(), [load_w] * 120, 400.0, can=can))[1] == pytest.approx(load_w, abs=1)


def test_a_second_inverter_is_moved_only_when_that_is_worth_its_own_price():
    regulator = Regulator()
    held(regulator, [400.0] * 30, 400.0)
    can = AvailableMoves([Move(300.0, LAG_S, PRICE_WS), Move(500.0, LAG_S + 2, PRICE_WS)], (), math.inf)
    demands = held(regulator, [720.0] * 3, 400.0, from_s=30, can=can)
    assert first(demands)[1] == pytest.approx(700), "20 W more are not worth a second command"
    regulator = Regulator()
    held(regulator, [400.0] * 30, 400.0)
    assert first(held(regulator, [1100.0] * 4, 400.0, from_s=30, can=can))[1] == pytest.approx(1100, abs=1)


# ---- forgetting


@pytest.mark.parametrize(
    ("price_ws", "trim_ws", "load_w"),
    [pytest.param(6000.0, math.inf, 460.0, id="a change"), pytest.param(1e6, 250.0, 420.0, id="a trim")],
)
def test_a_reset_forgets_what_has_been_lost_so_far(price_ws, trim_ws, load_w):
    wait_s = first_s(price_ws=price_ws, trim_ws=trim_ws, load_w=load_w)
    regulator = Regulator()
    can = moves(400.0, price_ws=price_ws, trim_ws=trim_ws)
    held(regulator, [400.0] * 30, 400.0)
    assert not any(d is not None for d in held(regulator, [load_w] * wait_s, 400.0, from_s=30, can=can))
    regulator.reset()
    again_s = first(held(regulator, [load_w] * 900, 400.0, from_s=30 + wait_s, can=can))[0]
    assert again_s >= wait_s - 4, "only that it is no spike need not be waited for again"


def test_a_reset_keeps_what_is_known_of_the_load():
    regulator = Regulator()
    followed(regulator, pulses(4, 8, 40, on_w=600.0), 200.0)
    regulator.reset()
    assert max(followed(regulator, pulses(4, 8, 10, on_w=600.0), 200.0, from_s=480)) == pytest.approx(200, abs=1)


def test_after_forgetting_it_behaves_like_a_new_one():
    regulator = Regulator()
    loads_w = pulses(4, 8, 10, on_w=600.0)
    known_w = followed(regulator, loads_w * 3, 200.0)[-len(loads_w) :]
    regulator.forget()
    again_w = followed(regulator, loads_w, 200.0, from_s=1000)
    assert again_w == followed(Regulator(), loads_w, 200.0)
    assert again_w != known_w


# ---- whatever is read


@st.composite
def any_moves(draw: st.DrawFn) -> AvailableMoves:
    moves = st.lists(
        st.builds(Move, st.floats(0, 2000), st.floats(0, 90), st.floats(0, 1e4) | st.just(math.inf)),
        max_size=3,
    )
    return AvailableMoves(draw(moves), draw(moves), draw(st.floats(0, 1e4)))


readings = st.tuples(st.floats(0, 100), st.floats(-2e4, 2e4), st.just(0.0) | st.floats(0, 1000), any_moves())


AT_ONCE = AvailableMoves((), (Move(1.0, 0.0, math.inf),), 0.0)
ROUNDED = [(58.36194604288793, 61.0, 0.0, NOTHING), (6.0, 0.0, 0.0, NOTHING), (0.0, 61.0, 0.0, AT_ONCE)]
"""Eight seconds more and less lead before the time from which they are counted."""


@example(seen=ROUNDED, committed_w=60.0, priority=Priority.NO_EXPORT, obeys=False)
@given(
    seen=st.lists(readings, min_size=1, max_size=30),
    committed_w=st.floats(*LIMITS_W),
    priority=st.sampled_from(Priority),
    obeys=st.booleans(),
)
def test_any_readings_give_a_finite_setpoint_within_the_limits_or_none(seen, committed_w, priority, obeys):
    regulator = Regulator(priority)
    at_s = 0.0
    for wait_s, load_w, spread_w, can in seen:
        at_s += wait_s
        demand_w = step(regulator, at_s, (load_w, load_w + spread_w), committed_w, can)
        if demand_w is None:
            continue
        assert LIMITS_W[0] <= demand_w <= LIMITS_W[1]
        assert demand_w != committed_w
        committed_w = demand_w if obeys else committed_w


@given(st.floats(-3000, 3000), st.floats(*LIMITS_W), st.sampled_from(Priority), any_moves())
def test_a_change_always_goes_against_a_constant_error_and_never_beyond_it(load_w, committed_w, priority, can):
    regulator = Regulator(priority)
    held(regulator, [load_w] * 3, committed_w, can=NOTHING)
    for demand_w in held(regulator, [load_w] * 40, committed_w, from_s=3, can=can):
        if demand_w is not None:
            assert (demand_w - committed_w) * (load_w - committed_w) >= 0
            assert abs(demand_w - committed_w) <= abs(load_w - committed_w) + 1
