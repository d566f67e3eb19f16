"""The one door to a device: one request at a time, one time limit around send and body, errors of our own only.

A websocket is opened by it too, and then read beside the requests, see `frames`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import os
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Literal, Protocol

import aiohttp
from aiohttp.client_proto import ResponseHandler
from pydantic import SecretStr
from yarl import URL

from opendtu_dcload.devices import json_fields
from opendtu_dcload.devices.frames import LONGEST_FRAME, Frames
from opendtu_dcload.errors import (
    DeviceAnswerError,
    DeviceAuthError,
    DeviceBusyError,
    DeviceConnectionError,
    DeviceTimeoutError,
)

Clock = Callable[[], float]
"""Monotonic time in s."""

LONGEST_BODY = 256 * 1024
"""Bytes. The largest honest answer, OpenDTU's old live document with ten inverters, has about 30 kB."""
LONGEST_ANSWER = LONGEST_BODY * 3 // 2
"""Bytes, with headers, chunk sizes and trailers, of which aiohttp before 3.13 takes any number."""

# A Gen2 Shelly locks every client out after some wrong passwords in 10 min: ask rarely.
AUTH_PAUSE_S, LONGEST_AUTH_PAUSE_S = 60, 3600
# OpenDTU says `Retry-After: 60` whatever the matter is, it is a constant in its firmware: begin shorter, end there.
BUSY_PAUSE_S, LONGEST_BUSY_PAUSE_S = 5, 60

_CLOSE_S = 0.1
"""How long a device is waited for that is told that its websocket ends: we may be about to leave."""
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)  # ours is the only one


class Login(Protocol):
    """What the configuration says about reaching a device."""

    @property
    def host(self) -> str:
        """Host name or address, with `:port` when it is not 80."""

    @property
    def user(self) -> str:
        """User name."""

    @property
    def password(self) -> SecretStr | None:
        """None = no password is to be sent."""

    @property
    def timeout_s(self) -> float:
        """Time for a request and its whole answer."""


class _EndlessError(aiohttp.ClientError):
    """An answer goes on and on, and not in its body."""


class _RedirectedError(aiohttp.ClientError):
    """A device sends a request on to another place."""


class _BoundedAnswers(ResponseHandler):
    """A connection that ends when an answer grows beyond measure."""

    _received = 0
    _is_socket = False

    def set_parser(self, *parts: Any, **more: Any) -> None:
        """Begin the frames of a websocket, each of which is bounded by itself."""
        self._is_socket = True
        super().set_parser(*parts, **more)

    def set_response_params(self, **settings: Any) -> None:
        """Begin the next answer."""
        self._received = 0
        super().set_response_params(**settings)

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self._received += 0 if self._is_socket else len(data)
        if self._received <= LONGEST_ANSWER:
            super().data_received(data)
        elif self.transport is not None:
            self.set_exception(_EndlessError(f"more than {LONGEST_ANSWER // 1024} kB"))
            self.transport.abort()


class _BoundedConnector(aiohttp.TCPConnector):
    def __init__(self) -> None:
        super().__init__()
        self._factory = functools.partial(_BoundedAnswers, loop=self._loop)  # type: ignore[assignment]  # invariant


def open_session(*middlewares: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
    """Return a session for the doors, which bounds what a device can fill the memory with; the caller closes it.

    Every request goes through the `middlewares`, and none to where a device redirects it. Nothing is unpacked: no
    device packs what is asked for here, and 200 kB can become 300 MB.
    """
    watch = aiohttp.TraceConfig()
    watch.on_request_redirect.append(_refuse_redirect)
    return aiohttp.ClientSession(
        connector=_BoundedConnector(),
        auto_decompress=False,
        headers={"Accept-Encoding": "identity"},
        middlewares=middlewares,
        trace_configs=[watch],
    )


async def _refuse_redirect(_session: object, _context: object, redirect: aiohttp.TraceRequestRedirectParams) -> None:
    """End a request that would go on elsewhere: a websocket's cannot be told to stay."""
    redirect.response.close()
    raise _RedirectedError(f"status {redirect.response.status}, a redirect")


class HttpStatusError(DeviceAnswerError):
    """An answer with a status other than 200."""

    def __init__(self, message: str, status: int, code: int | None) -> None:
        """Keep the HTTP status and the `code` in the answer's body, None when it has none."""
        super().__init__(message)
        self.status = status
        self.code = code


class BackOff:
    """A pause after a failure, twice as long after each further one."""

    def __init__(self, clock: Clock, *, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._clock = clock
        self._pause_s = 0.0
        self._until_s = 0.0

    @property
    def remaining_s(self) -> float:
        """What is left of the pause, 0 when there is none."""
        return max(0.0, self._until_s - self._clock()) if self._pause_s else 0.0

    def start(self) -> float:
        """Begin the next pause and return its length in s."""
        self._pause_s = min(2 * self._pause_s, self._longest_s) if self._pause_s else self._first_s
        self._until_s = self._clock() + self._pause_s
        return self._pause_s

    def reset(self) -> None:
        """Forget the failures."""
        self._pause_s = 0.0


class DeviceHttp:
    """All requests to one device, or to one part of it with a back-off of its own.

    Args:
        name: how messages call the device.
        section: section of the configuration that holds its host and password.
        login: address, credentials, time limit.
        session: made by `open_session`, closed by the caller.
        clock: monotonic time in s, for the pauses.
        lock: shared by the doors of one device; None = this is the only one.
    """

    def __init__(
        self,
        name: str,
        section: str,
        login: Login,
        session: aiohttp.ClientSession,
        clock: Clock,
        lock: asyncio.Lock | None = None,
    ) -> None:
        self.name = f"{name} at {login.host}"
        self._section = section
        self._login = login
        self._session = session
        self._lock = lock or asyncio.Lock()
        self._refused = BackOff(clock, first_s=AUTH_PAUSE_S, longest_s=LONGEST_AUTH_PAUSE_S)
        self._busy = BackOff(clock, first_s=BUSY_PAUSE_S, longest_s=LONGEST_BUSY_PAUSE_S)
        self.is_posting = False
        """A POST of its own is on its way."""
        self._user = login.user
        self._basic: dict[str, str] = {}
        self._digest: tuple[aiohttp.DigestAuthMiddleware, ...] = ()

    @property
    def has_password(self) -> bool:
        """Whether there are credentials to show."""
        return self._login.password is not None

    def authenticate_with(self, scheme: Literal["basic", "digest"], user: str | None = None) -> None:
        """Show the configured credentials from now on, by `user` if the device knows no other; none without a password.

        Basic goes along unasked. Digest waits for the device's challenge and then stays with it: Shellies from firmware
        2.0.0 on have 32 of them, valid for 30000 requests each, so there is one digest state for the door's life.
        """
        if self._login.password is None:
            return
        self._user = self._login.user if user is None else user
        if scheme == "basic":
            password = self._login.password.get_secret_value()
            token = base64.b64encode(f"{self._user}:{password}".encode()).decode()
            self._basic = {"Authorization": f"Basic {token}"}
        elif not self._digest:
            self._challenge_anew(self._login.password)

    async def get(self, path: str, *, is_open: bool = False) -> object:
        """Return the JSON document at `path`, query included; never None.

        An open path is asked for without credentials, and its answer says nothing about them.

        Raises:
            DeviceError: there is no usable answer; which one says why.
        """
        return await self._request("GET", path, None, is_open=is_open)

    async def post(self, path: str, form: Mapping[str, str]) -> object:
        """Send `form` url-encoded to `path` and return the JSON document in the answer; raises as `get`."""
        return await self._request("POST", path, form, is_open=False)

    @contextlib.asynccontextmanager
    async def listen(self, path: str) -> AsyncIterator[Frames]:
        """Yield the frames of a websocket, which takes a turn of its own only to be opened.

        The credentials go along as with any request, and are shown anew if the device wants a digest.

        Raises:
            DeviceError: it cannot be opened.
        """
        async with contextlib.AsyncExitStack() as stack:
            async with self._turn(path):
                try:
                    socket = await self._upgrade(self._session, path, self._basic)
                except aiohttp.WSServerHandshakeError as err:
                    socket = await self._upgrade_by_digest(path, err, stack)
            stack.push_async_callback(socket.close)
            self._refused.reset()
            yield Frames(self.name, path, socket)

    def insist(self) -> None:
        """Forget the pause after an overload: what comes next cannot wait."""
        self._busy.reset()

    def refuse(self) -> DeviceAuthError:
        """Begin a pause because the credentials are missing or wrong, and return the error to raise."""
        pause_s = self._refused.start()
        self._forget_challenge()
        return DeviceAuthError(self._auth_problem(), pause_s)

    def _auth_problem(self) -> str:
        if self.has_password:
            return f"{self.name} refuses the password: correct {self._section}.password"
        return f"{self.name} wants a password: set {self._section}.password"

    def _forget_challenge(self) -> None:
        if self._digest and self._login.password is not None:
            self._challenge_anew(self._login.password)

    def _challenge_anew(self, password: SecretStr) -> None:
        self._digest = (aiohttp.DigestAuthMiddleware(self._user, password.get_secret_value()),)

    async def _request(self, method: str, path: str, form: Mapping[str, str] | None, *, is_open: bool) -> object:
        async with self._turn(path):
            self.is_posting = method == "POST"
            try:
                status, body = await self._exchange(method, path, form, is_open=is_open)
            finally:
                self.is_posting = False
        self._check_status(status, path, body)
        self._busy.reset()
        if not is_open:
            self._refused.reset()
        try:
            return json_fields.document(body)
        except ValueError as err:
            raise DeviceAnswerError(f"{self.name} answered {path} with no usable JSON ({_reason(err)})") from err

    @contextlib.asynccontextmanager
    async def _turn(self, path: str) -> AsyncIterator[None]:
        """Wait for the device to be free; what is done then ends in time, or with an error of ours."""
        async with self._lock:
            self._check_pauses()
            try:
                async with asyncio.timeout(self._login.timeout_s):
                    yield
            except TimeoutError as err:
                raise DeviceTimeoutError(
                    f"{self.name} did not answer {path} completely in {self._login.timeout_s:g} s"
                ) from err
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as err:
                raise DeviceConnectionError(
                    f"{self.name} cannot be reached ({_reason(err)}): check {self._section}.host and the network"
                ) from err
            except (aiohttp.ClientError, ValueError) as err:
                self._forget_challenge()  # one that cannot be answered would stand in front of each further request
                raise DeviceAnswerError(f"{self.name} answered {path} with broken HTTP ({_reason(err)})") from err

    def _check_pauses(self) -> None:
        if remaining_s := self._refused.remaining_s:
            raise DeviceAuthError(self._auth_problem(), remaining_s)
        if remaining_s := self._busy.remaining_s:
            raise DeviceBusyError(f"{self.name} is overloaded", remaining_s)

    async def _exchange(
        self, method: str, path: str, form: Mapping[str, str] | None, *, is_open: bool
    ) -> tuple[int, bytearray]:
        too_long = DeviceAnswerError(f"{self.name} answered {path} with more than {LONGEST_BODY // 1024} kB")
        async with self._session.request(
            method,
            URL(f"http://{self._login.host}{path}"),
            data=form,
            headers=None if is_open else self._basic,
            middlewares=() if is_open else self._digest,
            allow_redirects=False,
            timeout=_NO_TIMEOUT,
        ) as response:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise DeviceAnswerError(f"{self.name} answered {path} compressed, which was not asked for")
            if int(response.headers.get("Content-Length", 0)) > LONGEST_BODY:
                raise too_long
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > LONGEST_BODY:
                    raise too_long
            return response.status, body

    async def _upgrade(
        self, session: aiohttp.ClientSession, path: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientWebSocketResponse:
        return await session.ws_connect(
            URL(f"ws://{self._login.host}{path}"),
            headers=headers,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
            max_msg_size=LONGEST_FRAME,
        )

    async def _upgrade_by_digest(
        self, path: str, refused: aiohttp.WSServerHandshakeError, stack: contextlib.AsyncExitStack
    ) -> aiohttp.ClientWebSocketResponse:
        """Open a websocket that was refused for want of a digest; aiohttp knows digests of whole sessions only."""
        challenge = "" if refused.headers is None else refused.headers.get("WWW-Authenticate", "")
        try:
            if refused.status != 401 or self._login.password is None or not challenge.lower().startswith("digest"):
                raise refused
            digest = aiohttp.DigestAuthMiddleware(self._user, self._login.password.get_secret_value())
            session = await stack.enter_async_context(open_session(digest))
            return await self._upgrade(session, path, {})
        except aiohttp.WSServerHandshakeError as err:
            self._check_status(err.status, path, bytearray())
            raise DeviceAnswerError(f"{self.name} opens no websocket at {path}") from err

    def _check_status(self, status: int, path: str, body: bytearray) -> None:
        if status == 200:
            return
        # Gen2 from firmware 2.0.0 on: "Too many failed authentication attempts" also has status 429.
        if status == 401 or (status == 429 and b"failed authentication" in body.lower()):
            raise self.refuse()
        if status == 429:
            pause_s = self._busy.start()
            self._forget_challenge()
            raise DeviceBusyError(f"{self.name} is overloaded", pause_s)
        try:
            code = json_fields.whole(json_fields.document(body), "code", -99999, 99999)
        except ValueError:
            code = None
        detail = "" if code is None else f", code {code}"
        raise HttpStatusError(f"{self.name} answered {path} with HTTP status {status}{detail}", status, code)


def _reason(err: Exception) -> str:
    """Return a few words for people, without the address that stands in front of them already."""
    if isinstance(err, OSError) and err.errno:
        return os.strerror(err.errno) if err.errno > 0 else str(err.strerror)
    words = "".join(character for character in str(err) if character.isprintable())
    return words[:100] or type(err).__name__
