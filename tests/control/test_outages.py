"""What the plant does when meter, DTU or battery fail, or the meter lies; and how it leaves."""

from __future__ import annotations

import math

import pytest

from opendtu_dcload.control.commands.command_policy import SetLimit, SetPower
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import Reason
from opendtu_dcload.sim.runs.trace import DEFAULT_TRACE, load_trace
from tests.control.plant import Plant, make_plant, models_of

# ---- the ladder


NEARLY_W = 3 * 3.0
"""A change of less than 3 W is not worth a command, for each of three."""


def limit_sum_w(plant: Plant) -> float:
    return sum(i.limit_w for i in plant.house.inverters.values() if i.is_on)


@pytest.mark.parametrize(
    ("outage_s", "reason", "highest_w"),
    [
        pytest.param(14.0, Reason.HOLD_METER_LATE, 1200, id="14 s: held"),
        pytest.param(40.0, Reason.METER_STALE_RAMP, 600, id="40 s: on the ramp"),
        pytest.param(75.0, Reason.METER_STALE_MINIMUM, 60, id="60 s and radio: minimum"),
        pytest.param(320.0, Reason.METER_LOST_OFF, 0, id="300 s and radio: off"),
    ],
)
def test_a_silent_meter_takes_the_plant_down_and_regulation_comes_back_without_a_bump(outage_s, reason, highest_w):
    plant = make_plant([800.0] * 1000, is_warm=True)
    plant.until(120.0)
    normal_w = min(w for at_s, w in plant.grid_w if at_s > 60)
    plant.run.has_meter = False
    plant.until(plant.now_s + outage_s)
    assert plant.reason is reason
    assert limit_sum_w(plant) <= highest_w + (NEARLY_W if highest_w else 0)
    back_s = plant.now_s
    plant.run.has_meter = True
    plant.until(back_s + 120)
    assert min(w for at_s, w in plant.grid_w if at_s > back_s) >= min(normal_w, 0) - 10, "no bump"
    assert plant.house.grid_w == pytest.approx(10, abs=25), "and it regulates again"


def test_a_load_that_fell_during_the_outage_costs_no_more_export_than_any_fall():
    plant = make_plant([800.0] * 130 + [300.0] * 400, is_warm=True)
    plant.until(120.0)
    plant.run.has_meter = False
    plant.until(141.0)
    plant.run.has_meter = True
    plant.until(160.0)
    assert plant.house.grid_w == pytest.approx(10, abs=30)


def test_a_meter_that_never_answers_leads_to_the_minimum_then_off():
    plant = make_plant([800.0] * 400, is_warm=True)
    plant.run.has_meter = False
    plant.until(80.0)
    assert limit_sum_w(plant) <= 60 + NEARLY_W
    plant.until(330.0)
    assert not any(i.is_on for i in plant.house.inverters.values())


def test_a_silent_meter_switches_nobody_off_before_300_s():
    # At the minimum there is nothing to ramp; off and on again costs the grid wait of minutes.
    plant = make_plant([900.0] * 100 + [30.0] * 300, is_warm=True)
    plant.until(170.0)
    plant.run.has_meter = False
    plant.until(260.0)
    assert plant.powers() == []


def test_while_one_inverter_is_unreachable_the_others_are_not_switched_to_and_fro():
    # Its status alternates between Failure and Pending, because the DTU tries again in each poll slot.
    plant = make_plant([900.0] * 900, models_of(4), settings=Settings(max_feed_in_w=410), is_warm=True)
    plant.set_limits([400.0, 20.0, 20.0, 20.0])
    lost = next(iter(plant.house.inverters.values()))
    lost.set_dc(0.0, on=False)
    plant.until(300.0)
    others = [s for s in plant.powers() if s.command.serial != lost.model.serial]
    assert len(others) <= 3, "off once, because the lost one may come back with all that the cap allows"


def test_a_silent_dtu_is_named_and_nothing_is_sent():
    plant = make_plant([800.0] * 400, is_warm=True)
    plant.until(60.0)
    plant.run.silent.add("opendtu")
    plant.until(80.0)
    silent_s = plant.now_s
    assert plant.reason is Reason.DTU_SILENT
    plant.until(200.0)
    assert [s for s in plant.controller.sent if s.at_s > silent_s] == []


# ---- battery


def test_below_the_floor_for_60_s_everything_is_off_and_one_volt_above_for_5_min_it_comes_back():
    settings = Settings(max_feed_in_w=1200, min_voltage_v=50.0)
    plant = make_plant([800.0] * 1200, settings=settings, is_warm=True)
    battery = plant.house.battery
    plant.until(60.0)
    assert all(i.is_on for i in plant.house.inverters.values())
    battery.empty_v = battery.full_v = 49.0
    plant.until(plant.now_s + 55)
    assert all(i.is_on for i in plant.house.inverters.values()), "not before 60 s"
    plant.until(plant.now_s + 50)
    assert not any(i.is_on for i in plant.house.inverters.values())
    assert plant.reason is Reason.BATTERY_LOW
    battery.empty_v = battery.full_v = 50.5
    plant.until(plant.now_s + 120)
    assert not any(i.is_on for i in plant.house.inverters.values()), "1 V of hysteresis"
    battery.empty_v = battery.full_v = 51.5
    plant.until(plant.now_s + 560)
    assert all(i.is_on for i in plant.house.inverters.values())
    assert plant.house.grid_w == pytest.approx(10, abs=25)


# ---- the meter must answer


def found_out_after(plant: Plant, reason: Reason, until_s: float) -> list[float]:
    """The own steps of 150 W and more, in W, that it took until the reason was given; fails when it is not."""
    steps_w: list[float] = []
    final_w = sum(t.final_w for t in plant.controller.trackers.values())
    while plant.now_s < until_s:
        plant.run.advance_second()
        if plant.reason is reason:
            return steps_w
        now_w = sum(t.final_w for t in plant.controller.trackers.values())
        if abs(now_w - final_w) >= 150:
            steps_w.append(round(now_w - final_w))
            final_w = now_w
    pytest.fail(f"not found out after steps of {steps_w} W; {plant.reason}, {plant.house.grid_w:.0f} W at the meter")


@pytest.mark.parametrize("count", [3, 1])
def test_a_meter_that_does_not_see_the_inverters_is_found_out(count):
    # Mounted in the wrong place: it shows the house alone. With one inverter the first rise reaches its maximum.
    plant = make_plant([100.0 * count] * 700, models_of(count), is_warm=True)
    plant.run.meter.sees_inverters = False
    assert len(found_out_after(plant, Reason.METER_BLIND, 660.0)) <= 6
    plant.until(plant.now_s + 15)
    assert limit_sum_w(plant) <= 20 * count + NEARLY_W


@pytest.mark.parametrize("load_w", [900.0, 300.0])
def test_a_meter_whose_sign_turned_is_found_out(load_w):
    # It turns with the load, so that the plant is in the middle of a change.
    plant = make_plant([700.0] * 60 + [load_w] * 700, is_warm=True)
    plant.until(60.0)
    plant.run.meter.sign = -1
    if plant_rests_low(plant):
        return
    assert len(found_out_after(plant, Reason.METER_REVERSED, 660.0)) <= 3
    plant.until(plant.now_s + 15)
    assert limit_sum_w(plant) <= 60 + NEARLY_W


def plant_rests_low(plant: Plant) -> bool:
    """True when a wrong sign drove the plant down to its minimum by itself, where it proves nothing."""
    plant.until(plant.now_s + 40)
    return limit_sum_w(plant) <= 60 + NEARLY_W


def test_a_wrong_sign_from_the_start_leaves_the_plant_low():
    plant = make_plant([300.0] * 300, is_warm=True)
    plant.run.meter.sign = -1
    plant.until(300.0)
    assert limit_sum_w(plant) <= 60 + NEARLY_W


SWINGS = [(300, 900, swing_s) for swing_s in (40, 45, 50, 60, 70)] + [
    (200, 900, 50),
    (250, 900, 50),
    (400, 900, 50),
    (300, 700, 50),
    (300, 1000, 55),
]
"""Loads (W) that go to and fro, and how long they stay (s): one by itself is luck."""


@pytest.mark.parametrize("sees", [True, False])
def test_a_wrong_sign_never_ends_in_lasting_export(sees):
    exported_s = []
    for low_w, high_w, swing_s in SWINGS:
        plant = make_plant(([float(low_w)] * swing_s + [float(high_w)] * swing_s) * 13, is_warm=True)
        plant.until(60.0)
        plant.run.meter.sign = -1
        plant.run.meter.sees_inverters = sees
        plant.until(1000.0)
        exported_s.append(sum(w < -100 for at_s, w in plant.grid_w if at_s > 60))
    assert sum(exported_s) / len(SWINGS) < 60
    assert max(exported_s) < 240


@pytest.mark.long
def test_with_a_correct_meter_a_real_day_gives_no_confirmed_suspicion():
    trace = load_trace(DEFAULT_TRACE)
    suspected_s = 0.0
    for start in (10 * 3600, 17 * 3600):
        plant = make_plant(trace[start : start + 5400], loss=0.02, is_warm=True)
        suspected: list[float] = []

        def look(plant: Plant = plant, suspected: list[float] = suspected) -> None:
            assert not plant.controller.meter.response.is_confirmed
            if plant.controller.meter.response.suspicion:
                suspected.append(plant.now_s)

        plant.until(5400.0, look)
        suspected_s += len(suspected)
    assert suspected_s < 0.02 * 2 * 5400, "false suspicions cost some seconds, no more"


# ---- leaving


@pytest.mark.parametrize("off", [True, False])
def test_leaving_tells_each_inverter_once(off):
    plant = make_plant([800.0] * 100)
    plant.until(60.0)
    commands = plant.controller.leave(off=off, asked=True)
    assert sorted(c.serial for c in commands) == sorted(plant.dtu.serials)
    for command in commands:
        assert command == (SetPower(command.serial, False) if off else SetLimit(command.serial, 20.0))


def test_a_plan_is_finite_before_anything_is_known():
    plant = make_plant([800.0] * 10)
    plant.run.has_meter = False
    plant.run.silent.add("opendtu")
    plant.until(2.0)
    assert plant.reason is Reason.STARTING
    assert plant.controller.decision is not None
    assert math.isfinite(plant.controller.decision.plan.setpoint_w)
    assert plant.controller.sent == []
