"""What others offer on the bus: which services are there, and what their items say.

Values are asked for instead of listened to. A signal comes only when something changes, so it never tells that an
unchanged value still holds; and a chatty service would decide how many messages have to be parsed here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NoReturn

from dbus_next.signature import Variant

from opendtu_dcload.errors import BusError, CallRefusedError
from opendtu_dcload.venus.bus.bus_address import BusAddress
from opendtu_dcload.venus.bus.busitem import INTERFACE
from opendtu_dcload.venus.bus.connection import RETRY_DELAYS_S, Connection, stay_connected
from opendtu_dcload.venus.bus.item import ACCEPTED, finite

PREFIX = "com.victronenergy"
SYSTEM = f"{PREFIX}.system"

ANSWER_TIMEOUT_S = 2.0
_GONE = frozenset(
    f"org.freedesktop.DBus.Error.{name}" for name in ("ServiceUnknown", "NameHasNoOwner", "NoReply", "Disconnected")
)
"""Errors that the bus gives in place of a service. Any other comes from the service: it has no such item."""


class ServiceWatch:
    """Looks at the services of Venus OS through a connection of its own, on which it owns no name."""

    def __init__(
        self,
        address: BusAddress,
        *,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
    ) -> None:
        """Open nothing yet.

        Args:
            address: the bus.
            answer_timeout_s: how long a service may take to answer.
            retry_delays_s: pauses before the attempts to connect, the last one repeats.
        """
        self._address = address
        self._answer_timeout_s = answer_timeout_s
        self._retry_delays_s = retry_delays_s
        self._connection: Connection | None = None
        self._is_listed = False
        self._owned: dict[str, bool] = {}
        self._listeners: set[asyncio.Event] = set()

    @property
    def names(self) -> frozenset[str] | None:
        """The services of Venus OS that are on the bus; None = not known, there is no bus."""
        if self._connection is None or not self._connection.is_open or not self._is_listed:
            return None
        return frozenset(name for name, is_owned in self._owned.items() if is_owned)

    def of_class(self, kind: str) -> list[str]:
        """Return the services of a class such as "grid", in the order of their names; none without a bus."""
        return sorted(name for name in self.names or () if name.startswith(f"{PREFIX}.{kind}."))

    @contextlib.contextmanager
    def listen(self) -> Iterator[asyncio.Event]:
        """Yield an event that is set when a service comes or goes; the listener clears it before it reads."""
        changed = asyncio.Event()
        self._listeners.add(changed)
        try:
            yield changed
        finally:
            self._listeners.discard(changed)

    async def wait_ready(self) -> None:
        """Wait until the services are known."""
        with self.listen() as changed:
            while self.names is None:
                await changed.wait()
                changed.clear()

    async def read(self, service: str, path: str) -> object:
        """Return an item's value as it is on the bus; None = invalid, or the service has no such item.

        Raises:
            BusError: no answer in time, no such service, no bus.
        """
        try:
            body = await self._call(service, path, "GetValue")
        except CallRefusedError as err:
            if err.error_name in _GONE:
                raise
            return None
        value = body[0] if len(body) == 1 else None
        while isinstance(value, Variant):
            value = value.value
        return None if value == [] else value

    async def has(self, service: str, path: str) -> bool:
        """Return whether a service has an item.

        Raises:
            BusError: no answer in time, no such service, no bus.
        """
        try:
            await self._call(service, path, "GetValue")
        except CallRefusedError as err:
            if err.error_name in _GONE:
                raise
            return False
        return True

    async def read_all(self, service: str, paths: Iterable[str]) -> Mapping[str, object]:
        """Return several values of one service, by path; they are asked for at the same time.

        Raises:
            BusError: as `read`, for any of them.
        """
        wanted = list(paths)
        answers = await asyncio.gather(*(self.read(service, path) for path in wanted), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return dict(zip(wanted, answers, strict=True))

    async def write(self, service: str, path: str, text: str) -> bool:
        """Write `text`, which has no zero bytes, to an item; return whether the service took it.

        Raises:
            BusError: no such service or item, no answer in time, no bus.
        """
        return await self._call(service, path, "SetValue", "v", [Variant("s", text)]) == [ACCEPTED]

    async def run(self) -> NoReturn:
        """Watch for ever; a lost bus is tried again."""
        await stay_connected("D-Bus watch", self._address, self.start, self._retry_delays_s)

    async def start(self, connection: Connection) -> None:
        """Look at the bus through a new connection; `run` does that by itself.

        Raises:
            BusError: the bus does not answer.
        """
        self._connection, self._is_listed, self._owned = connection, False, {}
        listed = await connection.service_names(PREFIX, self._set_owned)
        self._owned = dict.fromkeys(listed, True) | self._owned
        self._is_listed = True
        self._notify()

    async def _call(
        self, service: str, path: str, member: str, signature: str = "", body: Sequence[object] = ()
    ) -> list[object]:
        if self._connection is None:
            raise BusError(f"{service}: {member} {path} not called, there is no bus yet")
        return await self._connection.call(
            service, path, INTERFACE, member, signature, body, timeout_s=self._answer_timeout_s
        )

    def _set_owned(self, name: str, is_owned: bool) -> None:
        if is_owned or not self._is_listed:
            self._owned[name] = is_owned
        else:
            self._owned.pop(name, None)
        self._notify()

    def _notify(self) -> None:
        for changed in self._listeners:
            changed.set()


def number(value: object, low: float, high: float) -> float | None:
    """Return a value from the bus as a number from `low` to `high`; None when it is none, or not in the range."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    known = finite(value)
    return known if known is not None and low <= known <= high else None
