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
    """`gx` reads the grid meter that the GX has, see [On the GX](gx.md#the-gxs-own-meter)."""
    host: Host = Field("", description='the Shelly\'s address in quotes, such as "192.168.1.50"')
    """Address of the Shelly, with `:port` if that is not 80. Needed unless `source` is `gx`."""
    channel: Channel = None
    """Where the grid is measured: all channels (`sum`), one by number, or one phase by letter; left out, what the
    device measures as a whole. Meters with two channels need it: one of them, or `sum` for split phase and
    for two cables."""
    phase: Annotated[int, Field(ge=1, le=3)] = 1
    """Phase (1 = L1) that a single channel, or the sum of two, is shown as."""
    invert: bool = False
    """Turns the sign, for a clamp that sits the wrong way round."""
    poll_interval_s: Annotated[float, Field(ge=0.5, le=10)] = 1.0
    """Time between two readings; at least 1 s less than `control.meter_hold_s`."""
    timeout_s: Annotated[float, Field(ge=0.2, le=10)] = 2.0
    """Time for a complete answer."""

    @property
    def is_on_gx(self) -> bool:
        """Whether it is the GX's own, which has no address and which the GX shows by itself."""
        return self.source == "gx"


class OpenDtuConfig(LoginSection):
    """`[opendtu]`, or one `[[opendtu]]` of several: a DTU, with at most 10 inverters."""

    name: Label = Field(DEFAULT_DTU, description="a name in quotes that no other DTU has")
    """What inverters and the log call it; needed with several DTUs."""
    host: Host = Field(description='OpenDTU\'s address in quotes, such as "192.168.1.51"')
    """Address of OpenDTU, with `:port` if that is not 80."""
    poll_interval_s: Annotated[float, Field(ge=1, le=60)] = 5.0
    """Time between two readings of the live data."""
    timeout_s: Annotated[float, Field(ge=1, le=30)] = 8.0
    """Time for a complete answer."""
    max_commands_per_hour: Annotated[int, Field(ge=12, le=1800)] = 300  # 1800: one in each window of 2 s
    """How many commands it is given at most, see [How it regulates](how-it-regulates.md)."""

    @property
    def label(self) -> str:
        """What messages call it: its name is worth saying only when it was given one."""
        return "DTU" if self.name == DEFAULT_DTU else f"DTU {self.name}"


class InverterConfig(Section):
    """`[[inverter]]`: an inverter that may be commanded, one block each; without any, nothing is commanded."""

    serial: Annotated[str, AfterValidator(_check_serial)] = Field(
        description='the 12 digits that OpenDTU shows, in quotes, such as "116190001234"'
    )
    """Serial number as OpenDTU shows it: 12 hex digits."""
    opendtu: Label | None = Field(None, description="the name of its DTU in quotes")
    """Which DTU commands it; needed with several, left out otherwise."""
    name: Label | None = Field(None, description="a name in quotes")
    """Shown instead of the name it has in OpenDTU."""
    min_power_w: Annotated[float | None, Field(ge=5, le=500)] = None
    """Lowest limit, W AC; left out, 2 % of the rated power and at least 20 W for each DC input."""
    max_power_w: Annotated[float | None, Field(ge=10, le=2250)] = None  # 2250: OpenDTU's own bound of a limit
    """Highest limit, W AC; left out, the rated power."""
    device_instance: Annotated[int | None, Field(ge=0, le=247)] = None
    """Device instance in VRM; left out, 134 for the first block, 135 for the second ..."""


class ControlConfig(Section):
    """`[control]`: where the plant is steered to, and what happens while the meter is silent."""

    target_w: Annotated[float, Field(ge=-500, le=500)] = 0.0
    """Power to draw from the grid; negative feeds in."""
    max_feed_in_w: Annotated[float, Field(ge=0, le=10000)] = 800.0
    """Legal cap on the AC output of all listed inverters together."""
    priority: Literal["no-export", "balanced", "no-import"] = "balanced"
    """What is rather avoided when a choice must be made, see [How it regulates](how-it-regulates.md)."""
    base_load_w: Annotated[float | None, Field(ge=0, le=5000)] = None
    """Output while the meter is silent; left out, the sum of the lowest limits."""
    max_temperature_c: Annotated[float, Field(ge=30, le=90)] = 65.0
    """A hotter inverter gets less and less, 10 K above it only its minimum."""
    standby: bool = False
    """Inverters not needed for half an hour are powered off, at most twice a day each, and on again when the others are
    nearly at their limit. Coming back takes some minutes."""
    last_resorts: bool = True
    """An inverter that does not obey is restarted, a DTU that reaches none is rebooted, see
    [Last resorts](safety.md#last-resorts)."""
    on_stop: Literal["minimum", "off"] = "minimum"
    """What the inverters are told when the service ends."""
    meter_hold_s: Annotated[float, Field(ge=2, le=3600)] = 5.0
    """Meter silent for this long: nothing is raised ..."""
    meter_ramp_s: Annotated[float, Field(ge=2, le=3600)] = 15.0
    """... the output goes down to `base_load_w` ..."""
    meter_minimum_s: Annotated[float, Field(ge=2, le=3600)] = 60.0
    """... the inverters go to their lowest limit ..."""
    meter_off_s: Annotated[float, Field(ge=2, le=3600)] = 300.0
    """... the inverters are powered off. Each longer than the one before."""


class DbusConfig(Section):
    """`[dbus]`: how the GX is shown all of it."""

    enabled: bool = True
    """Show everything on the GX's D-Bus."""
    bus: Annotated[str, AfterValidator(_check_bus)] = Field(
        "auto", description='"auto", "system", "session" or an address that begins with unix: or tcp:'
    )
    """Which bus; `auto` finds it."""
    meter_role: Literal["acload", "grid"] = "acload"
    """`grid` makes ESS regulate by this meter; needs the next one."""
    allow_grid_role: bool = False
    """Whether the meter may become the GX's grid meter, here or in its menu."""
    dcsystem: Literal["auto", "on", "off"] = "auto"
    """Whether the inverters' DC sum is published; `auto`: while there is no other DC system meter."""
    alarm_input: Literal["auto", "on", "off"] = "auto"
    """Whether alarms are shown as a digital input, which sounds the GX's buzzer; `auto`: while the GX takes no
    notifications with a text, see [Alarms](gx.md#alarms)."""
    aux_voltage: bool = True
    """Show what each inverter is told to give as its auxiliary voltage, see [On the GX](gx.md#what-you-see)."""
    battery_temperature: bool = False
    """Publish the battery's temperature as a sensor, for the temperature rule of the GX's relay."""
    meter_device_instance: Annotated[int, Field(ge=0, le=247)] = 59
    """Device instance of the meter in VRM."""
    meter_name: Label | None = Field(None, description="a name in quotes")
    """Shown instead of the name it has in the Shelly."""


class LogConfig(Section):
    """`[log]`: what is written to stderr, and into a recording of a problem."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is written to stderr."""
    record: bool = False
    """All that the control sees and decides is kept in a file, see [How to report a
    problem](troubleshooting.md#how-to-report-a-problem)."""


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
