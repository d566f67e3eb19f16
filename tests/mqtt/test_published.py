"""What a broker is told: names with units, and null as soon as a value counts no more."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from opendtu_dcload.freshness import BATTERY_S, METER_SHOWN_S, PLAN_S
from opendtu_dcload.mqtt.mqtt_task import Message
from tests.config.correct_config import SERIAL
from tests.mqtt.told_plant import NOW_S, ToldPlant


def told(plant: ToldPlant, now_s: float = NOW_S) -> tuple[dict[str, Any], dict[str, Any]]:
    messages = plant.told.messages(now_s)
    inverter, whole = (messages[topic].payload for topic in (plant.topics.inverter(SERIAL), plant.topics.plant))
    return json.loads(whole), json.loads(inverter)


def test_everything_known_is_told_with_its_unit():
    whole, inverter = told(ToldPlant())
    assert whole == {
        "grid_power_w": 123,
        "output_w": 201,
        "solar_w": None,
        "load_w": 324,
        "setpoint_w": 200,
        "cap_w": 800,
        "reason": "regulating",
        "alarms": ["Süd: inverter hot"],
        "soc_pct": 63.0,
        "battery_voltage_v": 52.1,
        "battery_power_w": -400,
        "battery_temperature_c": 21.5,
        "grid_import_kwh": 5000.0,
        "grid_export_kwh": 1.234,
        "exported_today_kwh": 0.0,
        "avoidable_import_today_kwh": 0.0,
        "commands": 0,
        "commands_failed": 0,
        "regulation": 1,
        "max_feed_in_w": 800,
        "grid_target_w": 0,
    }
    assert inverter == {
        "reachable": True,
        "ac_power_w": 201.3,
        "dc_power_w": 212.0,
        "dc_voltage_v": 52.0,
        "dc_current_a": 4.08,
        "temperature_c": 31.0,
        "yield_kwh": 77.0,
        "limit_w": 200,
        "wanted_w": 200,
        "note": "",
        "commands": 0,
        "commands_failed": 0,
        "last_command": None,
        "last_result": None,
        "enabled": 1,
    }


@pytest.mark.parametrize(
    ("age_s", "gone"),
    [
        (PLAN_S, {"setpoint_w", "cap_w", "reason"}),
        (METER_SHOWN_S, {"grid_power_w", "load_w", "grid_import_kwh", "grid_export_kwh"}),
        (BATTERY_S, {"soc_pct", "battery_voltage_v", "battery_power_w", "battery_temperature_c"}),
    ],
)
def test_what_is_too_old_is_null(age_s: float, gone: set[str]):
    plant = ToldPlant()
    before, after = told(plant, NOW_S + age_s)[0], told(plant, NOW_S + age_s + 0.1)[0]
    assert all(before[name] is not None for name in gone)
    assert all(after[name] is None for name in gone)


def test_an_inverter_that_is_not_reached_has_no_values_and_neither_has_the_sum():
    plant = ToldPlant()
    plant.state.set_inverters("opendtu", {SERIAL: replace(plant.state.inverters[SERIAL], reachable=False)})
    whole, inverter = told(plant)
    assert whole["output_w"] is None
    assert whole["load_w"] is None
    assert inverter["reachable"] is False
    assert {inverter[name] for name in inverter if name.endswith(("_v", "_a", "_c", "_kwh", "power_w"))} == {None}


def test_a_battery_that_stands_still_is_not_believed():
    plant = ToldPlant()
    assert plant.state.battery is not None
    plant.state.set_battery(replace(plant.state.battery, is_frozen=True))
    assert told(plant)[0]["soc_pct"] is None


def test_what_is_no_number_is_null_and_a_counter_never_turns_back():
    plant = ToldPlant()
    status = plant.state.inverters[SERIAL]
    told(plant)
    plant.state.set_inverters("opendtu", {SERIAL: replace(status, temperature_c=math.nan, yield_total_wh=0.0)})
    inverter = told(plant)[1]
    assert inverter["temperature_c"] is None
    assert inverter["yield_kwh"] == 77.0


def test_without_an_inverter_nothing_can_be_set():
    plant = ToldPlant(inverter=[])
    assert plant.controls is None
    messages = plant.told.messages(NOW_S)
    assert (
        not {"regulation", "max_feed_in_w", "grid_target_w"} & json.loads(messages[plant.topics.plant].payload).keys()
    )
    assert not [topic for topic in messages if topic.split("/")[1] in {"switch", "number"}]


def test_what_identifies_us_is_retained_and_what_we_measure_is_not():
    plant = ToldPlant()
    messages = plant.told.messages(NOW_S)
    assert messages[plant.topics.availability] == Message("online", retain=True)
    assert {topic for topic, message in messages.items() if not message.retain} == {
        plant.topics.plant,
        plant.topics.inverter(SERIAL),
    }
