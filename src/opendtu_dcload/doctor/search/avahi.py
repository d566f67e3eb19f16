"""Devices that announce themselves by mDNS, as this machine's avahi-daemon knows them.

Avahi's D-Bus API: avahi-daemon/org.freedesktop.Avahi.Server.xml and .ServiceBrowser.xml of Avahi 0.8. What Shellies
announce: https://shelly-api-docs.shelly.cloud/gen2/General/mDNS, those of generation 1 `_http._tcp` alone, with a name
that begins with "shelly". What OpenDTU announces if that was switched on: addService("opendtu", ...) in its
NetworkSettings.cpp.
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any

from dbus_next.message import Message

from opendtu_dcload.doctor.search.network import Found, Kind, is_local
from opendtu_dcload.errors import BusError
from opendtu_dcload.venus.bus.bus_address import BusAddress
from opendtu_dcload.venus.bus.connection import Connection, connected

LISTEN_S = 3.0
"""How long answers are waited for: a device in power save mode hears a question late; an estimate."""
MOST_SERVICES = 200
"""More than that is no home."""
_RESOLVED_WITHIN_S = 5.0
_TYPES = {"_shelly._tcp": Kind.SHELLY, "_http._tcp": Kind.SHELLY, "_opendtu._tcp": Kind.OPENDTU}
_AVAHI = "org.freedesktop.Avahi"
_SERVER, _BROWSER = f"{_AVAHI}.Server", f"{_AVAHI}.ServiceBrowser"
_ANY_INTERFACE, _IPV4, _NO_FLAGS = -1, 0, 0

_Service = tuple[int, int, str, str, str]
"""Interface, protocol, name, type, domain: what Avahi calls a service by."""


async def announced(address: BusAddress, listen_s: float | None = None) -> list[Found]:
    """Return the Shellies and OpenDTUs that announce themselves.

    Args:
        address: the system bus.
        listen_s: how long to wait for them, in s.

    Raises:
        BusError: there is no bus, or no Avahi on it.
    """
    services: dict[_Service, None] = {}

    def on_signal(signal: Message) -> None:
        if signal.interface != _BROWSER or signal.member != "ItemNew" or signal.signature != "iisssu":
            return
        *service, _flags = signal.body
        if len(services) < MOST_SERVICES and _is_wanted(service[2], service[3]):
            services[tuple(service)] = None

    async with connected(address) as connection:
        await connection.follow_signals([f"sender='{_AVAHI}',interface='{_BROWSER}'"], on_signal)
        for kind in _TYPES:
            arguments = [_ANY_INTERFACE, _IPV4, kind, "local", _NO_FLAGS]
            await connection.call(_AVAHI, "/", _SERVER, "ServiceBrowserNew", "iissu", arguments)
        await asyncio.sleep(LISTEN_S if listen_s is None else listen_s)
        resolved = await asyncio.gather(*(_resolve(connection, service) for service in list(services)))
    return sorted({found for found in resolved if found is not None})


def _is_wanted(name: str, kind: str) -> bool:
    return kind in _TYPES and (kind != "_http._tcp" or name.casefold().startswith("shelly"))


async def _resolve(connection: Connection, service: _Service) -> Found | None:
    arguments: list[Any] = [*service, _IPV4, _NO_FLAGS]
    try:
        reply = await connection.call(
            _AVAHI, "/", _SERVER, "ResolveService", "iisssiu", arguments, timeout_s=_RESOLVED_WITHIN_S
        )
        address, port = ipaddress.IPv4Address(reply[7]), int(reply[8])
    except (BusError, ValueError, TypeError, IndexError):  # it is gone, or announces nonsense
        return None
    if not is_local(address) or not 0 < port < 65536:
        return None
    return Found(address, port, _TYPES[service[3]])
