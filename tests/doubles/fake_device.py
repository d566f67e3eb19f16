"""A device on the loopback interface that answers what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from pydantic import SecretStr

from opendtu_dcload.devices.http import open_session
from tests.doubles.clock import Clock


@dataclass(frozen=True)
class Settings:
    """What MeterConfig and OpenDtuConfig say, without their checks."""

    host: str
    user: str = "admin"
    password: SecretStr | None = None
    timeout_s: float = 2.0
    channel: str | None = None
    phase: int = 1
    invert: bool = False


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    authorization: str
    content_type: str
    form: dict[str, str]


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeDevice:
    """Answers by path and query; unknown paths get 404 with Shelly's body."""

    def __init__(self) -> None:
        self.host = ""
        self.port = 0
        self.answers: dict[str, object] = {}
        """A handler, or a document to be sent as JSON."""
        self.requests: list[Request] = []
        self.login: Callable[[web.Request], web.Response | None] = lambda _request: None
        """Returns the refusal of a request, None to let it pass."""
        self.open_paths = {"/shelly"}
        self.in_flight = 0
        self.most_in_flight = 0
        self.asked = asyncio.Event()
        self.closing = asyncio.Event()

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.in_flight += 1
        self.most_in_flight = max(self.in_flight, self.most_in_flight)
        try:
            form = {key: str(value) for key, value in (await request.post()).items()}
            headers = request.headers
            self.requests.append(
                Request(
                    request.method,
                    request.path_qs,
                    headers.get("Authorization", ""),
                    headers.get("Content-Type", ""),
                    form,
                )
            )
            self.asked.set()
            if request.path not in self.open_paths and (refusal := self.login(request)) is not None:
                return refusal
            if request.path_qs not in self.answers:
                return web.json_response({"code": 404, "message": "No handler"}, status=404)
            answer = self.answers[request.path_qs]
            if callable(answer):
                response = await answer(request)
                assert isinstance(response, web.StreamResponse)
                return response
            return web.json_response(answer)
        finally:
            self.in_flight -= 1

    async def stall(self, request: web.Request) -> web.StreamResponse:
        """Begin an answer and never end it."""
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"a":')
        await self.closing.wait()
        return response


@contextlib.asynccontextmanager
async def running_device(
    port: int = 0, address: str = "127.0.0.1"
) -> AsyncIterator[tuple[FakeDevice, aiohttp.ClientSession]]:
    device = FakeDevice()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", device.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, address, port)
    await site.start()
    device.port = runner.addresses[0][1]
    device.host = f"{address}:{device.port}"
    try:
        async with open_session() as session:
            yield device, session
    finally:
        device.closing.set()
        await runner.cleanup()


class Rig:
    """A fake device with what a client of it needs: a session, a clock, and settings that name it."""

    def __init__(self, device: FakeDevice, session: aiohttp.ClientSession, password: str | None = None) -> None:
        self.device = device
        self.session = session
        self.clock = Clock(1000.0)
        self.settings = Settings(device.host, password=None if password is None else SecretStr(password))


def text(body: str | bytes, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    """Answer with exactly this body."""
    payload = body.encode() if isinstance(body, str) else body

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=payload, status=status, headers=headers)

    return handler


def document(value: object, status: int = 200) -> Handler:
    return text(json.dumps(value), status)


class BasicLogin:
    def __init__(self, token: str) -> None:
        self.expected = f"Basic {token}"

    def __call__(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") == self.expected:
            return None
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="Login Required"'})


class DigestLogin:
    """RFC 7616 with SHA-256 as a Shelly with firmware 2.0.0 checks it: a nonce's count must rise."""

    REALM = "shellypro3em-a0dd6c112233"

    def __init__(self, password: str) -> None:
        self.password = password
        self.challenges = 0
        self.attempts = 0
        self.counts: dict[str, int] = {}
        """Live nonces with their last count."""

    def expire_nonces(self) -> None:
        self.counts.clear()

    def _challenge(self) -> web.Response:
        self.challenges += 1
        nonce = f"17513664{self.challenges:02d}"
        self.counts[nonce] = 0
        challenge = f'Digest qop="auth", realm="{self.REALM}", nonce="{nonce}", algorithm=SHA-256'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    def __call__(self, request: web.Request) -> web.Response | None:
        header = request.headers.get("Authorization", "")
        if not header.startswith("Digest "):
            return self._challenge()
        self.attempts += 1
        given = {key: quoted or bare for key, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', header)}
        nonce, count = given["nonce"], int(given["nc"], 16)
        if nonce not in self.counts or count <= self.counts[nonce]:
            return self._challenge()

        def sha(words: str) -> str:
            return hashlib.sha256(words.encode()).hexdigest()

        secret = sha(f"admin:{self.REALM}:{self.password}")
        target = sha(f"{request.method}:{request.path_qs}")
        expected = sha(f"{secret}:{nonce}:{given['nc']}:{given['cnonce']}:auth:{target}")
        if given["username"] != "admin" or given["uri"] != request.path_qs or given["response"] != expected:
            return self._challenge()
        self.counts[nonce] = count
        return None
