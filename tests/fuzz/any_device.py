"""A device in the place of aiohttp's session: the answers stand in an input, nothing goes over a wire."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from aiohttp import WSMessage, WSMsgType
from yarl import URL

from tests.fuzz.target import lines_of

_BINARY = b"binary "
_HEAD = re.compile(r"(/\S*)(?: ([1-5][0-9][0-9]))?")


class AnyDevice:
    """Answers a path with the body behind it in the input, and with the status beside it if there is one.

    `/shelly 401 = {}` is such a line. An input of no such line is the answer to everything.
    """

    def __init__(self, data: bytes) -> None:
        self._answers: dict[str, tuple[int, bytes]] = {}
        for head, body in lines_of(data).items():
            if match := _HEAD.fullmatch(head):
                self._answers[match[1]] = int(match[2] or 200), body
        self._default = (404, b'{"code":404,"message":"No handler"}') if self._answers else (200, data)

    def request(self, _method: str, url: URL, **_options: object) -> _Response:
        """Return what `async with` waits for."""
        return _Response(*self._answers.get(url.path_qs, self._default))


class AnyPush:
    """Opens a websocket whose messages are the lines of the input; `binary ` begins a binary one."""

    def __init__(self, data: bytes) -> None:
        self._lines = iter(data.split(b"\n"))

    async def ws_connect(self, _url: URL, **_options: object) -> Self:
        """Return what is read from."""
        return self

    async def receive(self) -> WSMessage:
        """Return the next message; after the last one it is closed."""
        line = next(self._lines, None)
        if line is None:
            return WSMessage(WSMsgType.CLOSED, None, None)
        if line.startswith(_BINARY):
            return WSMessage(WSMsgType.BINARY, line.removeprefix(_BINARY), None)
        try:
            return WSMessage(WSMsgType.TEXT, line.decode(), None)
        except UnicodeDecodeError as err:
            return WSMessage(WSMsgType.ERROR, err, None)

    async def close(self) -> None:
        """Close it."""


class _Response:
    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self.content = self
        self._body = body

    async def iter_any(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), 4096):
            yield self._body[start : start + 4096]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
