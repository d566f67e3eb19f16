"""What Home Assistant is told of us is what its documentation says that it takes.

Sources: the pages of MQTT discovery and of the MQTT sensor, binary sensor, switch and number; device classes and their
units: developers' pages of sensor, binary sensor and number. `against_home_assistant.py` asks Home Assistant itself.
"""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest

from tests.config.correct_config import SERIAL
from tests.mqtt.told_plant import NOW_S, ToldPlant, discovery_of

COMMON = {
    "name",
    "unique_id",
    "state_topic",
    "availability_topic",
    "device",
    "origin",
    "value_template",
    "device_class",
    "entity_category",
    "qos",
}
KEYS = {
    "sensor": COMMON | {"unit_of_measurement", "state_class"},
    "binary_sensor": COMMON,
    "switch": COMMON | {"command_topic", "payload_on", "payload_off"},
    "number": COMMON | {"command_topic", "min", "max", "step", "mode", "unit_of_measurement"},
}
NEEDED = {
    "sensor": {"state_topic"},
    "binary_sensor": {"state_topic"},
    "switch": {"command_topic"},
    "number": {"command_topic"},
}
SENSOR_CLASSES = {
    "power": ({"W", "kW"}, {"measurement"}),
    "energy": ({"Wh", "kWh"}, {"total", "total_increasing"}),
    "voltage": ({"V", "mV"}, {"measurement"}),
    "current": ({"A", "mA"}, {"measurement"}),
    "temperature": ({"°C", "°F", "K"}, {"measurement"}),
    "battery": ({"%"}, {"measurement"}),
}
BINARY_CLASSES = {"problem", "connectivity"}
DEVICE_KEYS = {"identifiers", "name", "manufacturer", "model", "sw_version", "via_device"}
TOPIC = re.compile(r"homeassistant/(\w+)/([a-zA-Z0-9_-]+)/([a-zA-Z0-9_-]+)/config")


@pytest.fixture
def found() -> dict[str, dict[str, Any]]:
    return discovery_of(ToldPlant(solar={"host": "solar"}))


def test_each_entity_has_what_its_kind_needs_and_nothing_else(found: dict[str, dict[str, Any]]):
    assert len(found) == 37
    for topic, config in found.items():
        match = TOPIC.fullmatch(topic)
        assert match is not None, topic
        component = match[1]
        assert NEEDED[component] <= config.keys() <= KEYS[component], topic
        assert {"identifiers", "name"} <= config["device"].keys() <= DEVICE_KEYS
        assert config["unique_id"] == f"{match[2]}_{match[3]}"
        assert config["device"]["identifiers"] == [match[2]]
    assert len({config["unique_id"] for config in found.values()}) == len(found)


def test_each_class_has_a_unit_and_a_state_class_that_fit(found: dict[str, dict[str, Any]]):
    for topic, config in found.items():
        component, kind = topic.split("/")[1], config.get("device_class")
        if component == "sensor" and kind is not None:
            units, states = SENSOR_CLASSES[kind]
            assert config["unit_of_measurement"] in units, topic
            assert config["state_class"] in states, topic
        elif component == "binary_sensor":
            assert kind in BINARY_CLASSES
        elif component == "number":
            assert config["min"] < config["max"]
            assert (kind, config["unit_of_measurement"]) == ("power", "W")


def test_each_entity_reads_a_name_that_the_state_has(found: dict[str, dict[str, Any]]):
    messages = ToldPlant().told.messages(NOW_S)
    read: dict[str, set[str]] = {}
    for config in found.values():
        (name,) = re.findall(r"value_json\.(\w+)", config["value_template"])[:1]
        assert name in json.loads(messages[config["state_topic"]].payload)
        read.setdefault(config["state_topic"], set()).add(name)
    assert all(json.loads(messages[topic].payload).keys() == names for topic, names in read.items()), "all is shown"


def test_commands_go_where_the_door_listens(found: dict[str, dict[str, Any]]):
    plant = ToldPlant()
    topics = {config["command_topic"] for config in found.values() if "command_topic" in config}
    assert topics == set(plant.topics.controls([SERIAL]))


def test_the_energy_dashboard_finds_what_it_needs(found: dict[str, dict[str, Any]]):
    energies = {config["name"] for config in found.values() if config.get("device_class") == "energy"}
    assert {"Grid import", "Grid export", "Yield"} <= energies


def test_a_cap_of_nothing_is_no_number_to_choose():
    found = discovery_of(ToldPlant(control={"max_feed_in_w": 0.0}))
    assert not [topic for topic in found if "max_feed_in_w" in topic]
    assert [topic for topic in found if "grid_target_w" in topic]


def test_a_name_that_comes_later_is_told_again():
    plant = ToldPlant()
    plant.state.set_inverters("opendtu", {})
    before = {config["device"]["name"] for config in discovery_of(plant).values()}
    plant.fill()
    after = {config["device"]["name"] for config in discovery_of(plant).values()}
    assert before == {"Feed-in control", f"Inverter {SERIAL}"}
    assert after == {"Feed-in control", "Süd"}


def test_programs_under_other_topics_are_other_devices():
    bases = ("opendtu-dcload", "a/b", "a_b", "a.b", "a-b")
    found = [set(discovery_of(ToldPlant(mqtt={"host": "broker", "base_topic": base}))) for base in bases]
    assert all(one.isdisjoint(other) for one, other in combinations(found, 2))
    assert all(topic.split("/")[2].startswith("opendtu-dcload") for topic in found[0])
