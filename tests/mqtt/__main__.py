"""Prints what Home Assistant is told of a plant with everything, for `against_home_assistant.py`."""

import json

from tests.mqtt.told_plant import ToldPlant, discovery_of

if __name__ == "__main__":
    print(json.dumps(discovery_of(ToldPlant(solar={"host": "solar"}))))
