"""A service on the bus: the com.victronenergy.BusItem protocol for a set of items.

Clients differ in what they send: without interface field (velib's import), a bare argument where a variant is due
(veutil), the whole tree or one value, by introspection (`dbus` command). All get an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NoReturn
from xml.sax.saxutils import quoteattr

from dbus_next.constants import ErrorType, MessageFlag, MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

from opendtu_dcload.errors import BusError
from opendtu_dcload.lasting import Task, lasting
from opendtu_dcload.venus.bus.bus_address import BusAddress
from opendtu_dcload.venus.bus.connection import RETRY_DELAYS_S, Connection, stay_connected
from opendtu_dcload.venus.bus.item import Item, Value

INTERFACE = "com.victronenergy.BusItem"
WRITTEN_S = 0.2
"""How soon a written value is signalled: a dragged slider writes on and on, and gui-v2 waits 0.5 s for the answer."""

_INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
_PATH = re.compile(r"(/[A-Za-z0-9_]+)+")
_DOCTYPE = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)
_READ_METHODS = {"GetValue": "v", "GetText": "s"}
_TREE_METHODS = {"GetValue": "v", "GetText": "v"}
_LIMIT_METHODS = {"GetMin": "Min", "GetMax": "Max", "GetDefault": "Default"}


class BusService:
    """One service: a name and its items, on a connection of its own.

    `add` all items, then `run`; `update` works at any time and is shown as soon as there is a bus.
    """

    def __init__(
        self,
        name: str,
        address: BusAddress,
        *,
        min_interval_s: float = 1.0,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
    ) -> None:
        """Open nothing yet.

        Args:
            name: well-known bus name, such as `com.victronenergy.dcload.opendtu_114181807700`.
            address: the bus.
            min_interval_s: shortest time between two signals of changed values, unless they are urgent.
            retry_delays_s: pauses before the attempts to connect, the last one repeats.
        """
        self.name = name
        self._address = address
        self._min_interval_s = min_interval_s
        self._retry_delays_s = retry_delays_s
        self._items: dict[str, Item] = {}
        self._children: dict[str, dict[str, None]] = {"/": {}}
        """Names below each inner node, in the order in which they came."""
        self._connection: Connection | None = None
        self._owns_name = False
        self._changed: dict[str, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._signalled_at_s = float("-inf")

    @property
    def is_online(self) -> bool:
        """Whether the service is on the bus under its name."""
        return self._owns_name and self._connection is not None and self._connection.is_open

    def add(self, path: str, item: Item) -> None:
        """Add an item; only before `run`, because clients look once, when the name appears.

        Raises:
            ValueError: the path is not one, is taken, or the service runs already.
        """
        if self._connection is not None or path in self._items or not _PATH.fullmatch(path):
            raise ValueError(f"{self.name}: {path} cannot be added")
        self._items[path] = item
        parent = ""
        for child in path[1:].split("/"):
            self._children.setdefault(parent or "/", {})[child] = None
            parent = f"{parent}/{child}"

    def value(self, path: str) -> Value | None:
        """Return what `path` has now; None = invalid."""
        return self._items[path].value

    def update(
        self, values: Mapping[str, Value | None], *, urgent: bool = False, within_s: float | None = None
    ) -> None:
        """Set values; those that changed are signalled together.

        Args:
            values: by path; None = invalid, and so is a number that is not finite.
            urgent: signal at once (an alarm and its text) instead of at most once in `min_interval_s`.
            within_s: shortest time between two signals instead of `min_interval_s`, for what a user wrote.

        Raises:
            KeyError, TypeError: a path that was never added, a value of another kind: mistakes of ours.
        """
        for path, value in values.items():
            item = self._items[path]
            cleaned = item.clean(value)
            if cleaned != item.value:
                item.value = cleaned
                self._changed[path] = None
        if self._changed:
            self._signal_soon(0.0 if urgent else self._min_interval_s if within_s is None else within_s)

    def come_again(self, values: Mapping[str, Value | None], why: str) -> None:
        """Leave the bus and come back with other `values`, for those that clients read only when a name appears."""
        if self._connection is not None and self._connection.is_open:
            self._owns_name = False
            self._connection.end(why)
        self.update(values)

    async def run(self) -> NoReturn:
        """Stay on the bus for ever; a lost bus and a name that is taken are tried again."""
        try:
            await stay_connected(self.name, self._address, self._start, self._retry_delays_s)
        finally:
            self._cancel_timer()

    async def run_until(self, is_over: Callable[[], Awaitable[object]]) -> None:
        """Stay on the bus until `is_over` returns, then leave it in good order: what was sent, replies too, arrives."""
        async with lasting([Task(self.name, self.run())]):
            await is_over()
            if self._connection is not None and self.is_online:
                with contextlib.suppress(BusError):  # then the name is free anyway
                    await self._connection.release_name(self.name)

    async def _start(self, connection: Connection) -> None:
        self._owns_name = False
        self._connection = connection
        self._changed.clear()
        connection.answer_calls(self._answer)
        await connection.request_name(self.name)
        self._owns_name = True

    # Signals

    def _signal_soon(self, spacing_s: float) -> None:
        if self._connection is None or not self._connection.is_open:
            self._changed.clear()  # clients that come later ask for everything
            return
        now_s = asyncio.get_running_loop().time()
        due_s = self._signalled_at_s + spacing_s
        if now_s >= due_s:
            self._signal()
        elif self._timer is None or due_s < self._timer.when():
            self._cancel_timer()
            self._timer = asyncio.get_running_loop().call_at(due_s, self._signal)

    def _signal(self) -> None:
        self._cancel_timer()
        self._signalled_at_s = asyncio.get_running_loop().time()
        changes = {path: self._items[path].properties() for path in self._changed}
        self._changed.clear()
        if self._connection is not None and changes:
            self._connection.send(
                Message(
                    message_type=MessageType.SIGNAL,
                    flags=MessageFlag.NO_REPLY_EXPECTED,  # libdbus sets it on every signal
                    path="/",
                    interface=INTERFACE,
                    member="ItemsChanged",
                    signature="a{sa{sv}}",
                    body=[changes],
                ),
            )

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Calls

    def _answer(self, call: Message) -> Message:
        item, node = self._items.get(call.path), self._children.get(call.path)
        if item is None and node is None:
            return Message.new_error(call, ErrorType.UNKNOWN_OBJECT.value, f"{self.name} has no {call.path}")
        if call.member == "Introspect" and call.interface in {None, _INTROSPECTABLE}:
            return Message.new_method_return(call, "s", [self._introspect(call.path)])
        reply = None
        if call.interface in {None, INTERFACE}:
            reply = self._answer_item(call, item) if item is not None else self._answer_tree(call)
        return reply or Message.new_error(
            call,
            ErrorType.UNKNOWN_METHOD.value,
            f"{call.path} has no method {call.member} of interface {call.interface or 'any'}",
        )

    def _answer_item(self, call: Message, item: Item) -> Message | None:
        if call.member == "GetValue":
            return Message.new_method_return(call, "v", [item.as_variant(item.value)])
        if call.member == "GetText":
            return Message.new_method_return(call, "s", [item.as_text()])
        if call.member == "SetValue":
            if len(call.body) != 1:
                return Message.new_error(call, ErrorType.INVALID_ARGS.value, "SetValue takes one value")
            return Message.new_method_return(call, "i", [self._write(call.path, item, call.body[0])])
        limit = item.limits().get(_LIMIT_METHODS.get(call.member, ""))
        return None if limit is None else Message.new_method_return(call, "v", [limit])

    def _answer_tree(self, call: Message) -> Message | None:
        if call.member == "GetItems" and call.path == "/":
            everything = {path: item.properties() for path, item in self._items.items()}
            return Message.new_method_return(call, "a{sa{sv}}", [everything])
        show: Callable[[Item], Variant]
        if call.member == "GetValue":
            show = _show_value
        elif call.member == "GetText":
            show = _show_text
        else:
            return None
        start = call.path.rstrip("/") + "/"
        tree = {path[len(start) :]: show(item) for path, item in self._items.items() if path.startswith(start)}
        return Message.new_method_return(call, "v", [Variant("a{sv}", tree)])

    def _write(self, path: str, item: Item, raw: object) -> int:
        """Take what a client wrote to `path` and return the answer of SetValue."""
        answer, accepted = item.take(raw)
        if accepted is not None:
            self.update({path: accepted}, within_s=WRITTEN_S)  # the GX screen takes a late answer for a refusal
        return answer

    def _introspect(self, path: str) -> str:
        item = self._items.get(path)
        lines = [f"<node>\n <interface name={quoteattr(INTERFACE)}>"]
        methods = _READ_METHODS if item is not None else _TREE_METHODS
        lines += [_method_xml(name, out=signature) for name, signature in methods.items()]
        if item is not None:
            known = item.limits()
            lines.append(_method_xml("SetValue", "v", "i"))
            lines += [_method_xml(name, out="v") for name, limit in _LIMIT_METHODS.items() if limit in known]
        elif path == "/":
            lines.append(_method_xml("GetItems", out="a{sa{sv}}"))
            lines.append('  <signal name="ItemsChanged">\n   <arg type="a{sa{sv}}" name="items"/>\n  </signal>')
        lines.append(f" </interface>\n <interface name={quoteattr(_INTROSPECTABLE)}>")
        lines.append(_method_xml("Introspect", out="s"))
        lines.append(" </interface>")
        lines += [f" <node name={quoteattr(child)}/>" for child in self._children.get(path, ())]
        return _DOCTYPE + "\n".join([*lines, "</node>"])


def _show_value(item: Item) -> Variant:
    return item.as_variant(item.value)


def _show_text(item: Item) -> Variant:
    return Variant("s", item.as_text())


def _method_xml(name: str, taken: str = "", out: str = "") -> str:
    arguments = [(taken, "in", "value")] if taken else []
    arguments.append((out, "out", "result"))
    inner = "\n".join(f'   <arg type="{kind}" direction="{way}" name="{label}"/>' for kind, way, label in arguments)
    return f"  <method name={quoteattr(name)}>\n{inner}\n  </method>"
