"""Each rule about the battery alone, with time and readings as arguments."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.protection.battery_guard import (
    BatteryGuard,
    BatteryLimits,
    BatteryLoad,
    MultiplusGuard,
    PowerCap,
    strictest,
)
from opendtu_dcload.model import BatteryStatus, MultiplusStatus, Reason

DRAWN = BatteryLoad(voltages_v=[52.0], dc_power_w=400.0, minimum_w=60.0, attainable_w=1260.0)


class Case:
    """A guard that is asked once a second."""

    def __init__(self, limits: BatteryLimits | None = None, min_voltage_v: float = 48.0) -> None:
        self.guard = BatteryGuard(min_voltage_v, limits or BatteryLimits())
        self.now_s = 0

    def see(
        self, seconds: int = 1, battery_load: BatteryLoad = DRAWN, minimum_pct: float = 0.0, **told: Any
    ) -> PowerCap | None:
        power_cap = None
        for _ in range(seconds):
            self.now_s += 1
            battery = BatteryStatus(self.now_s, **told)
            power_cap = self.guard.cap(self.now_s, battery, battery_load, minimum_pct, should_be_seen=True)
        return power_cap


def off(power_cap: PowerCap | None) -> Reason | None:
    return power_cap.reason if power_cap is not None and power_cap.cap_w == 0 else None


# ---- SoC


def test_below_the_minimum_soc_the_output_falls_step_by_step_then_to_nothing_and_comes_back_above_the_hysteresis():
    case = Case(BatteryLimits(min_soc_pct=20, soc_hysteresis_pct=5))
    assert case.see(soc_pct=25) is None
    caps_w = [case.see(soc_pct=19.9) for _ in range(62)]
    steps = [b.cap_w for b in caps_w if b is not None]
    assert steps == sorted(steps, reverse=True)
    assert max(a - b for a, b in pairwise(steps[:-1])) <= 121
    assert steps[-3] == DRAWN.minimum_w, "at the minimum before it is off"
    assert off(caps_w[-1]) is Reason.MIN_SOC
    assert off(case.see(300, soc_pct=24.9)) is Reason.MIN_SOC, "not before the hysteresis"
    assert off(case.see(60, soc_pct=25)) is Reason.MIN_SOC, "nor at once"
    power_cap = case.see(2, soc_pct=25)
    assert power_cap is not None
    assert 0 < power_cap.cap_w < DRAWN.attainable_w
    assert case.see(300, soc_pct=25) is None


def test_near_the_minimum_soc_the_cap_is_a_share():
    case = Case(BatteryLimits(min_soc_pct=20, soc_hysteresis_pct=10))
    assert case.see(100, soc_pct=25) == PowerCap(660.0, Reason.BATTERY_NEARLY_LOW)


@pytest.mark.parametrize(
    ("limits", "told", "minimum_pct", "is_off"),
    [
        pytest.param({}, {"soc_pct": 1}, 0.0, False, id="no minimum: none"),
        pytest.param({}, {"soc_pct": 29, "ess_minimum_soc_pct": 30}, 0.0, True, id="ESS's"),
        pytest.param(
            {"uses_ess_minimum": False}, {"soc_pct": 29, "ess_minimum_soc_pct": 30}, 0.0, False, id="ESS's not wanted"
        ),
        pytest.param({"min_soc_pct": 10}, {"soc_pct": 29, "ess_minimum_soc_pct": 30}, 0.0, True, id="ESS's is higher"),
        pytest.param({"min_soc_pct": 40}, {"soc_pct": 39, "ess_minimum_soc_pct": 30}, 0.0, True, id="ours is higher"),
        pytest.param({"min_soc_pct": 10}, {"soc_pct": 29}, 30.0, True, id="the season's is higher"),
        pytest.param({"min_soc_pct": 10}, {}, 30.0, False, id="SoC unknown: the voltage guards alone"),
    ],
)
def test_the_highest_minimum_soc_counts(limits, told, minimum_pct, is_off):
    power_cap = Case(BatteryLimits(**limits)).see(200, minimum_pct=minimum_pct, **told)
    assert off(power_cap) is (Reason.MIN_SOC if is_off else None)


def test_a_soc_that_becomes_unknown_does_not_release_a_battery_that_was_too_low():
    case = Case(BatteryLimits(min_soc_pct=20))
    case.see(70, soc_pct=15)
    assert off(case.see(600)) is Reason.MIN_SOC


def test_values_older_than_a_minute_are_not_believed():
    guard = BatteryGuard(48.0, BatteryLimits(min_soc_pct=20))
    old = BatteryStatus(0.0, soc_pct=5)
    for now_s in range(61, 200):
        assert guard.cap(now_s, old, DRAWN, 0.0, should_be_seen=True) is None
    assert guard.cap(200, None, DRAWN, 0.0, should_be_seen=True) is None


def test_a_soc_that_alone_stands_still_leaves_an_empty_battery_to_the_voltage_of_its_inverters():
    case = Case(BatteryLimits(min_soc_pct=20))
    sags = [replace(DRAWN, voltages_v=[50.0 - 0.01 * second]) for second in range(1000)]
    offs = [off(case.see(battery_load=sag, soc_pct=60)) for sag in sags]
    below_s = next(second for second, sag in enumerate(sags) if sag.voltages_v[0] < 48.0)
    assert set(offs[: below_s + 59]) == {None}
    assert set(offs[below_s + 61 :]) == {Reason.BATTERY_LOW}


def test_what_a_frozen_battery_says_is_not_believed():
    case = Case(BatteryLimits(min_soc_pct=20))
    assert case.see(120, soc_pct=15, may_discharge=False, is_frozen=True) is None


# ---- voltage


def test_just_above_the_voltage_floor_the_output_falls_and_below_it_is_off():
    case = Case()
    low = replace(DRAWN, voltages_v=[52.0, 48.24])
    power_cap = case.see(100, battery_load=low)
    assert power_cap == PowerCap(660.0, Reason.BATTERY_NEARLY_LOW), "half of the 1 % above 48 V"
    assert off(case.see(62, battery_load=replace(DRAWN, voltages_v=[47.9]))) is Reason.BATTERY_LOW


@pytest.mark.parametrize(
    ("current_a", "is_off"),
    [
        pytest.param(-100.0, False, id="100 A x 20 mOhm = 2 V explain it"),
        pytest.param(-10.0, True, id="0.2 V do not"),
        pytest.param(100.0, True, id="charging explains nothing"),
    ],
)
def test_voltage_is_corrected_by_what_the_load_takes(current_a, is_off):
    case = Case(BatteryLimits(resistance_ohm=0.02))
    power_cap = case.see(100, battery_load=replace(DRAWN, voltages_v=[47.0]), voltage_v=47.0, current_a=current_a)
    assert off(power_cap) is (Reason.BATTERY_LOW if is_off else None)


def test_without_a_battery_service_the_inverters_current_corrects():
    battery_load = replace(DRAWN, voltages_v=[47.0], dc_power_w=4700.0)
    assert off(Case(BatteryLimits(resistance_ohm=0.02)).see(100, battery_load=battery_load)) is None
    assert off(Case(BatteryLimits(resistance_ohm=0.0)).see(100, battery_load=battery_load)) is Reason.BATTERY_LOW


def test_no_resistance_explains_more_than_a_twentieth_of_the_voltage():
    case = Case(BatteryLimits(resistance_ohm=0.2))
    battery_load = replace(DRAWN, voltages_v=[45.0])
    assert off(case.see(100, battery_load=battery_load, voltage_v=45.0, current_a=-200.0)) is Reason.BATTERY_LOW


def test_the_weakest_cell_counts_too():
    case = Case(BatteryLimits(min_cell_voltage_v=3.0))
    assert case.see(100, min_cell_voltage_v=3.2) is None
    power_cap = case.see(100, min_cell_voltage_v=3.01)
    assert power_cap is not None
    assert 0 < power_cap.cap_w < DRAWN.attainable_w
    assert off(case.see(100, min_cell_voltage_v=2.99)) is Reason.CELL_LOW
    assert off(case.see(400, min_cell_voltage_v=3.09)) is Reason.CELL_LOW, "0.1 V of hysteresis"
    assert off(case.see(400, min_cell_voltage_v=3.11)) is None


# ---- what the BMS says


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"may_discharge": False}, id="AllowToDischarge 0"),
        pytest.param({"max_discharge_current_a": 0.0}, id="DCL 0"),
        pytest.param({"alarms": ("/Alarms/LowSoc", "/Alarms/LowCellVoltage")}, id="its alarm"),
    ],
)
def test_a_battery_that_refuses_is_obeyed_at_once_and_for_a_minute(told):
    case = Case()
    assert case.see(may_discharge=True) is None
    assert off(case.see(**told)) is Reason.BATTERY_REFUSES
    assert off(case.see(60, may_discharge=True)) is Reason.BATTERY_REFUSES
    assert off(case.see(2, may_discharge=True)) is None


@pytest.mark.parametrize("told", [{"may_discharge": None}, {"alarms": ("/Alarms/HighVoltage",)}])
def test_what_does_not_concern_discharging_stops_nothing(told):
    assert Case().see(10, **told) is None


def test_the_discharge_limit_is_shared_with_what_else_discharges():
    case = Case()
    alone = case.see(max_discharge_current_a=20.0, voltage_v=50.0, power_w=-400.0)
    assert alone == PowerCap(900.0, Reason.DISCHARGE_LIMIT), "20 A x 50 V x 0.9"
    shared = case.see(max_discharge_current_a=20.0, voltage_v=50.0, power_w=-800.0)
    assert shared == PowerCap(540.0, Reason.DISCHARGE_LIMIT), "the other takes 400 W of it"
    held = case.see(50, max_discharge_current_a=20.0, voltage_v=50.0, power_w=-400.0)
    assert held == shared, "and its room is not taken at once"
    assert case.see(20, max_discharge_current_a=20.0, voltage_v=50.0, power_w=-400.0) == alone


def test_charging_by_others_gives_no_room():
    power_cap = Case().see(max_discharge_current_a=20.0, voltage_v=50.0, power_w=2000.0)
    assert power_cap == PowerCap(900.0, Reason.DISCHARGE_LIMIT)


def test_a_discharge_limit_that_does_not_bind_is_no_bound():
    assert Case().see(max_discharge_current_a=100.0, voltage_v=50.0, power_w=-400.0) is None


@given(
    st.builds(
        BatteryStatus,
        at_s=st.just(0.0),
        soc_pct=st.none() | st.floats(0, 100),
        voltage_v=st.none() | st.floats(0, 60),
        current_a=st.none() | st.floats(-500, 500),
        power_w=st.none() | st.floats(-20000, 20000),
        min_cell_voltage_v=st.none() | st.floats(0, 4),
        max_discharge_current_a=st.none() | st.floats(-10, 500),
        may_discharge=st.none() | st.booleans(),
        ess_minimum_soc_pct=st.none() | st.floats(0, 100),
    ),
    st.lists(st.floats(0, 60), max_size=3),
)
def test_whatever_the_bus_says_the_cap_is_never_negative_nor_above_the_plant(told, voltages_v):
    guard = BatteryGuard(48.0, BatteryLimits(min_soc_pct=20, min_cell_voltage_v=3.0, resistance_ohm=0.02))
    battery_load = replace(DRAWN, voltages_v=voltages_v)
    for now_s in range(0, 120, 5):
        power_cap = guard.cap(now_s, replace(told, at_s=now_s), battery_load, 0.0, should_be_seen=True)
        assert power_cap is None or 0 <= power_cap.cap_w <= battery_load.attainable_w


def test_the_strictest_bound_wins_and_of_equals_the_first():
    low, zero, other = (
        PowerCap(100.0, Reason.MIN_SOC),
        PowerCap(0.0, Reason.BATTERY_LOW),
        PowerCap(0.0, Reason.CELL_LOW),
    )
    assert strictest([None, low, zero, other]) == zero
    assert strictest([None, None]) is None


# ---- beside a MultiPlus


@pytest.mark.parametrize(
    ("dc_power_w", "reason"),
    [
        (51.0, Reason.MULTIPLUS_CHARGING),
        (50.0, None),
        (0.0, None),
        (-100.0, None),
        (-101.0, Reason.MULTIPLUS_INVERTING),
        (None, None),
    ],
)
def test_nothing_flows_while_the_multiplus_works(dc_power_w, reason):
    guard = MultiplusGuard()
    power_caps = [guard.cap(s, MultiplusStatus(s, dc_power_w=dc_power_w)) for s in range(21)]
    assert power_caps[19] is None, "not before it has lasted 20 s"
    assert off(power_caps[20]) is reason


def test_a_multiplus_that_vanished_or_fell_silent_stops_nobody():
    guard = MultiplusGuard()
    for s in range(30):
        guard.cap(s, MultiplusStatus(s, dc_power_w=500.0))
    assert guard.cap(30, MultiplusStatus(29, dc_power_w=500.0)) is not None
    power_caps = [guard.cap(s, MultiplusStatus(29, dc_power_w=500.0)) for s in range(31, 160)]
    assert power_caps[-1] is None
    assert guard.cap(161, None) is None
