from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.config import parse_config
from opendtu_dcload.control.from_config import settings_of
from opendtu_dcload.control.protection.meter_age import BatteryFloor, Ladder
from opendtu_dcload.model import Reason
from tests.config.correct_config import table

# ---- ladder


@pytest.mark.parametrize(
    ("age_s", "reason"),
    [
        pytest.param(0.0, None, id="fresh"),
        pytest.param(4.9, None, id="one late answer is everyday"),
        pytest.param(5.0, Reason.HOLD_METER_LATE, id="5 s: no increase"),
        pytest.param(15.0, Reason.METER_STALE_RAMP, id="15 s: ramp to base load"),
        pytest.param(60.0, Reason.METER_STALE_MINIMUM, id="60 s: minimum"),
        pytest.param(300.0, Reason.METER_LOST_OFF, id="300 s: off"),
        pytest.param(1e9, Reason.METER_LOST_OFF, id="for ever"),
    ],
)
def test_age_of_the_meter_takes_the_plant_down(age_s, reason):
    assert Ladder().reason(age_s) is reason


@given(st.floats(0, 1000), st.floats(0, 1000), st.floats(0, 3000), st.floats(0, 3000), st.floats(0, 3000))
def test_ladder_only_goes_down_with_age(one_s, other_s, from_w, base_w, minimum_w):
    ladder = Ladder()
    base_w = max(base_w, minimum_w)
    young_w, old_w = (ladder.most_w(age_s, from_w, base_w, minimum_w) for age_s in sorted((one_s, other_s)))
    assert old_w <= young_w + 1e-6, "a ramp never rises again"
    assert old_w >= minimum_w
    if ladder.ramp_s <= max(one_s, other_s):
        assert old_w <= max(from_w, minimum_w) + 1e-6, "a stale meter never raises the plant"
    if max(one_s, other_s) < ladder.minimum_s:
        assert old_w >= min(from_w, base_w) - 1e-6, "nor takes it below the base load"


def test_ramp_reaches_the_base_load_before_the_minimum_rules():
    assert Ladder().most_w(59.0, 800.0, 100.0, 20.0) == pytest.approx(100.0)
    assert Ladder().most_w(60.0, 800.0, 100.0, 20.0) == 20.0


def test_the_ages_of_the_file_are_those_of_the_ladder():
    ages_s = {"meter_hold_s": 6.0, "meter_ramp_s": 16.0, "meter_minimum_s": 61.0, "meter_off_s": 301.0}
    ladder = settings_of(parse_config(table(control=ages_s))).ladder
    assert ladder == Ladder(hold_s=6.0, ramp_s=16.0, minimum_s=61.0, off_s=301.0)


# ---- battery floor


@pytest.mark.parametrize(
    ("samples", "is_low"),
    [
        pytest.param([(0, [46.9]), (59, [46.9])], False, id="59 s below: a sag under load"),
        pytest.param([(0, [46.9]), (30, [46.9]), (60, [46.9])], True, id="60 s below: off"),
        pytest.param([(0, [46.9]), (30, [47.0]), (61, [46.9])], False, id="reaching the floor starts anew"),
        pytest.param([(0, [52.0, 46.9]), (60, [52.0, 46.9])], True, id="the lowest of all counts"),
        pytest.param([(0, [46.9]), (60, [46.9]), (61, [47.9])], True, id="0.9 V above: still off"),
        pytest.param([(0, [46.9]), (60, [46.9]), (61, [48.0])], True, id="1 V above for a moment: still off"),
        pytest.param(
            [(0, [46.9]), (60, [46.9]), (61, [48.0]), (361, [48.0])], False, id="1 V above for 5 min: on again"
        ),
        pytest.param(
            [(0, [46.9]), (60, [46.9]), (61, [48.0]), (300, [47.5]), (361, [48.0])], True, id="a dip: still off"
        ),
        pytest.param([(0, [46.9]), (60, [46.9]), (61, []), (999, [])], True, id="no voltage known: stays off"),
        pytest.param([(0, []), (999, [])], False, id="no voltage known from the start: not low"),
    ],
)
def test_battery_floor(samples, is_low):
    floor = BatteryFloor(47.0)
    for now_s, voltages_v in samples:
        result = floor.is_too_low(now_s, voltages_v)
    assert result is is_low


def test_battery_that_recovers_only_without_load_rests_longer_each_time():
    floor = BatteryFloor(47.0)
    now_s, rests_s = 0, []
    for _ in range(6):
        while not floor.is_too_low(now_s, [46.0]):
            now_s += 10
        off_s = now_s
        while floor.is_too_low(now_s, [49.0]):
            now_s += 10
        rests_s.append(now_s - off_s)
    assert rests_s == [300, 600, 1200, 2400, 3600, 3600]


def test_floor_without_any_voltage_is_not_guarded_for_ever():
    floor = BatteryFloor(47.0)
    assert not floor.is_unseen(0.0, [], should_be_seen=True)
    assert not floor.is_unseen(599.0, [], should_be_seen=True)
    assert floor.is_unseen(600.0, [], should_be_seen=True)
    assert not floor.is_unseen(601.0, [], should_be_seen=False), "the DTU itself is silent"
    assert not floor.is_unseen(602.0, [], should_be_seen=True), "and counts anew when it is back"


@given(st.lists(st.floats(40, 47.99), min_size=1, max_size=40))
def test_battery_floor_holds_until_one_volt_above(voltages_v):
    floor = BatteryFloor(47.0)
    for now_s in range(62):
        floor.is_too_low(now_s, [46.0])
    assert all(floor.is_too_low(62 + n, [v]) for n, v in enumerate(voltages_v))
