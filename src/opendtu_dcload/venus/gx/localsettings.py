"""Values that outlive this program on a GX: com.victronenergy.settings (localsettings) keeps them on flash.

Where localsettings is absent everything works with the defaults, and what is written lasts as long as the program.
Protocol: localsettings' README and localsettings.py. `AddSettings` is idempotent: a stored value survives it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn, TypeVar

from dbus_next.constants import ErrorType
from dbus_next.message import Message
from dbus_next.signature import Variant

from opendtu_dcload.errors import BusError, CallRefusedError
from opendtu_dcload.lasting import Task, lasting
from opendtu_dcload.venus.bus.bus_address import BusAddress
from opendtu_dcload.venus.bus.busitem import INTERFACE as BUS_ITEM
from opendtu_dcload.venus.bus.connection import RETRY_DELAYS_S, Connection, stay_connected
from opendtu_dcload.venus.bus.item import Item, Value
from opendtu_dcload.venus.gx.write_limiter import WriteLimiter

SERVICE = "com.victronenergy.settings"
INTERFACE = "com.victronenergy.Settings"
WAIT_S = 2.0
"""How long others wait for what localsettings holds before they go on with their defaults."""
STOP_WAIT_S = 1.0
"""How long the program waits at its end for localsettings to take what has not been written yet."""
RETRY_S = 60.0
"""A localsettings that does not answer is not asked again sooner, unless it restarts."""

_DBUS = "org.freedesktop.DBus"
_RULES = (
    f"sender='{_DBUS}',interface='{_DBUS}',member='NameOwnerChanged',arg0='{SERVICE}'",
    f"sender='{SERVICE}',interface='{BUS_ITEM}'",
)

_LOG = logging.getLogger(__name__)


class Setting:
    """One value; `LocalSettings.keep` makes it outlive the program."""

    def __init__(
        self, path: str, shape: Item, write_limiter: WriteLimiter, on_change: Callable[[], None] = lambda: None
    ) -> None:
        """Hold the default.

        Args:
            path: absolute, such as "/Settings/OpenDtuDcload/MaxFeedIn"; no element begins with an underscore.
            shape: kind, default and range. A stored value that equals an earlier default follows the new one.
            write_limiter: says when it is written while the program runs; at its end what waits is written at once.
            on_change: called when localsettings tells another value.
        """
        assert shape.default is not None
        self.path = path
        self.shape = shape
        self.write_limiter = write_limiter
        self.on_change = on_change
        self.value: Value = shape.default
        """What holds now."""
        self.kept: Value | None = None
        """What localsettings holds; None = not known."""
        self.written: Value | None = None
        """What it is being told."""
        self.is_touched = False
        """The user set it since localsettings last agreed."""
        self.was_asked = asyncio.Event()
        """localsettings was asked for it, whether it answered or not."""

    @property
    def default(self) -> Value:
        """What holds until the user sets something else."""
        assert self.shape.default is not None
        return self.shape.default

    def request(self) -> Mapping[str, Variant]:
        """Return what AddSettings takes; the type of the default becomes that of the setting."""
        limits = {name.lower(): limit for name, limit in self.shape.limits().items()}
        return {"path": Variant("s", self.path), **limits}

    def is_usable(self, value: Value) -> bool:  # noqa: ARG002 - a place looks at it
        """Say whether `value`, which is of the right kind, could hold; numbers out of range come into it."""
        return True

    def adopted(self, kept: Value, earlier_default: Value | None) -> Value:
        """Return what holds when localsettings keeps `kept`; the default of the last start is None if unknown."""
        if kept == earlier_default:
            return self.default
        return self.shape.kind(self.shape.clamped(kept)) if isinstance(kept, int | float) else kept

    def take(self, raw: object, earlier_default: Value | None) -> None:
        """Take the value that localsettings gave when it was asked for."""
        self.kept = self.shape.convert(raw)
        if not self.is_touched and self.kept is not None:
            self._adopt(self.kept, earlier_default)

    def hear(self, raw: object) -> None:
        """Take a change that localsettings tells: the echo of ours, or what somebody wrote there."""
        told = self.shape.convert(raw)
        if told is None or self.kept is None:  # being added to localsettings is a change there too
            return
        is_news = told not in {self.kept, self.written}
        self.kept = told
        if not is_news:
            return
        self.is_touched = False
        self._adopt(told, None)

    def _adopt(self, kept: Value, earlier_default: Value | None) -> None:
        value = self.adopted(kept, earlier_default)
        if not self.is_usable(kept):
            _LOG.warning("%s: %s = %r cannot be, %r holds", SERVICE, self.path, kept, value)
        if value != self.value:
            self.value = value
            self.on_change()


AnySetting = TypeVar("AnySetting", bound=Setting)


class LocalSettings:
    """A client of localsettings, on a connection of its own."""

    def __init__(
        self, address: BusAddress | None, clock: Callable[[], float], retry_delays_s: Sequence[float] = RETRY_DELAYS_S
    ) -> None:
        """Open nothing yet.

        Args:
            address: the bus; None = there is none, `run` must not be called, and values last as long as the program.
            clock: monotonic time in s.
            retry_delays_s: pauses before the attempts to connect, the last one repeats.
        """
        self._address = address
        self._clock = clock
        self._retry_delays_s = retry_delays_s
        self._settings: dict[str, Setting] = {}
        self._agreed: set[str] = set()
        """Paths that localsettings has been asked for since it appeared."""
        self._connection: Connection | None = None
        self._owner = ""
        """Unique name of localsettings, empty while it is absent."""
        self._wake = asyncio.Event()
        self._is_absence_told = False
        self._was_there = False
        """Whether localsettings ever answered since the program's start."""

    def keep(self, setting: AnySetting) -> AnySetting:
        """Return `setting`, kept from now on; the one of the same path when there is one already."""
        known = self._settings.setdefault(setting.path, setting)
        self._wake.set()
        assert isinstance(known, type(setting))
        return known

    def values_beside(self, setting: Setting) -> list[Value]:
        """Return the values of the other settings that have the same name, each in its own folder."""
        name = setting.path.rpartition("/")[2]
        others = [known for known in self._settings.values() if known.path.rpartition("/")[2] == name]
        return [other.value for other in others if other is not setting]

    def write(self, setting: Setting, value: Value) -> None:
        """Let `value` hold from now on, and keep it as soon as the setting's pace allows."""
        setting.value = value
        setting.is_touched = True
        self._schedule(setting)
        self._wake.set()

    async def asked(self, settings: Sequence[Setting]) -> None:
        """Wait until localsettings has told `settings`, or is known to be absent; at most 2 s."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                for setting in settings:
                    await setting.was_asked.wait()

    async def run(self) -> NoReturn:
        """Ask and write for ever; a lost bus and a localsettings that comes late or restarts are waited for.

        When it is cancelled, what has not been written yet is written at once: a restart must not bring back what was
        shown before.
        """
        assert self._address is not None
        connecting = stay_connected("settings", self._address, self._start, self._retry_delays_s)
        async with lasting([Task("settings connection", connecting)]):
            try:
                await self._keep()
            finally:
                await self._write_rest()

    async def _start(self, connection: Connection) -> None:
        connection.answer_calls(_refuse)
        await connection.follow_signals(_RULES, self._hear)
        self._connection = connection
        self._meet("")
        self._wake.set()

    def _meet(self, owner: str) -> None:
        """Start over with another localsettings, or with none."""
        self._owner = owner
        self._agreed.clear()
        for setting in self._settings.values():
            setting.kept = None

    async def _keep(self) -> NoReturn:
        while True:
            self._wake.clear()
            connection = self._connection
            pause_s: float | None = None
            if connection is not None and connection.is_open:
                try:
                    await self._ask(connection)
                    await self._write_due(connection)
                    pause_s = self._pause_s()
                except BusError as err:
                    self._miss(connection, err)
                    pause_s = RETRY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()

    def _pause_s(self) -> float | None:
        times_s = [
            next_s for setting in self._settings.values() if (next_s := setting.write_limiter.next_s) is not None
        ]
        return max(min(times_s) - self._clock(), 0.0) if times_s else None

    def _miss(self, connection: Connection, err: BusError) -> None:
        _LOG.debug("%s", err)
        if connection.is_open:
            self._tell_absence()
        for setting in self._settings.values():
            setting.was_asked.set()

    def _tell_absence(self) -> None:
        if self._is_absence_told:
            return
        self._is_absence_told = True
        if self._was_there:
            _LOG.info("%s is away: what is set on the GX holds, and is kept when it is back", SERVICE)
        else:
            _LOG.info(
                "%s does not answer: device instances are those of the configuration, and what is set on the GX lasts "
                "until this program ends, or is kept if it appears",
                SERVICE,
            )

    # Asking

    async def _ask(self, connection: Connection) -> None:
        asked = [setting for path, setting in self._settings.items() if path not in self._agreed]
        if not asked:
            return
        [owner] = await connection.call(_DBUS, "/org/freedesktop/DBus", _DBUS, "GetNameOwner", "s", [SERVICE])
        self._owner = str(owner)
        # a value of no choice follows the file, and localsettings forgets the old default as soon as it is told the new
        earlier = {s.path: await _default_of(connection, s) for s in asked if s.default != ""}
        requests = [setting.request() for setting in asked]
        told = _answers(await connection.call(SERVICE, "/", INTERFACE, "AddSettings", "aa{sv}", [requests]))
        asked.sort(key=lambda setting: not _is_usable(setting, told))  # the others need to know what is taken
        for setting in asked:
            error, value = told.get(setting.path, (None, None))
            if error == 0:
                setting.take(value, earlier.get(setting.path))
            else:
                _LOG.warning("%s: %s refused, error %s; it is not kept", SERVICE, setting.path, error)
            self._agreed.add(setting.path)
            self._schedule(setting)
            setting.was_asked.set()
        if self._is_absence_told:
            _LOG.info("%s is there: what was set meanwhile is kept", SERVICE)
        self._is_absence_told, self._was_there = False, True

    def _hear(self, signal: Message) -> None:
        if signal.sender == _DBUS and signal.member == "NameOwnerChanged" and signal.body[0] == SERVICE:
            self._meet(signal.body[2])
            if self._owner:
                self._wake.set()
            elif self._was_there:
                self._tell_absence()
        elif signal.sender == self._owner and signal.interface == BUS_ITEM:
            if signal.member == "PropertiesChanged":
                self._hear_item(signal.path, signal.body[0])
            elif signal.member == "ItemsChanged":
                for path, entry in signal.body[0].items():
                    self._hear_item(path, entry)

    def _hear_item(self, path: str, entry: Mapping[str, Variant]) -> None:
        setting = self._settings.get(path)
        if setting is not None and "Value" in entry:
            setting.hear(entry["Value"])
            self._schedule(setting)
            self._wake.set()

    # Writing

    def _schedule(self, setting: Setting) -> None:
        setting.is_touched &= setting.value != setting.kept
        if setting.value == setting.kept or setting.kept is None:
            setting.write_limiter.forget()
        else:
            setting.write_limiter.changed(self._clock())

    async def _write_due(self, connection: Connection) -> None:
        for setting in list(self._settings.values()):
            next_s = setting.write_limiter.next_s
            if next_s is not None and next_s <= self._clock():
                await self._write(connection, setting)

    async def _write_rest(self) -> None:
        """Write, at the end, what would have been written later."""
        connection = self._connection
        if connection is None or not connection.is_open:
            return
        with contextlib.suppress(BusError, TimeoutError):
            async with asyncio.timeout(STOP_WAIT_S):
                await self._ask(connection)
                for setting in self._settings.values():
                    if setting.kept is not None and setting.value != setting.kept:
                        await self._write(connection, setting)

    async def _write(self, connection: Connection, setting: Setting) -> None:
        value = setting.written = setting.value
        setting.write_limiter.written(self._clock())
        try:
            reply = await connection.call(
                SERVICE, setting.path, BUS_ITEM, "SetValue", "v", [setting.shape.as_variant(value)]
            )
        except BusError:
            self._agreed.discard(setting.path)
            raise
        finally:
            setting.written = None
        if reply != [0]:
            _LOG.warning("%s: %s = %s refused, it is not kept", SERVICE, setting.path, value)
        setting.kept = value
        self._schedule(setting)


async def _default_of(connection: Connection, setting: Setting) -> Value | None:
    """Return the default that localsettings knows from an earlier start, None when there is none."""
    try:
        reply = await connection.call(SERVICE, setting.path, BUS_ITEM, "GetDefault")
    except CallRefusedError:
        return None
    return setting.shape.convert(reply[0]) if len(reply) == 1 else None


def _is_usable(setting: Setting, told: Mapping[str, tuple[int, object]]) -> bool:
    value = setting.shape.convert(told[setting.path][1]) if setting.path in told else None
    return value is not None and setting.is_usable(value)


def _answers(reply: Sequence[object]) -> dict[str, tuple[int, object]]:
    """Return (error, value) by path of what AddSettings answered; what has another form tells of no path."""
    told: dict[str, tuple[int, object]] = {}
    answers = reply[0] if len(reply) == 1 else None
    for answer in answers if isinstance(answers, list) else []:
        parts = answer.items() if isinstance(answer, dict) else ()
        entry = {key: part.value for key, part in parts if isinstance(part, Variant)}
        if isinstance(entry.get("path"), str) and isinstance(entry.get("error"), int):
            told[entry["path"]] = entry["error"], entry.get("value")
    return told


def _refuse(call: Message) -> Message:
    return Message.new_error(call, ErrorType.UNKNOWN_OBJECT.value, "here is no service")
