"""The user's settings: TOML in, frozen models out; every mistake in one run, each with key, value and allowed range."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from pydantic import Field, ValidationError

from opendtu_dcload.config import messages, reading
from opendtu_dcload.config.crosschecks import Part, contradictions
from opendtu_dcload.config.fields import LoginSection, Section
from opendtu_dcload.config.mqtt_section import MqttConfig, beside_the_file
from opendtu_dcload.config.schema import (
    DEFAULT_DTU,
    FIRST_INVERTER_INSTANCE,
    METER_AGES,
    BatteryConfig,
    ControlConfig,
    DbusConfig,
    InverterConfig,
    LogConfig,
    MeterConfig,
    OpenDtuConfig,
    RelayConfig,
    SolarConfig,
    WebConfig,
)
from opendtu_dcload.errors import ConfigError

__all__ = [
    "DEFAULT_DTU",
    "METER_AGES",
    "SECTIONS",
    "Config",
    "InverterConfig",
    "MeterConfig",
    "MqttConfig",
    "OpenDtuConfig",
    "SolarConfig",
    "WebConfig",
    "exposed_passwords",
    "load_config",
    "parse_config",
]


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
    web: WebConfig = WebConfig()
    mqtt: MqttConfig | None = None
    """None = no broker is told anything."""
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
    "web": WebConfig,
    "mqtt": MqttConfig,
    "log": LogConfig,
    "inverter": InverterConfig,
}
"""What may stand in the file; `inverter` as a list of tables, `opendtu` as one table or a list."""
_OPTIONAL = ("solar", "relay", "mqtt")
"""Sections that mean nothing when they are absent, and need something when they are there."""


def load_config(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Return the settings in the file at `path`.

    Raises:
        ConfigError: With one line per mistake in the file, or with one line when it cannot be read at all.
    """
    return parse_config(reading.read_table(path), path.parent, environ)


def exposed_passwords(config: Config, path: Path) -> str:
    """Return the sentence for passwords or the page's token in files that all users can read, empty if there are none.

    Args:
        config: what was read.
        path: from where.
    """
    logins = [
        login for login in (config.meter, *config.dtus, config.solar, config.relay, config.mqtt) if login is not None
    ]
    files = {
        (path.parent / login.password_file if login.password_file else path).absolute()
        for login in logins
        if login.password is not None and login.password_env is None
    }
    secret = "password" if any(map(reading.is_open_to_all, files)) else "token"
    if config.web.token is not None and config.web.token.get_secret_value():
        files.add(path.absolute())
    exposed = sorted(filter(reading.is_open_to_all, files))
    if not exposed:
        return ""
    names, commands = " and ".join(map(str, exposed)), " && ".join(map(_hidden_by, exposed))
    return f"every user of this computer can read the {secret} in {names}: {commands}"


def _hidden_by(file: Path) -> str:
    """Return the command that takes a file from others and leaves it to this user, who reads it."""
    found = file.stat()
    if found.st_uid == os.geteuid() or found.st_gid in {os.getegid(), *os.getgroups()}:
        return f"chmod o-rwx {quote(str(file))}"
    return f"chgrp {os.getegid()} {quote(str(file))} && chmod 640 {quote(str(file))}"


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
        beside = reading.read_password(key, raw, folder, environ, problems) if has_login else {}
        if name == "mqtt":
            problems += beside_the_file(raw, folder)
            beside |= reading.in_folder(raw, "ca_file", folder)
        section, part = _check_section(key, model, raw | beside, problems)
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
