"""The server: one loop of its own beside the regulation, which no client can slow.

What everybody gets is made once a second for all; connections and event streams are counted, each request has a size
and a time, and whoever reads slowly is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from itertools import chain
from typing import Any, NoReturn

from aiohttp.web_exceptions import HTTPException
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse
from aiohttp.web_server import Server

from opendtu_dcload.web.assets import Asset
from opendtu_dcload.web.feed import Feed
from opendtu_dcload.web.gate import HEADERS, Gate, RefusedError
from opendtu_dcload.web.metrics import CONTENT_TYPE
from opendtu_dcload.web.set_points import LARGEST_BYTES
from opendtu_dcload.web.site import Site

log = logging.getLogger(__name__)
_silent = logging.getLogger(f"{__name__}.protocol")
_silent.disabled = True  # aiohttp would log a traceback for every client that sends nonsense

JSON = "application/json"
EVENTS = "text/event-stream"
MOST_CONNECTIONS = 64
"""More are closed at once: each takes a file descriptor that the devices' connections need too."""
MOST_OF_ONE = 32
"""From one address: nobody alone can take them all."""
REQUEST_S = 15.0
"""A connection may take so long from its begin, or from its last answer's, without a whole request or answer; and an
event stream for its next event, of which there is one a second."""
BODY_S = 5.0
RETRY_S = 60.0
"""A port that is taken is tried again after this time."""
LIMITS: Mapping[str, Any] = {
    "access_log": None,
    "logger": _silent,
    "keepalive_timeout": 10.0,
    "lingering_time": 1.0,
    "max_line_size": 2048,
    "max_field_size": 4096,
    "max_headers": 64,
    "auto_decompress": False,
}
_Handler = Callable[[BaseRequest], Awaitable[StreamResponse]]


class WebServer:
    """Answers at one port."""

    def __init__(self, site: Site, gate: Gate, feed: Feed, page: Mapping[str, Asset], listen: str, port: int) -> None:
        """Open nothing yet.

        Args:
            site: makes what is answered.
            gate: says who may ask and write.
            feed: what goes to event streams.
            page: the files of the page, by path.
            listen: the address to serve at; empty = all of this machine.
            port: and its port.
        """
        self._site = site
        self._gate = gate
        self._feed = feed
        self._listen = listen
        self._port = port
        self._busy: set[asyncio.BaseTransport] = set()
        self._until_s: dict[asyncio.BaseTransport, float] = {}
        self._server: Server | None = None
        self._routes: dict[str, dict[str, _Handler]] = {
            **{path: {"GET": _sender(asset)} for path, asset in page.items()},
            "/api/state": {"GET": self._state},
            "/api/history": {"GET": self._history},
            "/api/stream": {"GET": self._stream},
            "/api/set-points": {"PUT": self._set},
            "/healthz": {"GET": self._health},
            "/metrics": {"GET": self._metrics},
        }

    async def run(self) -> NoReturn:
        """Serve for ever; a port that cannot be had is said once and tried again each minute."""
        is_told = False
        while True:
            try:
                await self._serve(was_away=is_told)
            except OSError as err:
                if not is_told:
                    log.warning("no status page: %s", self._sentence(err))
                is_told = True
            except Exception as err:  # the page may be lost for a minute, the regulation goes on
                log.error("the status page is away for a minute (%r): please report this", err)  # noqa: TRY400  one sentence, no traceback
            await asyncio.sleep(RETRY_S)

    def _sentence(self, err: OSError) -> str:
        """Return why the port cannot be had, and what to do."""
        if err.errno == errno.EADDRINUSE:
            return f"port {self._port} is taken by another program; free it or set another web.port"
        if err.errno in {errno.EADDRNOTAVAIL, errno.EINVAL, None}:  # none: asyncio's own error since Python 3.13
            return f"{self._listen} is no address of this computer; correct web.listen, or leave it out"
        return f"port {self._port} cannot be had ({err}); set another web.port"

    def made(self) -> Server:
        """Return what answers on every `connection`; to be called while the event loop runs."""
        return Server(self._answer, handler_cancellation=True)

    async def _serve(self, *, was_away: bool) -> NoReturn:
        loop = asyncio.get_running_loop()
        server = self._server = self.made()

        def connected() -> asyncio.Protocol:
            return _Full() if len(server.connections) >= MOST_CONNECTIONS else connection(server)

        listening = await loop.create_server(connected, self._listen or None, self._port)
        if was_away:
            log.info("the status page is there: port %d is free", self._port)
        try:
            while True:
                await asyncio.sleep(1.0)
                self._end_overdue(loop.time())
        finally:
            listening.close()
            for handler in server.connections:
                if handler.transport is not None:
                    handler.transport.abort()

    def _end_overdue(self, now_s: float) -> None:
        """End connections on which no whole request came, or no answer was taken, in time."""
        assert self._server is not None
        open_now = {c.transport for c in self._server.connections if c.transport is not None}
        self._until_s = {t: self._until_s.get(t, now_s + REQUEST_S) for t in open_now - self._busy}
        for transport in [transport for transport, until_s in self._until_s.items() if now_s > until_s]:
            assert isinstance(transport, asyncio.Transport)
            transport.abort()

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        """Answer any request; nothing that comes of one may end anything but this request."""
        transport = request.transport
        if transport is not None:
            self._busy.add(transport)
            self._until_s.pop(transport, None)
        try:
            response = await self._routed(request)
        except RefusedError as err:
            response = _text(f"{err}\n", err.status)
            response.force_close()
        except (ConnectionError, TimeoutError):
            raise
        except Exception as err:  # a mistake of ours must cost a page, not the regulation
            log.error("%s was not answered (%s): please report this", request.path[:40], type(err).__name__)  # noqa: TRY400  one sentence, no traceback
            response = _text("a mistake of the program\n", HTTPStatus.INTERNAL_SERVER_ERROR)
            response.force_close()
        finally:
            if transport is not None:
                self._busy.discard(transport)
        return response

    async def _routed(self, request: BaseRequest) -> StreamResponse:
        self._gate.check(request)
        methods = self._routes.get(request.path)
        if methods is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, "there is no such page")
        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        return await handler(request) if handler is not None else _not_allowed(methods)

    async def _state(self, _: BaseRequest) -> StreamResponse:
        return _response(self._site.state().text, JSON)

    async def _metrics(self, _: BaseRequest) -> StreamResponse:
        return _response(self._site.state().metrics, CONTENT_TYPE)

    async def _health(self, _: BaseRequest) -> StreamResponse:
        trouble = self._site.trouble()
        return _text(trouble or "ok", HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.OK)

    async def _history(self, _: BaseRequest) -> StreamResponse:
        return _response(await self._site.history(), JSON)

    async def _set(self, request: BaseRequest) -> StreamResponse:
        self._gate.check_writing(request)
        set_points = self._site.set_points
        set_points.write(await _body(request))
        return _response(json.dumps(set_points.document(may_write=True)).encode(), JSON)

    async def _stream(self, request: BaseRequest) -> StreamResponse:
        if self._feed.is_full:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "too many listen already: ask /api/state instead")
        response = StreamResponse(headers={**HEADERS, "Content-Type": EVENTS})
        with self._feed.listening() as listener, contextlib.suppress(ConnectionError, TimeoutError):
            await response.prepare(request)
            if request.method == "HEAD":
                return response
            self._feed.send_state(self._site.state().text)
            now_s = asyncio.get_running_loop().time
            async with asyncio.timeout(None) as patience:
                while True:
                    patience.reschedule(now_s() + REQUEST_S)
                    await response.write(await listener.taken())
        response.force_close()
        return response


class _Connection(RequestHandler):
    """A connection whose bad requests are answered without what stood in them; one too many of an address is ended."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self._manager is not None
        others = [one.transport for one in self._manager.connections if one.transport is not None]
        if [_address(other) for other in others].count(_address(transport)) > MOST_OF_ONE:
            transport.close()

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> StreamResponse:
        """Answer what is no request."""
        response = super().handle_error(request, status, exc, None if message is None else "this is no request\n")
        response.headers.update(HEADERS)
        return response


def connection(server: Server) -> RequestHandler:
    """Return the protocol of a new connection."""
    return _Connection(server, loop=asyncio.get_running_loop(), **LIMITS)


class _Full(asyncio.Protocol):
    """A connection that is one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _address(transport: asyncio.BaseTransport) -> object:
    peer = transport.get_extra_info("peername")
    return peer[0] if peer else None


async def _body(request: BaseRequest) -> bytes:
    body = b""
    try:
        async with asyncio.timeout(BODY_S):
            while len(body) <= LARGEST_BYTES and (part := await request.content.read(LARGEST_BYTES)):
                body += part
    except (TimeoutError, ValueError, HTTPException) as err:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "what was to be written did not come completely") from err
    if len(body) > LARGEST_BYTES:
        raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {LARGEST_BYTES} bytes cannot be written")
    return body


def _sender(asset: Asset) -> _Handler:
    async def send(_: BaseRequest) -> StreamResponse:
        return _response(asset.content, asset.kind)

    return send


def _not_allowed(methods: Iterable[str]) -> Response:
    allowed = ", ".join(chain.from_iterable(("GET", "HEAD") if method == "GET" else (method,) for method in methods))
    response = _text(f"possible here: {allowed}\n", HTTPStatus.METHOD_NOT_ALLOWED)
    response.headers["Allow"] = allowed
    response.force_close()
    return response


def _text(text: str, status: HTTPStatus) -> Response:
    return _response(text.encode(), "text/plain; charset=utf-8", status)


def _response(body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(body=body, status=status, headers={**HEADERS, "Content-Type": kind})
