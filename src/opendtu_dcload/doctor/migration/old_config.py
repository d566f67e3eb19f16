"""`import-config`: the config.ini of the original, dbus-opendtu-DC-load, becomes a config.toml."""

from __future__ import annotations

import configparser
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import tomli

from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.init.candidates import Candidate
from opendtu_dcload.doctor.migration.old_inverters import Values, instance_of, is_inverter, list_inverters
from opendtu_dcload.doctor.questions import Ask
from opendtu_dcload.doctor.written.config_file import exists, write_config
from opendtu_dcload.doctor.written.draft import Draft
from opendtu_dcload.doctor.written.shipped import can_be_written, shipped_text
from opendtu_dcload.errors import ConfigError

_MAX_FILE_BYTES = 1_000_000
# The original commands INVERTER0 to INVERTER2; higher ones are services of other kinds, since 2026:
_DC_SYSTEM, _TEMPERATURE, _ALARM = "INVERTER3", "INVERTER4", "INVERTER5"
_SERVICES = {
    _DC_SYSTEM: "the inverters' DC sum is shown by itself while there is no other DC system, see dbus.dcsystem",
    _TEMPERATURE: "dbus.battery_temperature is switched on for it, with a number of its own",
    _ALARM: "the alarm is always there, with a number of its own",
}

# Where a key went. The bounds are those of the new setting.
_NUMBERS: Mapping[tuple[str, str], tuple[str, str, float, float]] = {
    ("DEFAULT", "zeropoint"): ("control", "target_w", -500, 500),
    ("DEFAULT", "maxfeedin"): ("control", "max_feed_in_w", 0, 10000),
    ("DEFAULT", "maxtemperature"): ("control", "max_temperature_c", 30, 90),
    ("DEFAULT", "httptimeout"): ("opendtu", "timeout_s", 1, 30),
    ("SHELLY", "deviceinstance"): ("dbus", "meter_device_instance", 0, 247),
}
_TEXTS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("DEFAULT", "host"): ("opendtu", "host"),
    ("DEFAULT", "username"): ("opendtu", "user"),
    ("DEFAULT", "password"): ("opendtu", "password"),
    ("SHELLY", "host"): ("meter", "host"),
    ("SHELLY", "username"): ("meter", "user"),
    ("SHELLY", "password"): ("meter", "password"),
    ("SHELLY", "customname"): ("dbus", "meter_name"),
    ("SHELLY", "balcony"): ("solar", "host"),
}
# Alarms are warnings here: whoever heard of errors only must hear of them.
_LEVELS = {"notset": "debug", "debug": "debug", "info": "info"} | dict.fromkeys(
    ("warning", "error", "critical"), "warning"
)

_LEARNED = "what was tuned with it is learned while running"
# What to say of a key that has no successor.
_GONE = {
    "signoflifelog": "the log tells changes only, there are no lines that say nothing",
    "minpercent": "the lowest limit follows from model and rated power; inverter.min_power_w sets it in W",
    "maxpercent": "the highest limit is the rated power; inverter.max_power_w sets it in W",
    "stepspercent": f"limits have no grid; {_LEARNED}",
    "consumefilterfactor": _LEARNED,
    "feedinfilterfactor": _LEARNED,
    "feedinatnegativewattdifference": f"a fall of the load is followed at once; {_LEARNED}",
    "dtu_looptime": "each reading of the meter is acted upon; opendtu.max_commands_per_hour bounds the commands",
    "dtu_statustime": "the D-Bus shows each change, at most once a second",
    "accuracy": "there is no dead band: a command is sent when it is worth more than it costs",
    "dtu": "there is OpenDTU only",
    "maxagetslastsuccess": "the age of every value decides, with bounds that follow from the poll intervals",
    "magagetslastsuccess": "the age of every value decides, with bounds that follow from the poll intervals",
    "dryrun": "start the program with --dry-run",
    "useyieldday": "the total yield is shown",
    "numberoftemplates": "there are no templates",
    "enableswitchoff": "see control.standby, which is for all inverters together",
    "accesstype": "the Shelly is asked in the local network only",
    "switchoffurl": "the relay that keeps itself closed needs no address to open it",
    "acposition": "an inverter is shown as a DC load, which has no position",
}
_UNKNOWN = "this program has no such setting"
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


LookUp = Callable[[Mapping[str, Any]], Sequence[Candidate]]
"""Returns the inverters that the OpenDTU with these settings knows, in its order; none when it does not answer."""


def import_config(
    old: Path,
    new: Path,
    findings: Findings,
    look_up: LookUp = lambda _opendtu: (),
    ask: Ask | None = None,
) -> str:
    """Write `new` from `old`, and tell what the user must see to on the GX; return in words who may read it.

    Args:
        old: the original's config.ini.
        new: the file to write.
        findings: takes what there is to tell.
        look_up: asks OpenDTU.
        ask: asks the user; None = there is nobody.

    Raises:
        ConfigError: `old` cannot be read, or `new` exists.
    """
    if not can_be_written(new):
        raise ConfigError([exists(new)])
    draft = Draft(shipped_text())
    values = _read(old)
    convert(values, old.name, draft)
    found = look_up(tomli.loads(draft.text)["opendtu"])
    list_inverters(values, found, draft, findings, ask)
    if _TEMPERATURE in values:
        draft.set("dbus", "battery_temperature", True)
        findings.note(
            "the battery's temperature is another sensor now, and always the true one",
            "choose it anew in the temperature rule of the GX's relay, with thresholds to match, or a heater stays off",
        )
    return write_config(new, draft.text, has_secret=True)


def convert(values: Values, name: str, draft: Draft) -> None:
    """Fill in the new configuration; it commands nothing until the serial numbers are filled in."""
    left: list[str] = []
    draft.drop("opendtu", "password")
    for section, keys in values.items():
        for key, value in keys.items():
            place = (section, key.lower())
            if place in _TEXTS and value.isprintable() and draft.has(*_TEXTS[place]):
                if value:
                    draft.set(*_TEXTS[place], value)
            elif place in _NUMBERS and _NUMBER.fullmatch(value):
                _set_number(draft, *_NUMBERS[place], value)
            elif place in _NUMBERS and _NUMBERS[place][1].endswith("_w") and value and value.isprintable():
                draft.set(*_NUMBERS[place][:2], value)  # refused until somebody corrects it: the default may be more
            elif place == ("SHELLY", "keepaliveurl") and _set_relay(draft, value):
                pass
            elif place == ("DEFAULT", "logging") and value.lower() in _LEVELS:
                draft.set("log", "level", _LEVELS[value.lower()])
            elif place == ("SHELLY", "phase") and value.upper() in {"L1", "L2", "L3"}:
                draft.set("meter", "phase", int(value[1]))
            elif not (is_inverter(section) and key.lower() == "deviceinstance" and instance_of(value) is not None):
                left.append(_comment(section, key, value))
    draft.remark(
        "battery", "min_voltage_v", f"{name} has no such guard; it is needed as soon as an inverter is listed."
    )
    draft.drop("battery", "min_voltage_v")
    if left:
        draft.append([f"# ---- From {name}, without a place here ".ljust(115, "-"), "", *left])


def _read(path: Path) -> Values:
    """Return the sections of the file; that of the defaults is one like the others.

    Raises:
        ConfigError: it is none.
    """
    parser = configparser.ConfigParser(strict=False, default_section="\0", allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the way its documentation keeps upper case
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES)
        parser.read_string(content.decode("utf-8-sig"))
    except OSError as err:
        raise ConfigError([f"{path} cannot be read ({err.strerror}); name the original's config.ini"]) from err
    except UnicodeDecodeError as err:
        raise ConfigError([f"{path} is not UTF-8 text; save it as UTF-8 in the editor"]) from err
    except (configparser.Error, AttributeError):  # the latter up to Python 3.12, of a key without = and a line below it
        parser.clear()  # its text has lines of the file, which may hold a password: nothing of it is kept
    if not parser.sections():
        raise ConfigError([f"{path} is no config.ini of dbus-opendtu; name the original's"])
    return {section: {key: _value(parser, section, key) for key in parser[section]} for section in parser.sections()}


def _value(parser: configparser.ConfigParser, section: str, key: str) -> str:
    """Return a value as the original understands it: `%%` is one `%`. What it could not read is taken as it stands."""
    try:
        value = parser.get(section, key)
    except (configparser.InterpolationError, TypeError):  # the latter where it refers to a key without a value
        value = parser.get(section, key, raw=True)
    return (value or "").strip()


def _set_number(draft: Draft, section: str, key: str, lowest: float, highest: float, value: str) -> None:
    bounded = float(min(max(float(value), lowest), highest))
    draft.set(section, key, math.floor(bounded) if key.endswith("_w") or bounded.is_integer() else bounded)
    if bounded != float(value):
        draft.remark(section, key, f"was {value}, beyond what is allowed here")


def _set_relay(draft: Draft, url: str) -> bool:
    """Take the relay from the URL that the original calls to keep it closed; return whether that was possible."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    output = re.fullmatch(r"/relay/([0-3])", parts.path)
    if not host or not url.isprintable() or output is None or not draft.has("relay", "host"):
        return False
    draft.set("relay", "host", f"{host}:{port}" if port else host)
    draft.set("relay", "output", int(output[1]))
    for key, value in (("user", parts.username), ("password", parts.password)):
        if value:
            draft.set("relay", key, unquote(value))
    return True


def _comment(section: str, key: str, value: str) -> str:
    is_secret = any(word in f"{key}{value}".lower() for word in ("password", "@"))  # or a login within an address
    shown = "***" if is_secret else "".join(char for char in value if char.isprintable())[:100]
    place = "".join(char for char in f"[{section}] {key}" if char.isprintable())[:100]
    return f"# {place} = {shown}: {_SERVICES.get(section) or _GONE.get(key.lower(), _UNKNOWN)}"
