"""Asks the service that runs on this machine."""

from __future__ import annotations

import ipaddress

import aiohttp

from opendtu_dcload.config import WebConfig
from opendtu_dcload.devices import json_fields
from opendtu_dcload.errors import ServiceError
from opendtu_dcload.program_name import command
from opendtu_dcload.web.status_document import PROGRAM, VERSION

TIMEOUT_S = 5.0
LARGEST_BYTES = 1_000_000


class NoServiceError(ServiceError):
    """There is no service that answers."""


def address(web: WebConfig) -> str:
    """Return where the service of this machine answers.

    Raises:
        NoServiceError: it is told not to.
    """
    if not web.enabled:
        raise NoServiceError("web.enabled is false in the configuration, so no service can be asked: set it to true")
    host = ipaddress.ip_address(web.listen or "127.0.0.1")
    if host.is_unspecified:
        host = ipaddress.ip_address("127.0.0.1" if host.version == 4 else "::1")
    return f"http://{host}:{web.port}/" if host.version == 4 else f"http://[{host}]:{web.port}/"


async def state_at(session: aiohttp.ClientSession, base: str) -> object:
    """Return the document of `/api/state` of the service at `base`.

    Raises:
        NoServiceError: nothing answers there, or another program.
    """
    try:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with session.get(f"{base}api/state", timeout=timeout, allow_redirects=False) as answer:
            body = await _read(answer)
        document = json_fields.document(body)
    except (aiohttp.ClientError, TimeoutError) as err:
        advice = f"start it, and see its log or {command('check')}"
        raise NoServiceError(f"no service answers at {base}: {advice}") from err
    except ValueError:
        document = None
    if json_fields.text(json_fields.child(document, "program"), "name") != PROGRAM:
        raise NoServiceError(f"at {base} another program answers: give the service a web.port of its own")
    if json_fields.whole(document, "version", 1, 1_000_000) != VERSION:
        raise NoServiceError(f"the service at {base} is of another version: restart it")
    return document


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for part in answer.content.iter_any():
        body += part
        if len(body) > LARGEST_BYTES:
            raise ValueError("too much")
    return body
