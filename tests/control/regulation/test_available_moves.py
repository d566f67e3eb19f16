from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.commands.command_budget import Budget
from opendtu_dcload.control.inverter.dead_time import WINDOW_S
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.regulation.available_moves import available_moves_of
from opendtu_dcload.control.regulation.dispatch import Headroom, dispatch
from opendtu_dcload.control.regulation.regulator import AvailableMoves, Move

UNIT = InverterParameters(
    "i0",
    minimum_w=20,
    maximum_w=400,
    rated_w=400,
    dead_time_s=2,
    credit_s=8,
    raise_spacing_s=5,
    refresh_s=210,
)
NOW_S = 1000.0


def share(serial: str, output_w: float, *, may_rise: bool = True, may_fall: bool = True) -> Headroom:
    return Headroom(serial, output_w, 20.0, 400.0, may_rise, may_fall)


def moves(
    shares: list[Headroom], *units: InverterParameters, free_s: dict[str, float] | None = None, used: str = ""
) -> AvailableMoves:
    """What can be commanded; `units` replace what is usual, `used` is a DTU whose budget is used up."""
    known = {s.serial: replace(UNIT, serial=s.serial) for s in shares} | {u.serial: u for u in units}
    budgets = {u.dtu: Budget(300, NOW_S) for u in known.values()} or {UNIT.dtu: Budget(300, NOW_S)}
    while used and math.isfinite(budgets[used].rise_ws(NOW_S)):
        budgets[used].spend(NOW_S)
    return available_moves_of(NOW_S, shares, {s: InverterTracker(u) for s, u in known.items()}, free_s or {}, budgets)


def lags_s(moves: Sequence[Move]) -> list[float]:
    return [m.lag_s - moves[0].lag_s for m in moves]


def usable_w(moves: Sequence[Move]) -> list[float]:
    return [m.power_w for m in moves if math.isfinite(m.price_ws) and m.power_w > 0]


@st.composite
def any_shares(draw: st.DrawFn) -> list[Headroom]:
    shares = []
    for n in range(draw(st.integers(0, 6))):
        minimum_w = float(draw(st.integers(0, 100)))
        maximum_w = minimum_w + draw(st.integers(0, 2000))
        output_w = float(draw(st.integers(0, int(maximum_w))))
        shares.append(Headroom(f"i{n}", output_w, minimum_w, maximum_w, draw(st.booleans()), draw(st.booleans())))
    return shares


def used_by_dispatch_w(setpoint_w: float, shares: list[Headroom]) -> list[float]:
    """The changes of output in the order in which dispatch makes them."""
    output_w = {s.serial: s.output_w for s in shares}
    return [abs(w - output_w[serial]) for serial, w in dispatch(setpoint_w, shares).items()]


@given(any_shares())
def test_the_order_is_the_one_in_which_dispatch_uses_the_inverters(shares):
    found = moves(shares)
    assert usable_w(found.rises) == used_by_dispatch_w(1e6, shares)
    assert usable_w(found.falls) == used_by_dispatch_w(-1e6, shares)


def test_one_above_its_maximum_falls_first_as_in_dispatch():
    shares = [Headroom("i0", 300, 20, 400), Headroom("i1", 200, 20, 150)]
    assert usable_w(moves(shares).falls) == used_by_dispatch_w(-1e6, shares)


def test_one_above_its_maximum_is_not_in_the_way_of_a_rise():
    shares = [Headroom("i0", 302, 20, 300), Headroom("i1", 100, 20, 400), Headroom("i2", 300, 20, 400)]
    assert [m.power_w for m in moves(shares).rises] == [300.0, 100.0, 0.0]
    assert moves(shares).rises[0].lag_s == moves(shares[1:]).rises[0].lag_s


def test_a_move_goes_from_the_present_output_to_the_bound():
    found = moves([share("i0", 150.0)])
    assert [m.power_w for m in found.rises] == [250.0]
    assert [m.power_w for m in found.falls] == [130.0]


def test_one_outside_its_bounds_has_no_room_on_that_side():
    found = moves([Headroom("i0", 5, 20, 400), Headroom("i1", 450, 20, 400)])
    assert sorted(m.power_w for m in found.rises) == [0.0, 395.0]
    assert sorted(m.power_w for m in found.falls) == [0.0, 430.0]


def test_a_second_inverter_on_the_same_radio_waits_for_the_first():
    found = moves([share("i0", 100.0), share("i1", 200.0), share("i2", 300.0)])
    assert lags_s(found.rises) == [0.0, WINDOW_S, 2 * WINDOW_S]
    assert lags_s(found.falls) == [0.0, WINDOW_S, 2 * WINDOW_S]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(UNIT, serial="i1", radio="opendtu/NRF"), id="other chip of the same DTU"),
        pytest.param(replace(UNIT, serial="i1", dtu="garage", radio="garage/CMT"), id="other DTU"),
    ],
)
def test_a_second_inverter_on_another_radio_moves_at_once(other):
    found = moves([share("i0", 100.0), share("i1", 200.0)], other)
    assert lags_s(found.rises) == [0.0, 0.0]
    assert lags_s(found.falls) == [0.0, 0.0]


def test_a_busy_radio_adds_its_wait_to_its_own_inverters_only():
    other = replace(UNIT, serial="i1", radio="opendtu/NRF")
    shares = [share("i0", 100.0), share("i1", 200.0)]
    idle, busy = moves(shares, other), moves(shares, other, free_s={UNIT.radio: NOW_S + 1.5})
    assert [b.lag_s - i.lag_s for b, i in zip(busy.rises, idle.rises, strict=True)] == [1.5, 0.0]
    long_free = moves(shares, other, free_s={UNIT.radio: NOW_S - 50.0})
    assert long_free.rises == idle.rises, "a radio that was free long ago gives no head start"


def test_a_slower_inverter_has_a_longer_lag():
    slow = replace(UNIT, serial="i1", dead_time_s=12, radio="opendtu/NRF")
    quick, late = moves([share("i0", 100.0), share("i1", 200.0)], slow).rises
    assert late.lag_s - quick.lag_s == pytest.approx(10)
    assert quick.lag_s > UNIT.dead_time_s


def test_pending_inverters_come_last_with_an_infinite_price():
    shares = [share("i0", 20.0, may_rise=False), share("i1", 300.0), share("i2", 399.0, may_fall=False)]
    found = moves(shares)
    assert [m.power_w for m in found.rises] == [100.0, 1.0, 380.0]
    assert [math.isfinite(m.price_ws) for m in found.rises] == [True, True, False]
    assert [m.power_w for m in found.falls] == [280.0, 0.0, 379.0]
    assert [math.isfinite(m.price_ws) for m in found.falls] == [True, True, False]
    assert found.rises[0].lag_s == moves([share("i1", 300.0)]).rises[0].lag_s, "they do not delay the others"


def test_a_used_up_budget_forbids_the_rises_of_its_own_dtu_and_no_fall():
    other = replace(UNIT, serial="i1", dtu="garage", radio="garage/CMT")
    found = moves([share("i0", 100.0), share("i1", 200.0)], other, used="garage")
    assert [math.isfinite(m.price_ws) for m in found.rises] == [True, False]
    assert all(math.isfinite(m.price_ws) for m in found.falls)


def test_without_inverters_there_is_nothing_to_move():
    found = moves([])
    assert not found.rises
    assert not found.falls
