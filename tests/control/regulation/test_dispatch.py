from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.regulation.dispatch import Headroom, dispatch, fit_to_cap

TINY_W = 1e-6


def three(*outputs_w: float, accurate_w: float = 0.0) -> list[Headroom]:
    return [Headroom(f"i{n}", output_w, 20, 400, accurate_w=accurate_w) for n, output_w in enumerate(outputs_w)]


@pytest.mark.parametrize(
    ("setpoint_w", "shares", "expected_w"),
    [
        pytest.param(300, three(100, 100, 100), {}, id="nothing to change: no command"),
        pytest.param(550, three(100, 200, 150), {"i0": 200}, id="a rise goes to the largest reserve alone"),
        pytest.param(400, three(100, 250, 150), {"i1": 150}, id="a fall goes to the one with most to give alone"),
        pytest.param(900, three(100, 300, 300), {"i0": 300}, id="a rise that fits into one reserve is one command"),
        pytest.param(1000, three(100, 300, 300), {"i0": 400}, id="a reserve is used to its end before the next"),
        pytest.param(1100, three(100, 300, 350), {"i0": 400, "i1": 350}, id="what is left goes to the next largest"),
        pytest.param(9999, three(100, 400, 400), {"i0": 400}, id="more than all can give: all at maximum"),
        pytest.param(-50, three(100, 20, 20), {"i0": 20}, id="less than all minima: all at minimum, no lower"),
        pytest.param(100, [], {}, id="no inverter: nothing to command"),
        pytest.param(50, [Headroom("i0", 5, 20, 400)], {"i0": 50}, id="below its minimum it may still rise"),
        pytest.param(450, [Headroom("i0", 500, 20, 400)], {"i0": 450}, id="above its maximum it may still fall"),
        pytest.param(
            380,
            [Headroom("i0", 300, 20, 400), Headroom("i1", 200, 20, 150)],
            {"i1": 80},
            id="one above its maximum falls first",
        ),
        pytest.param(
            250, three(20, 110, 80, accurate_w=64), {"i2": 120}, id="no rise into the low range where it can be avoided"
        ),
        pytest.param(
            450,
            three(40, 200, 200, accurate_w=64),
            {"i0": 50},
            id="one that is low already may stay so: the most reserve",
        ),
        pytest.param(
            470, three(60, 100, 300, accurate_w=64), {"i0": 70}, id="a rise out of the low range is better still"
        ),
        pytest.param(
            300, three(110, 120, 120, accurate_w=115), {"i0": 60}, id="a fall goes to the one that is low already"
        ),
        pytest.param(
            290,
            three(110, 150, 100, accurate_w=64),
            {"i1": 80},
            id="no fall into the low range where it can be avoided",
        ),
        pytest.param(
            210,
            three(110, 90, 80, accurate_w=64),
            {"i1": 20},
            id="the minimum is not the low range: there the error is small",
        ),
        pytest.param(
            550, [*three(100, 200), Headroom("i2", 150, 20, 400, rank=-1)], {"i2": 250}, id="who worked less rises"
        ),
        pytest.param(
            350, [*three(100, 200), Headroom("i2", 150, 20, 400, rank=1)], {"i2": 50}, id="who worked more falls"
        ),
        pytest.param(
            750,
            [*three(100, 200), Headroom("i2", 150, 20, 400, rank=-1)],
            {"i0": 400},
            id="but only one that can take it all",
        ),
        pytest.param(
            400,
            [Headroom("i0", 100, 20, 400, may_rise=False), Headroom("i1", 200, 20, 400)],
            {"i1": 300},
            id="one that may not rise is passed over",
        ),
        pytest.param(
            100,
            [Headroom("i0", 200, 20, 400, may_fall=False), Headroom("i1", 100, 20, 400)],
            {"i1": 20},
            id="one that may not fall keeps its output",
        ),
    ],
)
def test_dispatch_changes_as_few_as_possible(setpoint_w, shares, expected_w):
    assert dispatch(setpoint_w, shares) == pytest.approx(expected_w)


@st.composite
def any_shares(draw: st.DrawFn) -> list[Headroom]:
    shares = []
    for n in range(draw(st.integers(0, 6))):
        minimum_w = draw(st.floats(0, 100))
        maximum_w = minimum_w + draw(st.floats(0, 2000))
        output_w = draw(st.floats(minimum_w, maximum_w))
        may, rank = (draw(st.booleans()), draw(st.booleans())), draw(st.integers(0, 3))
        shares.append(Headroom(f"i{n}", output_w, minimum_w, maximum_w, *may, 0.16 * maximum_w, rank))
    return shares


@given(st.floats(-5000, 15000), any_shares())
def test_dispatch_comes_as_near_as_bounds_permit(setpoint_w, shares):
    changed = dispatch(setpoint_w, shares)
    now_w = sum(s.output_w for s in shares)
    highest_w = sum(s.maximum_w if s.may_rise else s.output_w for s in shares)
    lowest_w = sum(s.minimum_w if s.may_fall else s.output_w for s in shares)
    reached_w = sum(changed.get(s.serial, s.output_w) for s in shares)
    assert reached_w == pytest.approx(min(max(setpoint_w, lowest_w), highest_w), abs=1e-3)
    for share in shares:
        output_w = changed.get(share.serial, share.output_w)
        assert math.isfinite(output_w)
        assert share.minimum_w - TINY_W <= output_w <= share.maximum_w + TINY_W
        assert (output_w - share.output_w) * (setpoint_w - now_w) >= -TINY_W, "all move the same way"


@given(st.floats(-5000, 15000), any_shares())
def test_dispatch_needs_no_more_commands_than_any_other_choice(setpoint_w, shares):
    changed = dispatch(setpoint_w, shares)
    rises = setpoint_w > sum(s.output_w for s in shares)
    rooms_w = sorted(
        (s.maximum_w - s.output_w if rises else s.output_w - s.minimum_w)
        for s in shares
        if (s.may_rise if rises else s.may_fall)
    )
    needed_w = min(abs(setpoint_w - sum(s.output_w for s in shares)), sum(rooms_w))
    fewest, given_w = 0, 0.0
    while given_w < needed_w - 1e-3 and rooms_w:
        given_w += rooms_w.pop()
        fewest += 1
    assert sum(abs(w - s.output_w) > 1e-3 for s in shares if (w := changed.get(s.serial)) is not None) <= fewest


@pytest.mark.parametrize(
    ("limits_w", "minima_w", "cap_w", "expected_w"),
    [
        pytest.param([100, 200], [20, 20], 300, [100, 200], id="at the cap: untouched"),
        pytest.param([100, 200], [20, 20], 250, [100, 150], id="the highest gives first"),
        pytest.param([100, 200], [20, 20], 90, [70, 20], id="then the next"),
        pytest.param([100, 200], [20, 20], 0, [20, 20], id="never below a minimum"),
        pytest.param([5, 200], [20, 20], 10, [5, 20], id="one below its minimum is not raised"),
        pytest.param([], [], 0, [], id="nobody"),
    ],
)
def test_fit_lowers_the_highest_first(limits_w, minima_w, cap_w, expected_w):
    named = {f"i{n}": float(w) for n, w in enumerate(limits_w)}
    fitted = fit_to_cap(named, {f"i{n}": float(w) for n, w in enumerate(minima_w)}, cap_w)
    assert list(fitted.values()) == pytest.approx(expected_w)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 2000)), max_size=6), st.floats(-500, 9000))
def test_fit_keeps_the_cap_or_has_everybody_at_the_minimum(pairs, cap_w):
    minima_w = {f"i{n}": low for n, (low, _) in enumerate(pairs)}
    limits_w = {f"i{n}": low + above for n, (low, above) in enumerate(pairs)}
    fitted = fit_to_cap(limits_w, minima_w, cap_w)
    assert fitted.keys() == limits_w.keys()
    assert all(minima_w[s] - TINY_W <= fitted[s] <= limits_w[s] for s in fitted)
    is_at_minima = all(fitted[s] <= minima_w[s] + TINY_W for s in fitted)
    assert sum(fitted.values()) <= cap_w + 1e-6 or is_at_minima
    if sum(limits_w.values()) <= cap_w:
        assert fitted == limits_w
