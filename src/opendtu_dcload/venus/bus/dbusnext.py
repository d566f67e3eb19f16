"""Everything that dbus-next 0.2.3 needs worked around, and nothing else.

What is wrong there:

- its constructor connects with a blocking socket: here it is handed one that is connected already;
- its login spins for ever when the peer closes, and reads a line without end;
- a full send buffer ends the connection, and its outgoing queue has no limit;
- one busy client keeps the event loop inside its reader; a message is taken apart whatever its size, and what it
  learns of signatures is kept for ever;
- a call without the interface field gets UnknownMethod, a refused one a traceback, a second GetMachineId an error:
  here no call reaches dbus-next's own handlers (`connection.Connection.answer_calls`);
- a call that timed out leaves its entry behind; a call after the end waits for ever, and a send after the end watches
  a file descriptor that may be someone else's;
- `disconnect()` leaves the socket open;
- a refused Hello passes for a name (checked in `connection.connected`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.aio.message_bus import MessageBus
from dbus_next.auth import AuthAnnonymous, AuthExternal
from dbus_next.message import Message
from dbus_next.signature import SignatureTree

_MAX_MESSAGE_BYTES = 256 * 1024
"""Of one incoming message. The largest that belongs here is localsettings' GetItems, a good third of this; dbus-next
needs about a second on a Cortex-A7 for as much."""
_MAX_WAITING_MESSAGES = 2000
_MAX_WAITING_BYTES = 4 * 1024 * 1024
_MAX_MESSAGES_AT_ONCE = 20
"""Read before the event loop has its turn: about 0.1 s of answers on a Cortex-A7."""
_MAX_LOGIN_LINE_BYTES = 1024
_MAX_CACHED_SIGNATURES = 500


class _PatientSocket:
    """A socket for dbus-next's writer: "would block" means that nothing was sent, not that all is over."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, chunk: memoryview) -> int:
        try:
            return self._sock.send(chunk)
        except (BlockingIOError, InterruptedError):
            return 0


class _Outgoing(asyncio.Queue[tuple[bytearray, list[int], Any]]):
    """The writer's queue, which knows how many bytes wait in it."""

    waiting_bytes = 0

    def _put(self, item: tuple[bytearray, list[int], Any]) -> None:
        self.waiting_bytes += len(item[0])
        super()._put(item)

    def _get(self) -> tuple[bytearray, list[int], Any]:
        item = super()._get()
        self.waiting_bytes -= len(item[0])
        return item


class _BoundedUnmarshaller(Unmarshaller):
    """Refuses a message by its announced size, before anything of it is kept."""

    def read(self, n: int, prefetch: bool = False) -> int:
        if n > _MAX_MESSAGE_BYTES:
            raise ConnectionError(f"somebody sent a message of {n} bytes")
        return int(super().read(n, prefetch))  # type: ignore[no-untyped-call]  # dbus-next has no types here


class Bus(MessageBus):
    """dbus-next's connection on a socket that is connected already."""

    def __init__(self, sock: socket.socket, login: AuthExternal | AuthAnnonymous) -> None:
        self._given_sock = sock
        self._more: asyncio.Handle | None = None
        super().__init__(bus_address="unix:path=/", auth=login)  # an address is required and not used
        self._outgoing = _Outgoing()
        self._writer.sock = _PatientSocket(sock)
        self._writer.messages = self._outgoing
        self.ended: asyncio.Future[None] = self._disconnect_future
        """Done when the connection has ended, with the cause as its exception. Never to be awaited without a shield."""
        self.ended.add_done_callback(_mark_retrieved)

    def _setup_socket(self) -> None:
        self._sock = self._given_sock
        self._stream = self._sock.makefile("rwb")
        self._fd = self._sock.fileno()

    async def _auth_readline(self) -> str:
        line = b""
        while not line.endswith(b"\r\n"):
            received = await self._loop.sock_recv(self._sock, 1)
            if not received or len(line) > _MAX_LOGIN_LINE_BYTES:
                raise ConnectionError("that is not a D-Bus daemon, or it closed the connection during the login")
            line += received
        return line[:-2].decode("ascii")

    def _create_unmarshaller(self) -> Unmarshaller:
        known_signatures = SignatureTree._cache  # noqa: SLF001 - clients choose what goes into it
        if len(known_signatures) > _MAX_CACHED_SIGNATURES:
            known_signatures.clear()
        return _BoundedUnmarshaller(self._stream)  # type: ignore[no-untyped-call]  # dbus-next has no types here

    def _message_reader(self) -> None:
        if self._disconnected or self._more is not None:  # the rest has its turn already
            return
        try:
            for _ in range(_MAX_MESSAGES_AT_ONCE):
                if not self._unmarshaller.unmarshall():
                    return
                self._process_message(self._unmarshaller.message)  # type: ignore[no-untyped-call]  # dbus-next has none
                if self._disconnected:
                    return
                self._unmarshaller = self._create_unmarshaller()
        except Exception as err:  # any message that cannot be read ends the connection, as in dbus-next itself
            self.end(err)
            return
        # the rest may already wait in the stream's own buffer, of which the selector knows nothing
        self._more = self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        self._more = None
        self._message_reader()

    def send(self, msg: Message) -> Any:
        """Queue `msg`; nothing happens once the connection has ended."""
        if self._disconnected:
            return None
        sent = super().send(msg)
        sent.add_done_callback(_mark_retrieved)
        waiting = self._outgoing
        if waiting.qsize() > _MAX_WAITING_MESSAGES or waiting.waiting_bytes > _MAX_WAITING_BYTES:
            self.end(ConnectionError(f"the bus leaves {waiting.qsize()} messages waiting"))
        return sent

    def forget_call(self, serial: int) -> None:
        """Stop waiting for the reply to a call."""
        self._method_return_handlers.pop(serial, None)

    def end(self, cause: Exception | None) -> None:
        """End the connection; `ended` tells the cause."""
        self._finalize(cause)  # type: ignore[no-untyped-call]  # dbus-next has no types here

    def disconnect(self) -> None:
        """Only note that the connection is over: `close` does the rest."""
        self._user_disconnect = True

    def close(self) -> None:
        """End the connection and close its socket; only once."""
        if not self._disconnected:
            self.end(None)
        if self._more is not None:
            self._more.cancel()
        for part in (self._stream, self._sock):
            with contextlib.suppress(OSError, ValueError):  # what could not be flushed is lost anyway
                part.close()


def _mark_retrieved(future: asyncio.Future[Any]) -> None:
    """Keep asyncio from logging an error that is handled elsewhere."""
    if not future.cancelled():
        future.exception()
