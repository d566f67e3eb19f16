"""A connection to a server of aiohttp without a socket: bytes in, bytes out, on real or on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiohttp.web_protocol import RequestHandler


class MemoryConnection(asyncio.Transport):
    """A client's connection; `sent` is all that the server has sent so far."""

    def __init__(self, handler: RequestHandler) -> None:
        super().__init__({"peername": ("192.0.2.9", 4711), "sockname": ("192.0.2.1", 8099)})
        self.sent = bytearray()
        self._handler = handler
        self._is_closing = False
        self._handler.connection_made(self)

    def say(self, data: bytes) -> None:
        """Send bytes to the server."""
        if not self._is_closing:
            self._handler.data_received(data)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_closing:
            self.sent += data

    def writelines(self, parts: Iterable[bytes | bytearray | memoryview]) -> None:
        for part in parts:
            self.write(part)

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._handler.connection_lost(None)

    abort = close

    def is_reading(self) -> bool:
        return True

    def pause_reading(self) -> None:
        """Go on: what there is has been read."""

    def resume_reading(self) -> None:
        """Go on."""

    def get_write_buffer_size(self) -> int:
        return 0
