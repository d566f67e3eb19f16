from __future__ import annotations

import pytest

from opendtu_dcload.control.protection.escalation import Escalation, Escalator


def steps(demand_w: float | None, output_w: float | None, seconds: int, escalator: Escalator | None = None):
    """Return the time at which each step was reached."""
    escalator = escalator or Escalator(40.0)
    reached: dict[Escalation, int] = {}
    for now_s in range(seconds):
        reached.setdefault(escalator.update(now_s, demand_w, output_w), now_s)
    return reached


def test_an_output_that_does_not_fall_leads_to_power_off_then_the_relay():
    assert steps(0.0, 400.0, 600) == {
        Escalation.LIMIT: 0,
        Escalation.POWER_OFF: 50,
        Escalation.RELAY: 130,
    }


@pytest.mark.parametrize(
    ("demand_w", "output_w"),
    [
        pytest.param(None, 400.0, id="nobody demands anything"),
        pytest.param(0.0, 9.0, id="noise of inverters that are off"),
        pytest.param(300.0, 355.0, id="some percent above"),
        pytest.param(300.0, None, id="a limit whose effect nobody sees"),
    ],
)
def test_a_plant_that_obeys_is_left_alone(demand_w, output_w):
    assert set(steps(demand_w, output_w, 600)) == {Escalation.LIMIT}


def test_an_output_that_nobody_sees_is_not_believed_to_be_nothing():
    assert steps(0.0, None, 600)[Escalation.RELAY] == 130


def test_a_demand_that_falls_slowly_is_obeyed_with_delay():
    escalator = Escalator(40.0)
    for now_s in range(600):
        demand_w = max(600.0 - now_s, 0.0)
        output_w = max(630.0 - now_s, 0.0)
        assert escalator.update(now_s, demand_w, output_w) is Escalation.LIMIT


def test_an_output_that_rises_again_begins_the_wait_anew():
    escalator = Escalator(40.0)
    for now_s in range(600):
        output_w = 400.0 if now_s % 9 else 0.0
        assert escalator.update(now_s, 0.0, output_w) is Escalation.LIMIT


def test_what_was_switched_off_stays_off_for_ten_minutes_then_limits_are_tried_again():
    escalator = Escalator(40.0)
    steps(300.0, 800.0, 60, escalator)
    assert escalator.step is Escalation.POWER_OFF
    for now_s in range(60, 660):
        assert escalator.update(now_s, 300.0, 0.0) is Escalation.POWER_OFF
    assert escalator.update(660, 300.0, 0.0) is Escalation.LIMIT


def test_it_ends_with_the_demand():
    escalator = Escalator(40.0)
    steps(0.0, 400.0, 200, escalator)
    assert escalator.update(200, None, 400.0) is Escalation.LIMIT
