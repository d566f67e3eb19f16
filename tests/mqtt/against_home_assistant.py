"""Holds discovery messages, JSON by topic on stdin, against the schemas of the Home Assistant that runs this.

    python -m tests.mqtt | HOME_ASSISTANTS_PYTHON tests/mqtt/against_home_assistant.py

stands beside the tests: Home Assistant is too large, and wants too certain a Python, to be installed for them.
"""

import importlib
import json
import re
import sys

from homeassistant.components.number.const import DEVICE_CLASS_UNITS as NUMBER_UNITS  # type: ignore[import-not-found]  # in a venv of its own
from homeassistant.components.sensor.const import (  # type: ignore[import-not-found]  # in a venv of its own
    DEVICE_CLASS_STATE_CLASSES,
    DEVICE_CLASS_UNITS,
)
from homeassistant.const import __version__  # type: ignore[import-not-found]  # in a venv of its own
from homeassistant.helpers.template import Template  # type: ignore[import-not-found]  # in a venv of its own

TOPIC = re.compile(r"homeassistant/(?P<component>\w+)/(?P<node_id>[a-zA-Z0-9_-]+)/(?P<object_id>[a-zA-Z0-9_-]+)/config")


def main() -> int:
    """Check all of them; what is refused ends this with Home Assistant's own words."""
    configs = json.load(sys.stdin)
    known: set[str] = set()
    for topic, config in configs.items():
        match = TOPIC.fullmatch(topic)
        assert match is not None, topic
        component = match["component"]
        schema = importlib.import_module(f"homeassistant.components.mqtt.{component}").DISCOVERY_SCHEMA
        taken = schema(config)
        lost = config.keys() - taken.keys() - {"origin"}
        assert not lost, f"{topic}: {lost} mean nothing to it"
        assert config["unique_id"] not in known, topic
        known.add(config["unique_id"])
        kind, unit = taken.get("device_class"), taken.get("unit_of_measurement")
        if component == "sensor" and kind is not None:
            assert unit in DEVICE_CLASS_UNITS[kind], topic
            assert taken["state_class"] in DEVICE_CLASS_STATE_CLASSES[kind], topic
        if component == "number" and kind is not None:
            assert unit in NUMBER_UNITS[kind], topic
        Template(config["value_template"], None).ensure_valid()
    print(f"Home Assistant {__version__} takes {len(configs)} entities")
    return 0 if configs else 1


if __name__ == "__main__":
    sys.exit(main())
