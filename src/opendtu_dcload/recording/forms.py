"""How values are written into a recording and read back, whatever the classes that hold them are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import Any, Final, Protocol

from opendtu_dcload.devices import json_fields
from opendtu_dcload.recording.disguise import Disguise

Json = Any
LARGEST = 1e15
"""No reading, time or setting is beyond it."""


class Kind(Protocol):
    """One sort of value."""

    def write(self, value: Any, disguise: Disguise) -> Json:
        """Return what stands in the file for a value."""

    def read(self, document: Json, origin_s: float) -> Any:
        """Return the value; a ValueError says what is wrong with what stands in the file."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A value that one word or number stands for."""

    write: Callable[[Any, Disguise], Json]
    read: Callable[[Json, float], Any]


def _as_it_is(value: Any, _: Disguise) -> Json:
    return value


def _number(document: Json) -> float:
    if (number := json_fields.bounded(document, -LARGEST, LARGEST)) is None:
        raise ValueError("is no number")
    return number


def _whole(document: Json, _: float) -> int:
    if type(document) is not int or abs(document) > LARGEST:
        raise ValueError("is no whole number")
    return document


def _flag(document: Json, _: float) -> bool:
    if type(document) is not bool:
        raise ValueError("is not true or false")
    return document


def _text(document: Json, _: float) -> str:
    """Return a name from the file; a ValueError says that it is none."""
    if not isinstance(document, str):
        raise ValueError("is no text")  # noqa: TRY004  whatever is wrong in a file is one kind here
    if not document.isprintable():
        raise ValueError("has an unprintable character")
    return document


NUMBER = Plain(_as_it_is, lambda document, _: _number(document))
TIME = Plain(lambda at_s, disguise: at_s - disguise.origin_s, lambda document, origin_s: origin_s + _number(document))
WHOLE = Plain(_as_it_is, _whole)
FLAG = Plain(_as_it_is, _flag)
TEXT = Plain(_as_it_is, _text)
SERIAL = Plain(lambda serial, disguise: disguise.serial(serial), _text)
DTU = Plain(lambda name, disguise: disguise.dtu(name), _text)
RADIO = Plain(lambda name, disguise: disguise.radio(name), _text)


def word(words: Mapping[str, Enum]) -> Kind:
    """Return the kind of a choice from the words that the file has for it."""
    written = {member: name for name, member in words.items()}

    def read(document: Json, _: float) -> Enum:
        if not isinstance(document, str) or document not in words:
            raise ValueError(f"is none of: {', '.join(words)}")
        return words[document]

    return Plain(lambda member, _: written[member], read)


def each(kind: Kind, collect: Callable[[list[Any]], Any]) -> Kind:
    """Return the kind of a list, or of a set, which is written in order; what has no name in the file is left out."""

    def write(values: Any, disguise: Disguise) -> Json:
        documents = [kind.write(value, disguise) for value in values]
        named = [document for document in documents if document is not None]
        return sorted(named) if collect is frozenset else named

    def read(document: Json, origin_s: float) -> Any:
        if not isinstance(document, list):
            raise ValueError("is no list")  # noqa: TRY004  as above
        return collect([kind.read(item, origin_s) for item in document])

    return Plain(write, read)


def by(name: Kind, kind: Kind) -> Kind:
    """Return the kind of a mapping by names; what has no name in the file is left out."""

    def write(values: Any, disguise: Disguise) -> Json:
        named = ((name.write(key, disguise), value) for key, value in values.items())
        return {key: kind.write(value, disguise) for key, value in named if key is not None}

    def read(document: Json, origin_s: float) -> Any:
        named = [(name.read(key, origin_s), value) for key, value in fields_of(document).items()]
        return {key: under(key, kind, value, origin_s) for key, value in named}

    return Plain(write, read)


def fields_of(document: Json) -> dict[str, Json]:
    """Return a JSON object; a ValueError says that it is none."""
    if not isinstance(document, dict):
        raise ValueError("is no object")  # noqa: TRY004  as above
    return document


OBJECT = Plain(_as_it_is, lambda document, _: fields_of(document))


def under(key: str, kind: Kind, document: Json, origin_s: float) -> Any:
    """Return the value that stands under a key; a ValueError says where it is wrong."""
    try:
        return kind.read(document, origin_s)
    except ValueError as err:
        raise ValueError(f"{key} {err}" if str(err).startswith(("is ", "has ")) else f"{key}.{err}") from None


MANDATORY: Final = object()


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its key in the file, the attribute that holds it, and its kind."""

    key: str
    attribute: str
    """With a dot when it belongs to a part; the last word of it is the argument's name when it is read."""
    kind: Kind
    absent: object = MANDATORY
    """The value that is not written, and that a file without this key means."""


class Form:
    """An object of named fields."""

    def __init__(self, make: Callable[..., Any], *fields: Field) -> None:
        """Take what makes the value from the arguments that the fields name."""
        self._make = make
        self._fields = [(field, attrgetter(field.attribute)) for field in fields]

    def write(self, value: Any, disguise: Disguise) -> dict[str, Json]:
        """Return what stands in the file for a value."""
        told = ((field, value_of(value)) for field, value_of in self._fields)
        return {
            field.key: field.kind.write(part, disguise)
            for field, part in told
            if field.absent is MANDATORY or part != field.absent
        }

    def read(self, document: Json, origin_s: float) -> Any:
        """Return the value; keys that no field has are not looked at."""
        written = fields_of(document)
        arguments: dict[str, Any] = {}
        for field, _ in self._fields:
            name = field.attribute.rpartition(".")[2]
            if field.key in written:
                arguments[name] = under(field.key, field.kind, written[field.key], origin_s)
            elif field.absent is MANDATORY:
                raise ValueError(f"{field.key} is missing")
            else:
                arguments[name] = field.absent
        return self._make(**arguments)
