"""Where the message bus listens: from the config's `dbus.bus` to an address that can be connected to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from opendtu_dcload.errors import ConfigError

SESSION_VARIABLE = "DBUS_SESSION_BUS_ADDRESS"
SYSTEM_VARIABLE = "DBUS_SYSTEM_BUS_ADDRESS"
DEFAULT_SYSTEM_BUS = "unix:path=/var/run/dbus/system_bus_socket"
_ALLOWED = '"auto", "system", "session", "unix:path=...", "unix:abstract=...", "tcp:host=...,port=..."'

_MAX_UNIX_PATH_BYTES = 107
"""unix(7): 108 bytes with the closing zero."""


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket of this machine."""

    path: str
    """File name, or a zero character and an abstract name."""

    def __str__(self) -> str:
        return f"unix:abstract={self.path[1:]}" if self.path.startswith("\0") else f"unix:path={self.path}"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A bus on the network; Venus OS calls its own "InsecureDbusOverTcp" and asks for no login."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"tcp:host={self.host},port={self.port}"


BusAddress: TypeAlias = UnixAddress | TcpAddress


def resolve(setting: str, environ: Mapping[str, str] = os.environ) -> BusAddress:
    """Return the address meant by `dbus.bus`: "auto", "system", "session" or a D-Bus address.

    "auto" takes the session bus when its variable is set, otherwise the system bus, as Victron's own services do.

    Raises:
        ConfigError: `setting`, or the environment variable it leads to, names no usable address.
    """
    if setting == "session" and not environ.get(SESSION_VARIABLE):
        raise ConfigError([f'dbus.bus = "session": {SESSION_VARIABLE} is not set, use "system" or an address'])
    if setting == "session" or (setting == "auto" and environ.get(SESSION_VARIABLE)):
        return _parse(environ[SESSION_VARIABLE], SESSION_VARIABLE)
    if setting in {"auto", "system"}:
        return _parse(environ.get(SYSTEM_VARIABLE) or DEFAULT_SYSTEM_BUS, SYSTEM_VARIABLE)
    return _parse(setting, "dbus.bus")


def _parse(text: str, source: str) -> BusAddress:
    """Return the first usable one of the addresses in `text`, which are separated by semicolons."""
    for entry in text.split(";"):
        transport, _, options = entry.partition(":")
        pairs = (option.partition("=") for option in options.split(",") if option)
        values = {key: os.fsdecode(unquote_to_bytes(value)) for key, _, value in pairs}
        address = _unix(values) if transport == "unix" else _tcp(values) if transport == "tcp" else None
        if address is not None:
            return address
    where = "dbus.bus" if source == "dbus.bus" else f"dbus.bus: {source}"
    raise ConfigError(
        [f"{where} = {text!r} is not usable, allowed are {_ALLOWED}"],
    )


def _unix(values: Mapping[str, str]) -> UnixAddress | None:
    path, abstract = values.get("path", ""), values.get("abstract", "")
    name = path or (f"\0{abstract}" if abstract else "")
    if not name or "\0" in name[1:] or path.startswith("\0") or len(os.fsencode(name)) > _MAX_UNIX_PATH_BYTES:
        return None
    return UnixAddress(name)


def _tcp(values: Mapping[str, str]) -> TcpAddress | None:
    host, port = values.get("host", ""), values.get("port", "")
    if not host.isprintable() or not host or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65535):
        return None
    return TcpAddress(host, int(port))
