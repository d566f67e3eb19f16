"""Simulated devices reached without a network: what the clients' doors ask of aiohttp, answered in the same process.

Client and device are the ones that also talk over real HTTP. Left out are aiohttp, sockets, and digest logins.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import cast

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from opendtu_dcload.sim.servers.http_server import DeviceServer, Handler


class Wire:
    """Stands in for the session that the clients share."""

    def __init__(self) -> None:
        self._devices: dict[str, tuple[DeviceServer, _Routes]] = {}
        self.cut: set[str] = set()
        """Addresses that refuse connections."""
        self.unresolved: set[str] = set()
        """Names that nobody knows, as while a router starts."""

    @property
    def session(self) -> aiohttp.ClientSession:
        """What a door may be given."""
        return cast("aiohttp.ClientSession", self)

    def attach(self, host: str, device: DeviceServer) -> None:
        """Let a device answer at an address."""
        routes = _Routes()
        device.add_routes(cast("web.Application", routes))
        device.stall = _never
        self._devices[host] = device, routes

    def request(
        self,
        method: str,
        url: URL,
        *,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        middlewares: object = (),
        **_: object,
    ) -> _Exchange:
        """Return an exchange, to be entered as aiohttp's."""
        assert not middlewares, "a digest login needs real HTTP"
        request = _Request(method, url, data, headers)
        host = url.authority.removesuffix(":80")
        if host in self.unresolved:
            return _Exchange(OSError(socket.EAI_AGAIN, "Temporary failure in name resolution"), None, request)
        if host in self.cut or host not in self._devices:
            return _Exchange(aiohttp.ClientConnectionError("connection refused"), None, request)
        device, routes = self._devices[host]
        return _Exchange(device, routes.find(request), request)


class _Routes:
    """Takes a device's paths, as the router of an application."""

    def __init__(self) -> None:
        self.router = self
        self._handlers: dict[tuple[str, str], Handler] = {}

    def add_get(self, path: str, handler: Handler) -> None:
        self._handlers["GET", path] = handler

    def add_post(self, path: str, handler: Handler) -> None:
        self._handlers["POST", path] = handler

    def find(self, request: _Request) -> Handler:
        """Return what answers a request; the last part of a path may be a name in braces."""
        if (handler := self._handlers.get((request.method, request.path))) is not None:
            return handler
        folder, _, last = request.path.rpartition("/")
        for (method, path), handler in self._handlers.items():
            above, _, name = path.rpartition("/")
            if (method, above) == (request.method, folder) and name.startswith("{"):
                request.match_info[name.strip("{}")] = last
                return handler
        return _not_found


class _Request:
    """As much of a request as the devices look at."""

    def __init__(
        self, method: str, url: URL, form: Mapping[str, str] | None, headers: Mapping[str, str] | None
    ) -> None:
        self.method = method
        self.path = url.path
        self.raw_path = url.raw_path_qs
        self.query = url.query
        self.headers = CIMultiDict(headers or {})
        self.match_info: dict[str, str] = {}
        self.transport = self
        self.is_aborted = False
        self._form = form or {}

    def abort(self) -> None:
        """Close the connection without an answer."""
        self.is_aborted = True

    async def post(self) -> Mapping[str, str]:
        """Return the fields of a form."""
        return self._form


class _Exchange:
    """One request and its answer."""

    def __init__(self, device: DeviceServer | Exception, handler: Handler | None, request: _Request) -> None:
        self._device = device
        self._handler = handler
        self._request = request

    async def __aenter__(self) -> _Answer:
        if isinstance(self._device, Exception):
            raise self._device
        assert self._handler is not None
        response = await self._device.respond(cast("web.Request", self._request), self._handler)
        if self._request.is_aborted:
            raise aiohttp.ServerDisconnectedError
        return _Answer(cast("web.Response", response))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class _Answer:
    """As much of an answer as a door looks at."""

    def __init__(self, response: web.Response) -> None:
        self.status = response.status
        self.headers = response.headers
        self.content = self
        self._body = cast("bytes", response.body or b"")

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Yield the body."""
        for first in range(0, len(self._body), CHUNK_BYTES):
            yield self._body[first : first + CHUNK_BYTES]


CHUNK_BYTES = 65536


async def _never(_: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    await asyncio.Event().wait()
    return response


async def _not_found(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound
