"""Simulated devices reached without a network: what the clients' doors ask of aiohttp, answered in the same process.

Client and device are the ones that also talk over real HTTP. Left out are aiohttp, sockets, and digest logins; a
websocket is a queue of its messages.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import cast

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
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
        device.make_socket = lambda: cast("web.WebSocketResponse", _DeviceEnd(lambda: host in self.cut))
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
        return self._exchange(_Request(method, url, data, headers))

    async def ws_connect(self, url: URL, *, headers: Mapping[str, str], **_: object) -> aiohttp.ClientWebSocketResponse:
        """Return the client's end of a websocket."""
        request = _Request("GET", url, None, headers)
        upgraded = request.upgraded = asyncio.get_running_loop().create_future()
        device_side = asyncio.create_task(self._serve(request, upgraded), name=f"websocket of {request.host}")
        try:
            device_end = await upgraded
        except BaseException:
            device_side.cancel()
            raise
        return cast("aiohttp.ClientWebSocketResponse", _ClientEnd(device_end, device_side))

    async def _serve(self, request: _Request, upgraded: asyncio.Future[_DeviceEnd]) -> None:
        try:
            response = await self._exchange(request).response()
            if not upgraded.done():
                upgraded.set_exception(_refusal(request, response))
        except (aiohttp.ClientError, OSError) as err:
            if not upgraded.done():
                upgraded.set_exception(err)

    def _exchange(self, request: _Request) -> _Exchange:
        host = request.host
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
        self.host = url.authority.removesuffix(":80")
        self.path = url.path
        self.raw_path = url.raw_path_qs
        self.query = url.query
        self.headers = CIMultiDict(headers or {})
        self.match_info: dict[str, str] = {}
        self.transport = self
        self.is_aborted = False
        self.upgraded: asyncio.Future[_DeviceEnd] | None = None
        """Set when the device opens the websocket that this asks for."""
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
        return _Answer(cast("web.Response", await self.response()))

    async def response(self) -> web.StreamResponse:
        """Return what the device answers; to a websocket only once that has ended."""
        if isinstance(self._device, Exception):
            raise self._device
        assert self._handler is not None
        response = await self._device.respond(cast("web.Request", self._request), self._handler)
        if self._request.is_aborted:
            raise aiohttp.ServerDisconnectedError
        return response

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


class _DeviceEnd:
    """As much of a websocket as a device uses of its end."""

    def __init__(self, is_cut: Callable[[], bool]) -> None:
        self.messages: asyncio.Queue[aiohttp.WSMessage] = asyncio.Queue()
        """To the client."""
        self.left = asyncio.Event()
        """Set when the client has gone."""
        self._is_cut = is_cut

    def force_close(self) -> None:
        """Do as with an answer whose connection is not kept."""

    async def prepare(self, request: _Request) -> None:
        """Open it."""
        assert request.upgraded is not None
        request.upgraded.set_result(self)

    async def send_str(self, text: str) -> None:
        """Send a text, which is lost on a wire that is cut."""
        if not self._is_cut():
            self.messages.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, text, None))

    async def receive(self) -> aiohttp.WSMessage:
        """Wait for the client to go; it says nothing."""
        await self.left.wait()
        return CLOSED

    async def close(self) -> None:
        """Close it."""
        self.messages.put_nowait(CLOSED)
        self.left.set()


class _ClientEnd:
    """As much of a websocket as a door uses of its end."""

    def __init__(self, device: _DeviceEnd, device_side: asyncio.Task[None]) -> None:
        self._device = device
        self._device_side = device_side

    async def receive(self) -> aiohttp.WSMessage:
        """Wait for a message."""
        return await self._device.messages.get()

    async def close(self) -> None:
        """Close it."""
        self._device.left.set()
        await asyncio.wait([self._device_side])


CLOSED = aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None)
CHUNK_BYTES = 65536


def _refusal(request: _Request, answer: web.StreamResponse) -> aiohttp.WSServerHandshakeError:
    about = aiohttp.RequestInfo(URL(request.raw_path), request.method, CIMultiDictProxy(request.headers))
    return aiohttp.WSServerHandshakeError(about, (), status=answer.status, headers=CIMultiDict(answer.headers))


async def _never(_: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    await asyncio.Event().wait()
    return response


async def _not_found(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound
