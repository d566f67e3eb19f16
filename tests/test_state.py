"""Who listens to the state is woken by what is new, and by that only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opendtu_dcload.model import CommandState, DtuStatus, InverterStatus, LimitStatus, MeterReading
from opendtu_dcload.state import State

SERIAL = "116412345678"
STATUS = InverterStatus(SERIAL, "West", answered_at_s=10.0, at_s=8.0, reachable=True, ac_power_w=200.0)
LIMIT = LimitStatus(SERIAL, 10.0, 50.0, 400.0, CommandState.OK)
DTU = DtuStatus(10.0, "v25.5.1", uptime_s=100.0)


@pytest.fixture
def state() -> State:
    state = State()
    state.set_inverters("roof", {SERIAL: STATUS})
    state.set_limits("roof", {SERIAL: LIMIT})
    state.set_dtu("roof", DTU)
    return state


def test_an_answer_that_tells_nothing_new_wakes_nobody_and_counts_as_the_latest(state: State):
    with state.listen() as changed:
        state.set_inverters("roof", {SERIAL: replace(STATUS, answered_at_s=12.0, at_s=8.3)})
        state.set_limits("roof", {SERIAL: replace(LIMIT, at_s=12.0)})
        state.set_dtu("roof", replace(DTU, at_s=12.0, uptime_s=102.0))
        assert not changed.is_set()
    assert state.inverters[SERIAL].answered_at_s == 12.0
    assert state.limits[SERIAL].at_s == state.dtus["roof"].at_s == 12.0


@pytest.mark.parametrize(
    "told", [{}, {SERIAL: replace(STATUS, ac_power_w=201.0)}, {SERIAL: replace(STATUS, reachable=False)}]
)
def test_other_values_wake(state: State, told: dict[str, InverterStatus]):
    with state.listen() as changed:
        state.set_inverters("roof", told)
        assert changed.is_set()


@pytest.mark.parametrize("told", [{}, {SERIAL: replace(LIMIT, state=CommandState.PENDING)}])
def test_other_limits_wake(state: State, told: dict[str, LimitStatus]):
    with state.listen() as changed:
        state.set_limits("roof", told)
        assert changed.is_set()


def test_a_dtu_whose_clock_is_lost_wakes(state: State):
    with state.listen() as changed:
        state.set_dtu("roof", replace(DTU, is_clock_set=False))
        assert changed.is_set()


def test_the_name_that_the_user_has_given_takes_the_place_of_the_dtus():
    state = State({SERIAL: "Garage", "116412340000": "Roof"})
    other = replace(STATUS, serial="116412340001", name="East")
    state.set_inverters("roof", {SERIAL: STATUS, other.serial: other})
    assert {serial: status.name for serial, status in state.inverters.items()} == {
        SERIAL: "Garage",
        other.serial: "East",
    }


def test_the_first_answer_wakes_though_it_tells_of_no_inverter():
    state = State()
    with state.listen() as changed:
        state.set_inverters("roof", {})
        assert changed.is_set()


def test_each_answer_of_the_meter_wakes(state: State):
    reading = MeterReading(1.0, 100.0)
    state.set_meter(reading)
    with state.listen() as changed:
        state.set_meter(replace(reading, at_s=2.0))
        assert changed.is_set()
