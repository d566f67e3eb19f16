"""A message bus in the place of dbus-next's connection: the answers stand in an input, in the form of the wire."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, cast

from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.constants import MessageType
from dbus_next.message import Message
from dbus_next.signature import SignatureTree, SignatureType, Variant
from dbus_next.validators import is_bus_name_valid

from opendtu_dcload.venus.bus.bus_address import UnixAddress
from opendtu_dcload.venus.bus.connection import Connection
from opendtu_dcload.venus.bus.dbusnext import Bus
from tests.fuzz.target import lines_of, parsed

_DAEMON = "org.freedesktop.DBus"
_OWNER = ":1.5"
_REFUSED = b'{"error": "org.freedesktop.DBus.Error.UnknownObject"}'


class ImpossibleError(Exception):
    """No bus would carry that."""


class AnyBus:
    """Answers a call by the line `destination path member = value` of an input.

    The value is JSON: a plain one becomes the variant that fits, `{"signature": "q", "value": 5}` another one;
    `{"signature": "iv", "body": [1, 2]}` is a whole body, `{"error": "name"}` a refusal. Without a line the service
    refuses, and a line that no bus would carry is no answer.
    """

    connected = True
    unique_name = ":1.7"

    def __init__(self, data: bytes) -> None:
        self.lines = lines_of(data)
        self.sent: list[Message] = []
        self._handlers: list[Callable[[Message], bool]] = []
        self._serial = 0

    def connection(self) -> Connection:
        """Return the program's own connection on this bus."""
        return Connection(cast(Bus, self), UnixAddress("/nowhere"))

    @property
    def destinations(self) -> list[str]:
        """The services that the input tells of."""
        names = dict.fromkeys(head.partition(" ")[0] for head in self.lines)
        return [name for name in names if is_bus_name_valid(name)]

    def next_serial(self) -> int:
        self._serial += 1
        return self._serial

    def forget_call(self, serial: int) -> None:
        pass

    def add_message_handler(self, handler: Callable[[Message], bool]) -> None:
        self._handlers.append(handler)

    def end(self, cause: Exception | None) -> None:
        raise AssertionError(f"the connection was ended: {cause!r}")

    def send(self, message: Message) -> None:
        message.serial = message.serial or self.next_serial()
        _marshalled(message)
        self.sent.append(message)

    async def call(self, message: Message) -> Message:
        """Return the answer; a TimeoutError in the place of one that cannot be."""
        _marshalled(message)
        if message.destination == _DAEMON:
            return self._daemon(message)
        body = self.lines.get(f"{message.destination} {message.path} {message.member}", _REFUSED)
        try:
            return _reply(body)
        except ImpossibleError:
            raise TimeoutError from None

    def deliver(self, message: Message) -> None:
        """Let the program's handlers see a message."""
        for handler in self._handlers:
            if handler(message):
                return

    def _daemon(self, call: Message) -> Message:
        answers: Mapping[str, tuple[str, list[Any]]] = {
            "ListNames": ("as", [[_DAEMON, *self.destinations]]),
            "GetNameOwner": ("s", [_OWNER]),
            "RequestName": ("u", [1]),
        }
        signature, body = answers.get(str(call.member), ("", []))
        return Message(message_type=MessageType.METHOD_RETURN, reply_serial=1, signature=signature, body=body)


def _body(document: Any) -> tuple[str, list[Any]]:
    """Return signature and arguments for loose JSON; one variant unless it says more."""
    if isinstance(document, dict) and isinstance(document.get("body"), list):
        signature = str(document.get("signature", ""))
        kinds = SignatureTree._get(signature).types
        return signature, [_as(kind, value) for kind, value in zip(kinds, document["body"], strict=True)]
    return "v", [_variant(document)]


def _variant(value: Any) -> Variant:
    """Return the variant that fits."""
    match value:
        case None:
            return Variant("ai", [])
        case bool():
            return Variant("b", value)
        case int():
            kinds = {"i": range(-(2**31), 2**31), "x": range(-(2**63), 2**63), "t": range(2**64)}
            kind = next((kind for kind, numbers in kinds.items() if value in numbers), "d")
            return Variant(kind, float(value) if kind == "d" else value)
        case float():
            return Variant("d", value)
        case str():
            return Variant("s", value)
        case list():
            is_texts = bool(value) and all(isinstance(entry, str) for entry in value)
            if not value:
                return Variant("ai", [])
            return Variant("as", value) if is_texts else Variant("av", [_variant(entry) for entry in value])
        case {"signature": str(signature), "value": inner}:
            (kind,) = SignatureTree._get(signature).types
            return Variant(signature, _as(kind, inner))
    return Variant("a{sv}", {key: _variant(inner) for key, inner in value.items()})


def _as(kind: SignatureType, value: Any) -> Any:
    """Return loose JSON as dbus-next wants a value of a kind."""
    if kind.token == "v":
        return _variant(value)
    if kind.token == "d":
        return float(value)
    if kind.token == "a" and kind.children[0].token == "{":
        key, inner = kind.children[0].children
        return {_as(key, name): _as(inner, part) for name, part in value.items()}
    if kind.token == "a":
        return [_as(kind.children[0], part) for part in value]
    if kind.token == "(":
        return [_as(child, part) for child, part in zip(kind.children, value, strict=True)]
    return value


def received(kind: MessageType, document: Any, **header: Any) -> Message:
    """Return a message with loose JSON as its body, as it comes over the wire.

    Raises:
        ImpossibleError: no bus would carry it.
    """
    try:
        signature, arguments = _body(document)
        message = Message(message_type=kind, serial=1, signature=signature, body=arguments, **header)
        sent = _marshalled(message)
    except Exception as err:  # dbus-next finds in its own ways what does not fit
        raise ImpossibleError from err
    message = Unmarshaller(io.BytesIO(sent)).unmarshall()  # type: ignore[no-untyped-call]  # dbus-next has no types
    assert isinstance(message, Message)
    return message


def _marshalled(message: Message) -> bytes:
    return bytes(message._marshall(False))  # type: ignore[no-untyped-call]  # dbus-next has no types


@lru_cache(maxsize=5000)
def _reply(body: bytes) -> Message:
    document = parsed(body)
    if isinstance(document, dict) and isinstance(document.get("error"), str):
        words = {"signature": "s", "body": [document.get("text", "no such item")]}
        return received(MessageType.ERROR, words, error_name=document["error"], reply_serial=1)
    return received(MessageType.METHOD_RETURN, document, reply_serial=1)


def as_bus_lines(values: Mapping[str, Mapping[str, object]], member: str = "GetValue") -> bytes:
    """Return values by service and path as lines of an input."""
    return "".join(
        f"{service} {path} {member} = {json.dumps(value)}\n"
        for service, paths in values.items()
        for path, value in paths.items()
    ).encode()
