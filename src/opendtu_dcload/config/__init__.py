"""The user's settings: TOML in, frozen models out; every mistake in one run, each with key, value and allowed range.

Powers are in W, import from the grid positive. None means "not given"; what then happens stands at the field.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from opendtu_dcload.config import messages, reading
from opendtu_dcload.config.battery_sections import BatteryConfig, RelayConfig, SolarConfig
from opendtu_dcload.config.crosschecks import Part, contradictions
from opendtu_dcload.config.fields import Channel, Host, Label, LoginSection, Section, check_text
from opendtu_dcload.errors import ConfigError

DEFAULT_DTU = "opendtu"
FIRST_INVERTER_INSTANCE = 134  # as the original's, so that VRM knows the devices again


def _check_serial(serial: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{12}", check_text(serial)):
        raise ValueError("is no serial number")
    if not int(serial, 16):  # OpenDTU refuses it with code 5001
        raise ValueError("is only zeros")
    return serial.lower()


def _check_bus(bus: str) -> str:
    if bus not in {"auto", "system", "session"} and not check_text(bus).startswith(("unix:", "tcp:")):
        raise ValueError("is no D-Bus")
    return bus


class MeterConfig(LoginSection):
    """`[meter]`: the Shelly at the grid connection, or the GX's own grid meter."""

    source: Literal["shelly", "gx"] = "shelly"
    """`gx`: the grid meter that the GX knows, read from its D-Bus."""
    host: Host = Field("", description='the Shelly\'s address in quotes, such as "192.168.1.50"')
    """Host name or IP address, with `:port` when it is not 80; never empty with a Shelly."""
    channel: Channel = None
    """Where the grid is measured; None = what the device measures as a whole. Meters with two channels need it."""
    phase: Annotated[int, Field(ge=1, le=3)] = 1
    """The phase, 1 = L1, that a single channel is shown as."""
    invert: bool = False
    """True turns the sign, for a clamp that sits the wrong way round."""
    poll_interval_s: Annotated[float, Field(ge=0.5, le=10)] = 1.0
    timeout_s: Annotated[float, Field(ge=0.2, le=10)] = 2.0


class OpenDtuConfig(LoginSection):
    """`[opendtu]`, or one `[[opendtu]]` of several: a DTU. With an inverter of its own its password is never None."""

    name: Label = Field(DEFAULT_DTU, description="a name in quotes that no other DTU has")
    """What inverters, messages and the log call it."""
    host: Host = Field(description='OpenDTU\'s address in quotes, such as "192.168.1.51"')
    """Host name or IP address, with `:port` when it is not 80."""
    poll_interval_s: Annotated[float, Field(ge=1, le=60)] = 5.0
    """Between two readings of the live data."""
    timeout_s: Annotated[float, Field(ge=1, le=30)] = 8.0
    max_commands_per_hour: Annotated[int, Field(ge=12, le=1800)] = 300  # 1800: one in each window of 2 s
    """How many commands it is given at most."""

    @property
    def label(self) -> str:
        """What messages call it: its name is worth saying only when it was given one."""
        return "DTU" if self.name == DEFAULT_DTU else f"DTU {self.name}"


class InverterConfig(Section):
    """`[[inverter]]`: an inverter that may be commanded."""

    serial: Annotated[str, AfterValidator(_check_serial)] = Field(
        description='the 12 digits that OpenDTU shows, in quotes, such as "116190001234"'
    )
    """12 hex digits, lower case."""
    opendtu: Label | None = Field(None, description="the name of its DTU in quotes")
    """None = there is only one; `Config.dtu_of` has both cases resolved."""
    name: Label | None = Field(None, description="a name in quotes")
    """None = the name it has in OpenDTU."""
    min_power_w: Annotated[float | None, Field(ge=5, le=500)] = None
    """Lowest limit, W AC; None = from family and rated power."""
    max_power_w: Annotated[float | None, Field(ge=10, le=2250)] = None  # 2250: OpenDTU's own bound of a limit
    """Highest limit, W AC; None = rated power."""
    device_instance: Annotated[int | None, Field(ge=0, le=247)] = None
    """None = 134 + position; `Config.device_instances` has both cases resolved."""


class ControlConfig(Section):
    """`[control]`: where the plant is steered to, and what happens while the meter is silent."""

    target_w: Annotated[float, Field(ge=-500, le=500)] = 0.0
    """Grid power to hold, import positive."""
    max_feed_in_w: Annotated[float, Field(ge=0, le=10000)] = 800.0
    """Legal cap on the sum of the inverters' AC output."""
    priority: Literal["no-export", "balanced", "no-import"] = "balanced"
    """What is rather avoided when not both can be."""
    base_load_w: Annotated[float | None, Field(ge=0, le=5000)] = None
    """Output to fall to while the meter is silent; None = the sum of the minima."""
    max_temperature_c: Annotated[float, Field(ge=30, le=90)] = 65.0
    """Of a hotter inverter the highest limit falls, to its minimum at 10 K more."""
    standby: bool = False
    """Inverters that were not needed for half an hour are powered off until they are; see `control/standby.py`."""
    last_resorts: bool = True
    """An inverter that does not obey is restarted, a DTU that reaches none rebooted; see `control/last_resort.py`."""
    on_stop: Literal["minimum", "off"] = "minimum"
    """What the inverters are told when the service ends."""
    meter_hold_s: Annotated[float, Field(ge=2, le=3600)] = 5.0
    """Age of the meter's value from which nothing is raised."""
    meter_ramp_s: Annotated[float, Field(ge=2, le=3600)] = 15.0
    """... from which the output falls to `base_load_w`."""
    meter_minimum_s: Annotated[float, Field(ge=2, le=3600)] = 60.0
    """... from which the inverters stay at their minimum."""
    meter_off_s: Annotated[float, Field(ge=2, le=3600)] = 300.0
    """... from which they are powered off."""


class DbusConfig(Section):
    """`[dbus]`: how the GX is shown all of it."""

    enabled: bool = True
    bus: Annotated[str, AfterValidator(_check_bus)] = Field(
        "auto", description='"auto", "system", "session" or an address that begins with unix: or tcp:'
    )
    meter_role: Literal["acload", "grid"] = "acload"
    """`grid` changes what ESS does, and needs `allow_grid_role`."""
    allow_grid_role: bool = False
    """Whether the meter may become the GX's grid meter, by `meter_role` or in the GX's menu."""
    dcsystem: Literal["auto", "on", "off"] = "auto"
    """When the inverters' DC sum is published; `auto`: while nobody else publishes a DC system."""
    alarm_input: Literal["auto", "on", "off"] = "auto"
    """When alarms are shown as a digital input; `auto`: while the GX takes no notifications with a text."""
    aux_voltage: bool = True
    """Whether an inverter's auxiliary voltage on the GX shows the power that it is told to give, in W."""
    battery_temperature: bool = False
    """Whether the battery's temperature is published as a sensor, for the temperature rule of the GX's relay."""
    meter_device_instance: Annotated[int, Field(ge=0, le=247)] = 59
    meter_name: Label | None = Field(None, description="a name in quotes")
    """None = the name it has in the Shelly."""


class LogConfig(Section):
    """`[log]`: what is written to stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Section):
    """All settings, checked."""

    meter: MeterConfig
    dtus: tuple[OpenDtuConfig, ...] = Field(alias="opendtu")
    """At least one; with several each has a name of its own."""
    inverters: tuple[InverterConfig, ...] = Field((), alias="inverter")
    control: ControlConfig = ControlConfig()
    battery: BatteryConfig = BatteryConfig()
    solar: SolarConfig | None = None
    """None = there is no plug-in solar."""
    relay: RelayConfig | None = None
    """None = the inverters are connected whatever happens."""
    dbus: DbusConfig = DbusConfig()
    log: LogConfig = LogConfig()

    @property
    def is_read_only(self) -> bool:
        """Whether nothing may be commanded, because no inverter is listed."""
        return not self.inverters

    def dtu_of(self, inverter: InverterConfig) -> OpenDtuConfig:
        """Return the DTU that commands an inverter."""
        return next(dtu for dtu in self.dtus if inverter.opendtu in {None, dtu.name})

    def serials_of(self, dtu: OpenDtuConfig) -> tuple[str, ...]:
        """Return the serials of the inverters that a DTU commands."""
        return tuple(inverter.serial for inverter in self.inverters if self.dtu_of(inverter) == dtu)

    @property
    def device_instances(self) -> tuple[int, ...]:
        """VRM instances of the inverters in their order, as given or by position."""
        return tuple(
            FIRST_INVERTER_INSTANCE + index if inverter.device_instance is None else inverter.device_instance
            for index, inverter in enumerate(self.inverters)
        )


SECTIONS: Mapping[str, type[Section]] = {
    "meter": MeterConfig,
    "opendtu": OpenDtuConfig,
    "control": ControlConfig,
    "battery": BatteryConfig,
    "solar": SolarConfig,
    "relay": RelayConfig,
    "dbus": DbusConfig,
    "log": LogConfig,
    "inverter": InverterConfig,
}
"""What may stand in the file; `inverter` as a list of tables, `opendtu` as one table or a list."""
_OPTIONAL = ("solar", "relay")
"""Sections that mean nothing when they are absent, and need something when they are there."""


def load_config(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Return the settings in the file at `path`.

    Raises:
        ConfigError: With one line per mistake in the file, or with one line when it cannot be read at all.
    """
    return parse_config(reading.read_table(path), path.parent, environ)


def exposed_passwords(config: Config, path: Path) -> str:
    """Return the sentence for passwords in files that every user of this computer can read, empty if there are none.

    Args:
        config: what was read.
        path: from where.
    """
    logins = [login for login in (config.meter, *config.dtus, config.solar, config.relay) if login is not None]
    files = {
        (path.parent / login.password_file if login.password_file else path).absolute()
        for login in logins
        if login.password is not None and login.password_env is None
    }
    exposed = sorted(file for file in files if reading.is_open_to_all(file))
    if not exposed:
        return ""
    names, commands = " and ".join(map(str, exposed)), " && ".join(map(_hidden_by, exposed))
    return f"every user of this computer can read the password in {names}: {commands}"


def _hidden_by(file: Path) -> str:
    """Return the command that takes a file from others and leaves it to this user, who reads it."""
    found = file.stat()
    if found.st_uid == os.geteuid() or found.st_gid in {os.getegid(), *os.getgroups()}:
        return f"chmod o-rwx {file}"
    return f"chgrp {os.getegid()} {file} && chmod 640 {file}"


def parse_config(table: Mapping[str, Any], folder: Path = Path(), environ: Mapping[str, str] = os.environ) -> Config:
    """Return the settings in a parsed TOML document; relative password files are looked for in `folder`.

    Raises:
        ConfigError: With one line per mistake.
    """
    problems = [*messages.unknown_sections(table, SECTIONS)]
    sections: dict[str, list[Section | None]] = {name: [] for name in SECTIONS}
    parts: dict[str, list[Part]] = {name: [] for name in SECTIONS}
    for name, key, raw in _blocks(table, problems):
        model = SECTIONS[name]
        has_login = issubclass(model, LoginSection)
        login = reading.read_password(key, raw, folder, environ, problems) if has_login else {}
        section, part = _check_section(key, model, raw | login, problems)
        sections[name].append(section)
        parts[name].append(part)
    problems += contradictions(parts, FIRST_INVERTER_INSTANCE)
    if problems:
        raise ConfigError(problems)
    lists = {name: tuple(sections.pop(name)) for name in ("opendtu", "inverter")}
    return Config.model_validate({name: found[0] for name, found in sections.items() if found} | lists)


def _blocks(table: Mapping[str, Any], problems: list[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the name of each section with its key for messages and what is written in it."""
    for name in [name for name in SECTIONS if name not in _OPTIONAL or name in table]:
        written = table.get(name, [] if name == "inverter" else {})
        may_be_list = name == "inverter" or (name == "opendtu" and written != [])
        if may_be_list and isinstance(written, list) and all(isinstance(raw, dict) for raw in written):
            yield from ((name, f"{name}[#{number}]", raw) for number, raw in enumerate(written, start=1))
        elif isinstance(written, dict) and name != "inverter":
            yield name, name, written
        else:
            problems.append(messages.wrong_shape(name, written))
            if isinstance(written, dict):  # its settings are looked at all the same
                yield name, f"{name}[#1]", written


def _check_section(
    key: str, model: type[Section], raw: dict[str, Any], problems: list[str]
) -> tuple[Section | None, Part]:
    """Return the section, None when it has mistakes, and what is right in it; add the mistakes to `problems`."""
    fields = model.model_fields
    try:
        section = model.model_validate(raw)
    except ValidationError as error:
        mistakes = {str(detail["loc"][0]): detail for detail in error.errors(include_url=False)}
        problems += messages.mistakes(key, fields, raw, mistakes, SECTIONS)
        section = None
        valid = {name: raw[name] for name in fields if name in raw and name not in mistakes}
    else:
        valid = {name: getattr(section, name) for name in fields}
    defaults = {name: field.default for name, field in fields.items() if name not in raw and not field.is_required()}
    return section, Part(key, fields, raw, defaults | valid)
