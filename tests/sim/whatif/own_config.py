"""A configuration as a user of two inverters on two DTUs has it."""

from __future__ import annotations

from pathlib import Path

TEXT = """
[meter]
host = "192.168.1.50"
channel = "a"
invert = true
password = "of the meter"

[[opendtu]]
name = "garage"
host = "192.168.1.51"
password_env = "PASSWORD_OF_THE_DTU"

[[opendtu]]
name = "roof"
host = "192.168.1.52"
password = "of the roof"
max_commands_per_hour = 60

[[inverter]]
serial = "116190001234"
opendtu = "garage"
name = "Garage <1>"
max_power_w = 700

[[inverter]]
serial = "112490001235"
opendtu = "roof"

[battery]
min_voltage_v = 24.5
min_soc_pct = 20

[solar]
host = "192.168.1.53"

[control]
max_feed_in_w = 800
target_w = 30
priority = "no-export"
"""


def write_config(folder: Path, text: str = TEXT) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path
