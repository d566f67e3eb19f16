"""The network that this computer is in, and what answers there without a password."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import aiohttp
from yarl import URL

from opendtu_dcload.devices import json_fields

IN_FLIGHT = 64
ONE_S = 2.0
"""For one request and its whole answer; a silent address costs as much."""
WHOLE_S = 10.0
"""For all addresses together."""
LONGEST_BODY = 8 * 1024
"""Bytes. What is asked for has less than 1 kB."""

_PRIVATE = [ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
"""RFC 1918."""
_NEAR = [*_PRIVATE, ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv4Network("169.254.0.0/16")]
_ELSEWHERE = ("192.0.2.1", 9)
"""An address that nobody has (RFC 5737): the route to it is the way out of here. Nothing is sent there."""
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)  # ours is the only one


class Kind(StrEnum):
    """What stands at an address."""

    SHELLY = "Shelly"
    OPENDTU = "OpenDTU"


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """A device that was found, and has not been asked for more than what it is."""

    address: ipaddress.IPv4Address
    port: int
    kind: Kind

    @property
    def host(self) -> str:
        """Its address as it stands in the configuration."""
        return str(self.address) if self.port == 80 else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Network:
    """Addresses that may be asked."""

    name: str
    """As people call it, such as `192.168.1.0/24`."""
    places: tuple[tuple[ipaddress.IPv4Address, int], ...]
    """Addresses with ports."""


def is_local(address: ipaddress.IPv4Address) -> bool:
    """Tell whether an address is of a network at home, or of this computer."""
    return any(address in network for network in _NEAR)


def own_network() -> Network | None:
    """Return the other addresses of the /24 that the default route leaves by; None = it is no private one."""
    try:
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
            sock.connect(_ELSEWHERE)
            own = ipaddress.IPv4Address(sock.getsockname()[0])
    except OSError:  # no network at all
        return None
    if not any(own in network for network in _PRIVATE):
        return None
    network = ipaddress.IPv4Network(f"{own}/24", strict=False)
    return Network(str(network), tuple((address, 80) for address in network.hosts() if address != own))


async def sweep(
    network: Network,
    kinds: Sequence[Kind],
    session: aiohttp.ClientSession,
    show_progress: Callable[[int], None] = lambda _asked: None,
) -> list[Found]:
    """Ask each address what it is, without a password, and return those that tell.

    Args:
        network: whom to ask.
        kinds: what is looked for.
        session: opened and closed by the caller.
        show_progress: called with the number of addresses that were asked.
    """
    found: list[Found] = []
    asked = 0
    turns = asyncio.Semaphore(IN_FLIGHT)

    async def ask(address: ipaddress.IPv4Address, port: int) -> None:
        nonlocal asked
        async with turns:
            for kind in kinds:
                device = Found(address, port, kind)
                about = await _about(device, session)
                if about is None:
                    break
                if _is_of(kind, about):
                    found.append(device)
                    break
        asked += 1
        show_progress(asked)

    with contextlib.suppress(TimeoutError):  # what was found until then is as good
        async with asyncio.timeout(WHOLE_S), asyncio.TaskGroup() as tasks:
            for address, port in network.places:
                tasks.create_task(ask(address, port))
    return sorted(found)


async def _about(device: Found, session: aiohttp.ClientSession) -> object | None:
    """Return what a device tells everybody of itself, None when nobody speaks HTTP there."""
    path = "/shelly" if device.kind is Kind.SHELLY else "/api/system/status"
    try:
        async with (
            asyncio.timeout(ONE_S),
            session.get(URL(f"http://{device.host}{path}"), allow_redirects=False, timeout=_NO_TIMEOUT) as response,
        ):
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > LONGEST_BODY:
                    response.close()
                    return {}
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
        return None
    try:
        return json_fields.document(body)
    except ValueError:
        return {}


def _is_of(kind: Kind, about: object) -> bool:
    if kind is Kind.OPENDTU:
        return bool(json_fields.text(about, "git_hash"))
    return bool(
        json_fields.text(about, "mac") and (json_fields.text(about, "model") or json_fields.text(about, "type"))
    )
