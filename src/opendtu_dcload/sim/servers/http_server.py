"""What the simulated devices have in common: a real HTTP server on loopback, its faults, a count of what arrives."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from aiohttp import web

from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.servers.latency import LOST_S, Latency

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OVERSIZE_BYTES = 10_000_000
TICK_S = 0.2


@dataclass(slots=True)
class Faults:
    """What goes wrong with the next answers; everything off by default."""

    status: int = 0
    """Answer with this HTTP status instead: 401, 404, 429, 500 ..."""
    body: str = ""
    """Answer 200 with this text instead: `null`, `{"broken` ..."""
    content_type: str = ""
    """Say of each body that it is this, whatever it is."""
    is_oversize: bool = False
    """Answer 200 with some megabytes."""
    delay_s: float = 0.0
    """Answer late, in real seconds."""
    stall: bool = False
    """Send half of the body, then nothing."""
    drop: bool = False
    """Close the connection without an answer. `DeviceServer.stop` is what refuses connections."""
    requests: int | None = None
    """How many requests are answered so; None = all, until the faults are cleared."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Faults:
        """Return the faults that a JSON object names.

        Raises:
            ValueError: an unknown name or a wrong type.
        """
        kinds: dict[str, type | tuple[type, ...]] = {
            "status": int,
            "body": str,
            "content_type": str,
            "delay_s": (int, float),
            "requests": int,
        }
        for name, value in values.items():
            if name not in {f.name for f in fields(cls)}:
                raise ValueError(f"no fault {name!r}")
            kind = kinds.get(name, bool)
            if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
                raise ValueError(f"fault {name!r} cannot be {value!r}")
        return cls(**values)


def json_response(answer: object, status: int = 200) -> web.Response:
    """Return a JSON answer in the compact form of small devices."""
    text = json.dumps(answer, separators=(",", ":"), ensure_ascii=False)
    return web.Response(text=text, status=status, content_type="application/json")


class DeviceServer(ABC):
    """One simulated device behind HTTP. Each request first moves the plant to `clock()`."""

    keeps_connections = False
    """Whether more than one request may come over one connection."""

    def __init__(self, dtu: SimDtu, clock: Callable[[], float], *, latency_s: float = 0.01) -> None:
        self.dtu = dtu
        self.clock = clock
        self.latency = Latency(latency_s)
        """How long each answer takes: without any time, requests in parallel would not be seen as such."""
        self.stall: Callable[[web.Request, web.StreamResponse], Awaitable[web.StreamResponse]] = _stall
        """Answers in part, and never ends."""
        self.faults = Faults()
        self.requests = 0
        self.in_flight = 0
        self.max_in_flight = 0
        """Most requests that were in work at one time; a well-behaved client keeps it at 1."""
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def host(self) -> str:
        """The address as a user would write it into the configuration."""
        return f"127.0.0.1:{self._port}"

    @property
    @abstractmethod
    def is_away(self) -> bool:
        """True while the device restarts: connections break."""

    @abstractmethod
    def add_routes(self, app: web.Application) -> None:
        """Put the device's paths into `app`."""

    @abstractmethod
    def error(self, status: int) -> web.Response:
        """Return the answer that the device gives with an HTTP error status."""

    @property
    def is_listening(self) -> bool:
        """False before `start` and after `stop`."""
        return self._runner is not None

    async def start(self, port: int = 0) -> None:
        """Listen on loopback; after a `stop`, on the same port as before."""
        app = web.Application(middlewares=[self._guard])
        self.add_routes(app)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port or self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close all connections and refuse new ones until `start`."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        return await self.respond(request, handler)

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Return the answer to a request, after the time that it takes and with what is wrong with it."""
        self.requests += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            faults = self._take_faults()
            await asyncio.sleep(self.latency.next_s() + faults.delay_s)
            self.dtu.advance(self.clock())
            if faults.drop or self.is_away:
                return _drop(request)
            response = await self._answer(request, handler, faults)
            if faults.content_type:
                response.content_type = faults.content_type
            if self.latency.next_is_lost():
                await asyncio.sleep(LOST_S)
            if not self.keeps_connections:
                response.force_close()
            return await self.stall(request, response) if faults.stall else response
        finally:
            self.in_flight -= 1

    def _take_faults(self) -> Faults:
        faults = self.faults
        if faults.requests is not None:
            faults.requests -= 1
            if faults.requests < 0:
                self.faults = Faults()
        return self.faults

    async def _answer(self, request: web.Request, handler: Handler, faults: Faults) -> web.StreamResponse:
        if faults.status:
            return self.error(faults.status)
        if faults.is_oversize:
            return web.Response(text="[" + "0," * (OVERSIZE_BYTES // 2) + "0]", content_type="application/json")
        if faults.body:
            return web.Response(text=faults.body, content_type="application/json")
        try:
            return await handler(request)
        except web.HTTPException as err:
            return self.error(err.status)


async def tick(plant: SimDtu | World, clock: Callable[[], float]) -> None:
    """Keep the plant moving in real time while nobody asks; ends by cancellation only."""
    while True:
        plant.advance(clock())
        await asyncio.sleep(TICK_S)


def _drop(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _stall(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b"{}"
    stalled = web.StreamResponse(status=response.status, headers={"Content-Type": "application/json"})
    stalled.content_length = len(body)
    stalled.force_close()
    await stalled.prepare(request)
    await stalled.write(body[: len(body) // 2])
    await asyncio.Event().wait()  # until the client gives up, or the server stops: both cancel the handler
    return stalled
