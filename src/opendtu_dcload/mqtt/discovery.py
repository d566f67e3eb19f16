"""How Home Assistant finds plant and inverters: MQTT discovery, one retained message for each entity.

Schema: home-assistant.io/integrations/mqtt, "MQTT discovery", and the platforms' pages there. One message for a whole
device needs Home Assistant 2024.11; one for each entity is taken by all versions. A device has no other keys than those
that the versions of 2021 knew, because they refuse what they do not know there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from zlib import crc32

from opendtu_dcload import __version__
from opendtu_dcload.mqtt.published import PLANT_CONTROLS
from opendtu_dcload.mqtt.topics import Topics
from opendtu_dcload.venus.gx.gx_controls import Controls, enabled_name

_CLASSES = {
    "w": ("W", "power", "measurement"),
    "kwh": ("kWh", "energy", "total_increasing"),
    "v": ("V", "voltage", "measurement"),
    "a": ("A", "current", "measurement"),
    "c": ("°C", "temperature", "measurement"),
    "pct": ("%", "battery", "measurement"),
}
"""Unit, device class and state class by the end of a name. Counters may begin anew: total_increasing allows it."""
_LONGEST_STATE = 255
"""Home Assistant refuses longer ones."""

_PLANT = {
    "grid_power_w": "Grid power",
    "grid_import_kwh": "Grid import",
    "grid_export_kwh": "Grid export",
    "output_w": "Inverters' output",
    "load_w": "House load",
    "setpoint_w": "Set-point",
    "cap_w": "Cap",
    "exported_today_kwh": "Exported today",
    "avoidable_import_today_kwh": "Avoidable import today",
}
_SOLAR = {"solar_w": "Plug-in solar"}
_BATTERY = {
    "soc_pct": "Battery SoC",
    "battery_voltage_v": "Battery voltage",
    "battery_power_w": "Battery power",
    "battery_temperature_c": "Battery temperature",
}
_INVERTER = {
    "ac_power_w": "AC power",
    "dc_power_w": "DC power",
    "dc_voltage_v": "DC voltage",
    "dc_current_a": "DC current",
    "temperature_c": "Temperature",
    "yield_kwh": "Yield",
    "limit_w": "Limit acknowledged",
    "wanted_w": "Limit wanted",
}
_COUNTS = {"commands": "Commands", "commands_failed": "Commands failed"}
_CONTROLS = {
    "regulation": "Regulation",
    "max_feed_in_w": "Maximum feed-in",
    "grid_target_w": "Grid target",
    "enabled": "Enabled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One device of Home Assistant."""

    ident: str
    """Letters, digits, _ and -."""
    name: str
    model: str
    manufacturer: str
    state_topic: str
    via: str = ""
    """The device that it is reached by; empty = none."""
    entities: list[tuple[str, str, str, Mapping[str, object]]] = field(default_factory=list)
    """Component, key, name and what is special, of each."""

    def add_numbers(self, names: Mapping[str, str]) -> None:
        """Add a sensor for each measured number."""
        for key, name in names.items():
            unit, device_class, state_class = _CLASSES[key.rpartition("_")[2]]
            classes = {"unit_of_measurement": unit, "device_class": device_class, "state_class": state_class}
            self.entities.append(("sensor", key, name, {**_value(key), **classes}))

    def add_counts(self) -> None:
        """Add the numbers of commands."""
        for key, name in _COUNTS.items():
            special = {"state_class": "total_increasing", "entity_category": "diagnostic"}
            self.entities.append(("sensor", key, name, {**_value(key), **special}))

    def add_text(self, key: str, name: str, template: str) -> None:
        """Add a text."""
        special = {"value_template": f"{{{{ ({template})[:{_LONGEST_STATE}] }}}}"}
        self.entities.append(("sensor", key, name, special))

    def add_flag(self, key: str, name: str, device_class: str) -> None:
        """Add something that is so or not."""
        special = {"value_template": f"{{{{ 'ON' if value_json.{key} else 'OFF' }}}}", "device_class": device_class}
        self.entities.append(("binary_sensor", key, name, special))

    def add_control(self, key: str, controls: Controls, control: str, topic: str) -> None:
        """Add a switch or a number; none where nothing can be chosen."""
        shape = controls.by_name[control].setting.shape
        low, high = int(shape.minimum or 0), int(shape.maximum or 0)
        special: dict[str, object] = {**_value(key), "command_topic": topic, "qos": 1}
        if not shape.unit:
            self.entities.append(("switch", key, _CONTROLS[key], special | {"payload_on": "1", "payload_off": "0"}))
        elif low < high:
            limits = {"min": low, "max": high, "step": 1, "mode": "box"}
            classes = {"unit_of_measurement": shape.unit, "device_class": "power"}
            self.entities.append(("number", key, _CONTROLS[key], special | limits | classes))

    def messages(self, topics: Topics) -> Iterator[tuple[str, str]]:
        """Yield topic and payload of each entity."""
        device = {
            "identifiers": [self.ident],
            "name": self.name,
            "manufacturer": self.manufacturer,
            "model": self.model,
            "sw_version": __version__,
        }
        if self.via:
            device["via_device"] = self.via
        for component, key, name, special in self.entities:
            config = {
                "name": name,
                "unique_id": f"{self.ident}_{key}",
                "state_topic": self.state_topic,
                "availability_topic": topics.availability,
                "device": device,
                "origin": {"name": "opendtu-dcload", "sw_version": __version__},
                **special,
            }
            yield topics.discovery(component, self.ident, key), json.dumps(config)


def describe_plant(topics: Topics, controls: Controls | None, *, has_solar: bool, has_battery: bool) -> Described:
    """Return the plant for Home Assistant."""
    plant = Described(
        ident=_ident(topics), name="Feed-in control", model="opendtu-dcload", manufacturer="opendtu-dcload",
        state_topic=topics.plant,
    )  # fmt: skip
    plant.add_numbers(_PLANT | (_SOLAR if has_solar else {}) | (_BATTERY if has_battery else {}))
    plant.add_text("reason", "Reason", "value_json.reason or 'unknown'")
    plant.add_flag("alarms", "Alarm", "problem")
    plant.add_text("alarm_texts", "Alarms", "value_json.alarms | join('; ') or 'no alarm'")
    plant.add_counts()
    for key in PLANT_CONTROLS if controls is not None else ():
        assert controls is not None
        plant.add_control(key, controls, key, topics.plant_set(key))
    return plant


def describe_inverter(topics: Topics, controls: Controls | None, serial: str, name: str) -> Described:
    """Return an inverter for Home Assistant."""
    inverter = Described(
        ident=f"{_ident(topics)}_{serial}", name=name, model="inverter via OpenDTU", manufacturer="Hoymiles",
        state_topic=topics.inverter(serial), via=_ident(topics),
    )  # fmt: skip
    inverter.add_numbers(_INVERTER)
    inverter.add_text("note", "Note", "value_json.note or '-'")
    inverter.add_flag("reachable", "Reachable", "connectivity")
    inverter.add_text("last_command", "Last command", "value_json.last_command or '-'")
    inverter.add_text("last_result", "Last result", "value_json.last_result or '-'")
    inverter.add_counts()
    if controls is not None:
        inverter.add_control("enabled", controls, enabled_name(serial), topics.inverter_set(serial, "enabled"))
    return inverter


def _value(key: str) -> dict[str, object]:
    return {"value_template": f"{{{{ value_json.{key} }}}}"}


def _ident(topics: Topics) -> str:
    """Return what no other program has that tells under other topics."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", topics.base)
    return plain if plain == topics.base else f"{plain}_{crc32(topics.base.encode()):08x}"
