"""A connection to the message bus: made without blocking, kept for ever, its calls answered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from dbus_next.auth import AuthAnnonymous, AuthExternal
from dbus_next.constants import ErrorType, MessageFlag, MessageType, NameFlag, RequestNameReply
from dbus_next.message import Message

from opendtu_dcload.errors import BusError, BusGoneError, CallRefusedError, EndedOnPurposeError, NameTakenError
from opendtu_dcload.venus.bus.bus_address import BusAddress, TcpAddress
from opendtu_dcload.venus.bus.dbusnext import Bus
from opendtu_dcload.venus.bus.item import printable

RETRY_DELAYS_S = (1.0, 2.0, 5.0, 10.0)
TIMEOUT_S = 5.0
"""For each step that waits for the bus: connecting with login, and every call."""

COMPLAINT_PAUSE_S = 3600.0
"""Signals that cannot be read are logged no more often than this, however many there are."""
_STABLE_AFTER_S = 60.0
"""A connection that lasted this long lets the next loss start with the shortest delay again."""
_TOGETHER_S = 15.0
"""Within this time, which is longer than any pause before an attempt, all connections have seen the same."""
_DBUS = "org.freedesktop.DBus"
_PEER = "org.freedesktop.DBus.Peer"
_MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))

_LOG = logging.getLogger(__name__)

Answer = Callable[[Message], Message]
"""Turns a method call into its reply: `Message.new_method_return` or `Message.new_error`."""


class Connection:
    """An open connection. Made by `connected`."""

    def __init__(self, bus: Bus, address: BusAddress) -> None:
        self._bus = bus
        self.address = address
        self._complained_at_s = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether messages still have a chance to arrive."""
        return bool(self._bus.connected)

    @property
    def unique_name(self) -> str:
        """The name that the bus gave to this connection, such as ":1.42"."""
        return str(self._bus.unique_name)

    def send(self, message: Message) -> None:
        """Queue `message`; nothing happens once the connection has ended."""
        self._bus.send(message)

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: Sequence[Any] = (),
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> list[Any]:
        """Call a method and return the reply's arguments.

        Raises:
            CallRefusedError: an error as answer.
            BusError: no answer in time, or no connection any more.
        """
        if not self.is_open:
            raise BusError(f"{destination}: {member} not called, the connection to {self.address} has ended")
        message = Message(destination, path, interface, member, signature=signature, body=list(body))
        message.serial = self._bus.next_serial()
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._bus.call(message)
        except TimeoutError as err:
            raise BusError(f"{destination}: no answer to {member} in {timeout_s:g} s") from err
        except Exception as err:  # the connection ends with whatever dbus-next met while it read
            if self.is_open:
                raise  # arguments that do not fit their signature: a mistake of ours
            raise BusError(f"{destination}: no answer to {member}, {_describe(err)}") from err
        finally:
            self._bus.forget_call(message.serial)
        if reply is None:
            raise BusError(f"{destination}: no answer to {member}, the connection was closed")
        if reply.message_type is MessageType.ERROR:
            text = printable(next((str(part) for part in reply.body), ""))
            raise CallRefusedError(f"{destination}: {member} refused, {reply.error_name}: {text}", reply.error_name)
        return list(reply.body)

    async def request_name(self, name: str) -> None:
        """Become the owner of `name`, now or not at all.

        Raises:
            NameTakenError: another process owns it.
            BusError: the bus does not answer or does not allow it.
        """
        # dbus-next's and the bus' default is to queue: a second copy would wait silently
        arguments = [name, int(NameFlag.DO_NOT_QUEUE)]
        reply = await self.call(_DBUS, "/org/freedesktop/DBus", _DBUS, "RequestName", "su", arguments)
        if reply not in ([RequestNameReply.PRIMARY_OWNER.value], [RequestNameReply.ALREADY_OWNER.value]):
            raise NameTakenError(f"{name} belongs to another process on {self.address}, stop that one")

    async def release_name(self, name: str) -> None:
        """Give `name` up; when this returns, everything that was sent before has left.

        Raises:
            BusError: the bus does not answer.
        """
        await self.call(_DBUS, "/org/freedesktop/DBus", _DBUS, "ReleaseName", "s", [name])

    async def service_names(self, prefix: str, changed: Callable[[str, bool], None]) -> list[str]:
        """Return all names on the bus that begin with `prefix`, which ends at a dot.

        Args:
            prefix: without its last dot.
            changed: called with each such name that gets an owner (True) or loses it, from now on; it may be called
                before this returns.

        Raises:
            BusError: the bus does not answer.
        """

        def on_message(message: Message) -> bool:
            if message.member == "NameOwnerChanged" and message.sender == _DBUS and message.signature == "sss":
                name, _, owner = message.body
                if name.startswith(f"{prefix}."):
                    changed(name, bool(owner))
            return False

        self._bus.add_message_handler(on_message)
        rule = f"type='signal',sender='{_DBUS}',member='NameOwnerChanged',arg0namespace='{prefix}'"
        await self.call(_DBUS, "/org/freedesktop/DBus", _DBUS, "AddMatch", "s", [rule])
        (names,) = await self.call(_DBUS, "/org/freedesktop/DBus", _DBUS, "ListNames")
        return [name for name in names if name.startswith(f"{prefix}.")]

    def answer_calls(self, answer: Answer) -> None:
        """Let `answer` reply to every incoming method call but those of the Peer interface."""

        def on_message(message: Message) -> bool:
            if message.message_type is not MessageType.METHOD_CALL:
                return False
            try:
                self._reply(message, _answer_peer(message) or answer(message))
            except Exception:  # whatever goes wrong in our code, the caller gets an answer and the connection stays
                _LOG.exception("%s %s failed, please report this", message.member, message.path)
                self._reply(message, Message.new_error(message, ErrorType.FAILED.value, "internal error"))
            return True

        self._bus.add_message_handler(on_message)

    async def follow_signals(self, rules: Sequence[str], on_signal: Callable[[Message], None]) -> None:
        """Let `on_signal` see every signal that fits one of the match rules; it may be shown others too.

        Raises:
            BusError: the bus does not take a rule.
        """

        def on_message(message: Message) -> bool:
            if message.message_type is MessageType.SIGNAL:
                try:
                    on_signal(message)
                except Exception as err:  # anybody may send any signal: none of them ends the connection
                    self._complain(message, err)
            return False

        self._bus.add_message_handler(on_message)
        for rule in rules:
            await self.call(_DBUS, "/org/freedesktop/DBus", _DBUS, "AddMatch", "s", [f"type='signal',{rule}"])

    def _complain(self, signal: Message, err: Exception) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._complained_at_s >= COMPLAINT_PAUSE_S:
            self._complained_at_s = now_s
            what = f"signal {signal.member} of {signal.sender} at {signal.path}"
            _LOG.warning("%s cannot be read (%s): it and others like it are ignored", what, _describe(err))

    def end(self, why: str) -> None:
        """End the connection on purpose; `stay_connected` makes a new one."""
        self._bus.end(EndedOnPurposeError(why))

    def _reply(self, call: Message, reply: Message) -> None:
        if not call.flags & MessageFlag.NO_REPLY_EXPECTED:
            self._bus.send(reply)

    async def wait_closed(self) -> NoReturn:
        """Wait for the end of the connection.

        Raises:
            BusGoneError: when it has ended, with the cause.
        """
        await asyncio.wait([self._bus.ended])
        cause = self._bus.ended.exception()
        if isinstance(cause, EndedOnPurposeError):
            raise cause
        raise BusGoneError(f"connection to {self.address} lost: {_describe(cause)}")


class _News:
    """What was told lately: each service has a connection of its own, and all of them see the bus go and come."""

    def __init__(self) -> None:
        self._told_at_s: dict[str, float] = {}

    def is_new(self, news: str, now_s: float) -> bool:
        """Tell whether nobody has said this lately, and remember that it is said."""
        is_new = now_s - self._told_at_s.get(news, -math.inf) >= _TOGETHER_S
        if is_new:
            self._told_at_s[news] = now_s
        return is_new


_NEWS = _News()


@contextlib.asynccontextmanager
async def connected(address: BusAddress, timeout_s: float = TIMEOUT_S) -> AsyncIterator[Connection]:
    """Connect and log in, without ever blocking the event loop; at the end close every socket.

    Raises:
        BusGoneError: nobody listens there, no answer in time, or the login was refused.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(timeout_s):
                sock = stack.enter_context(contextlib.closing(await _connect(address)))
                login = AuthAnnonymous() if isinstance(address, TcpAddress) else AuthExternal()  # type: ignore[no-untyped-call]  # dbus-next has no types here
                bus = stack.enter_context(contextlib.closing(Bus(sock, login)))
                await bus.connect()
        except TimeoutError as err:
            raise BusGoneError(f"no answer from {address} in {timeout_s:g} s") from err
        except Exception as err:  # a peer that is no bus can say anything, and dbus-next raises anything then
            raise BusGoneError(f"no connection to {address}: {_describe(err)}") from err
        if not str(bus.unique_name).startswith(":"):
            raise BusGoneError(f"no connection to {address}: {printable(str(bus.unique_name))}")
        yield Connection(bus, address)


async def stay_connected(
    name: str,
    address: BusAddress,
    start: Callable[[Connection], Awaitable[None]],
    retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
) -> NoReturn:
    """Keep a connection for ever: call `start` with each new one, connect again when it ends or `start` fails.

    Logs one line when `start` fails and one when the connection is there; that the bus is gone, and back, is told once,
    however many connections see it.

    Args:
        name: who is connected, for the log.
        address: the bus.
        start: prepares a new connection; may raise BusError.
        retry_delays_s: pauses in s before the attempts, the last one repeats.
    """
    clock = asyncio.get_running_loop().time
    complaint: BusError | None = None
    attempt = 0
    while True:
        began_s = clock()
        try:
            async with connected(address) as connection:
                await start(connection)
                if not isinstance(complaint, BusGoneError):
                    _LOG.info("%s: on the bus %s", name, address)
                elif _NEWS.is_new(f"back {address}", clock()):
                    _LOG.info("D-Bus: connection to %s is back", address)
                complaint, began_s = None, clock()
                await connection.wait_closed()
        except EndedOnPurposeError as err:
            _LOG.info("%s: comes again, %s", name, err)
            attempt = 0
        except BusError as err:
            is_gone = isinstance(err, BusGoneError)
            if type(err) is not type(complaint) and (not is_gone or _NEWS.is_new(f"gone {address}", clock())):
                _LOG.warning("%s: %s; trying again", "D-Bus" if is_gone else name, err)
            if complaint is None and clock() - began_s >= _STABLE_AFTER_S:
                attempt = 0
            complaint = err
        await asyncio.sleep(retry_delays_s[min(attempt, len(retry_delays_s) - 1)])
        attempt += 1


async def _connect(address: BusAddress) -> socket.socket:
    """Return a connected non-blocking socket."""
    loop = asyncio.get_running_loop()
    family: int = socket.AF_UNIX
    target: Any
    if isinstance(address, TcpAddress):
        family, *_, target = (await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM))[0]
    else:
        target = address.path
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(contextlib.closing(socket.socket(family, socket.SOCK_STREAM)))
        sock.setblocking(False)
        if isinstance(address, TcpAddress):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # a machine that was switched off says no goodbye
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)
        await loop.sock_connect(sock, target)
        stack.pop_all()
        return sock


def _describe(err: BaseException | None) -> str:
    if err is None or isinstance(err, EOFError):
        return "the bus closed it"
    if isinstance(err, OSError) and err.strerror:
        return err.strerror.lower()
    return printable(str(err)) or type(err).__name__


def _answer_peer(message: Message) -> Message | None:
    """Answer Ping and GetMachineId, with or without the interface field; None: it is another call."""
    if message.interface not in {None, _PEER}:
        return None
    if message.member == "Ping":
        return Message.new_method_return(message)
    if message.member == "GetMachineId":
        for file in _MACHINE_ID_FILES:
            with contextlib.suppress(OSError, UnicodeDecodeError):
                return Message.new_method_return(message, "s", [file.read_text("ascii").strip()])
        return Message.new_error(message, ErrorType.FAILED.value, "this machine has no machine-id file")
    return None
