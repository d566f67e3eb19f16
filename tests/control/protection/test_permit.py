"""Which of several reasons to give less is the one that counts."""

from __future__ import annotations

import pytest

from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.protection.meter_age import MeterState
from opendtu_dcload.control.protection.permit import Permit, Protection
from opendtu_dcload.control.protection.plant_guard import ExternalInputs
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import MultiplusStatus, Reason, RelayStatus
from tests.control.inverter.tracked import UNIT

NOW_S = 1000.0
OPEN = RelayStatus(NOW_S, is_on=False)
CHARGING = MultiplusStatus(NOW_S, "vebus", 400.0)


def permit(
    meter: MeterState, *, is_regulating: bool = True, external: ExternalInputs | None = None, base_load_w: float = 20.0
) -> Permit:
    """What one inverter of 400 W with a minimum of 20 W may give after it was regulated at 300 W."""
    settings = Settings(max_feed_in_w=350.0, is_regulating=is_regulating, base_load_w=base_load_w)
    protection = Protection(settings, UNIT.credit_s)
    protection.regulated_w = 300.0
    external = external or ExternalInputs()
    for now_s in (NOW_S - 30.0, NOW_S):  # what the MultiPlus does must last for 20 s
        allowed = protection.permit(now_s, settings, [InverterTracker(UNIT)], external, meter)
    return allowed


@pytest.mark.parametrize(
    ("meter", "cap_w", "reason"),
    [
        pytest.param(MeterState(0.5), 350.0, None, id="a meter that answers"),
        pytest.param(MeterState(5.0), 350.0, Reason.HOLD_METER_LATE, id="late: nothing is raised"),
        pytest.param(MeterState(15.0), 230.0, Reason.METER_STALE_RAMP, id="stale: the first of four steps down"),
        pytest.param(MeterState(55.0), 20.0, Reason.METER_STALE_RAMP, id="the last of them"),
        pytest.param(MeterState(60.0), 20.0, Reason.METER_STALE_MINIMUM, id="silent"),
        pytest.param(MeterState(300.0), 0.0, Reason.METER_LOST_OFF, id="lost"),
        pytest.param(MeterState(1.0, is_frozen=True), 20.0, Reason.METER_FROZEN, id="frozen: never only late"),
        pytest.param(MeterState(300.0, is_frozen=True), 0.0, Reason.METER_FROZEN, id="frozen for long"),
        pytest.param(MeterState(1.0, suspicion=Reason.METER_BLIND), 20.0, Reason.METER_BLIND, id="blind"),
        pytest.param(
            MeterState(20.0, suspicion=Reason.METER_BLIND), 20.0, Reason.METER_BLIND, id="blind counts before stale"
        ),
        pytest.param(
            MeterState(60.0, suspicion=Reason.METER_BLIND), 20.0, Reason.METER_STALE_MINIMUM, id="silent before blind"
        ),
    ],
)
def test_what_the_meter_is_worth_says_what_may_be_given(meter: MeterState, cap_w: float, reason: Reason | None):
    allowed = permit(meter)
    assert (allowed.cap_w, allowed.reason) == (cap_w, reason)
    assert allowed.may_regulate == (reason is None)


def test_the_ramp_of_a_silent_meter_ends_at_the_base_load():
    assert permit(MeterState(59.0), base_load_w=120.0).cap_w == 120.0
    assert permit(MeterState(59.0), base_load_w=5.0).cap_w == 20.0, "no less than the minima"


@pytest.mark.parametrize(
    ("external", "is_regulating", "age_s", "reason"),
    [
        pytest.param(ExternalInputs(relay=OPEN), True, 0.0, Reason.RELAY_OPEN, id="an open relay"),
        pytest.param(ExternalInputs(relay=OPEN), False, 0.0, Reason.SWITCHED_OFF, id="the user before the relay"),
        pytest.param(ExternalInputs(), False, 60.0, Reason.SWITCHED_OFF, id="the user before a silent meter"),
        pytest.param(ExternalInputs(relay=OPEN), True, 60.0, Reason.RELAY_OPEN, id="the relay before a silent meter"),
        pytest.param(ExternalInputs(), False, 300.0, Reason.METER_LOST_OFF, id="a lost meter before the user"),
        pytest.param(
            ExternalInputs(multiplus=CHARGING, relay=OPEN), False, 300.0, Reason.MULTIPLUS_CHARGING, id="guards first"
        ),
    ],
)
def test_the_strictest_comes_first(external: ExternalInputs, is_regulating: bool, age_s: float, reason: Reason):
    allowed = permit(MeterState(age_s), external=external, is_regulating=is_regulating)
    assert allowed.reason is reason
    assert not allowed.may_regulate
