"""One value on the bus: its type, its text, its limits, and what may be written to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from dbus_next.signature import Variant

Value: TypeAlias = int | float | str | list[str]

INVALID_TEXT = "---"

# The answers to SetValue, as velib's vedbus.py gives them.
ACCEPTED = 0
NOT_WRITEABLE = 1
REFUSED = 2

_SIGNATURES: dict[type, str] = {int: "i", float: "d", str: "s", list: "as"}
_INT32 = range(-(2**31), 2**31)
_INT64 = range(-(2**63), 2**64)
_MAX_TEXT_CHARS = 255


def invalid() -> Variant:
    """Return what stands on the bus for "no value": an empty array of integers."""
    return Variant("ai", [])


@dataclass(slots=True, kw_only=True)
class Item:
    """One value; its type stays the same for as long as the service lives."""

    kind: type
    """`int`, `float`, `str` or `list` (of str)."""
    value: Value | None = None
    """None = invalid."""
    unit: str = ""
    digits: int = 2
    """Decimals of a float; more are rounded away, so that noise makes no signal."""
    text: Callable[[Any], str] | None = None
    """Makes the text of a value; default: the value and its unit."""
    on_write: Callable[[Any], Value | None] | None = None
    """Called with what a client wrote, converted and in range. Returns what holds from now on, None to refuse."""
    is_choice: bool = False
    """`on_write` is also called with the value that holds already: a user who writes it wants it to stay so."""
    is_clamped: bool = False
    """What is written out of range becomes the nearest limit instead of being refused."""
    minimum: float | None = None
    maximum: float | None = None
    default: Value | None = None
    meaning: str = ""
    """What it tells, for the manual's table."""

    def __post_init__(self) -> None:
        self.value = self.clean(self.value)
        self.limits()  # a limit of the wrong kind shows here and not at a client's call

    def clean(self, value: Value | None) -> Value | None:
        """Return `value` as it can stand on the bus; what cannot (NaN, too large) becomes None.

        Raises:
            TypeError: it is not of the item's kind, which is a mistake of ours.
        """
        if value is None:
            return None
        if self.kind is float and isinstance(value, int | float):
            number = finite(value)
            return None if number is None else round(number, self.digits) + 0.0  # which turns -0.0 into 0.0
        if self.kind is int and isinstance(value, int):
            return int(value) if value in _INT32 else None
        if self.kind is str and isinstance(value, str):
            return printable(value)
        if self.kind is list and isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            return [printable(entry) for entry in value]
        raise TypeError(f"a {type(value).__name__} is not of kind {self.kind.__name__}")

    def convert(self, raw: Any) -> Value | None:
        """Return what a client wrote as a value of the item's kind, None when there is no sensible one in it.

        Clients send what they have: MQTT integers `i` or `x`, decimals `d`, booleans `b`; the `dbus` command text.
        """
        while isinstance(raw, Variant):
            raw = raw.value
        if self.kind is list:
            is_texts = isinstance(raw, list) and bool(raw) and all(_is_short_text(entry) for entry in raw)
            return [printable(entry) for entry in raw] if is_texts else None
        if not isinstance(raw, int | float | str):  # an empty array is a client's "invalid"
            return None
        if isinstance(raw, int) and raw not in _INT64:  # more than the bus can carry
            return None
        if self.kind is str:
            text = raw if isinstance(raw, str) else str(int(raw) if isinstance(raw, bool) else raw)
            return printable(text) if _is_short_text(text) else None
        number = finite(raw)
        if number is None:
            return None
        if self.is_clamped:
            number = self.clamped(number)
        if self.kind is float:
            return round(number, self.digits) + 0.0
        return round(number) if round(number) in _INT32 else None

    def take(self, raw: Any) -> tuple[int, Value | None]:
        """Take what somebody wrote: the one check, by whatever way it came.

        Returns:
            The answer of SetValue, and what holds from now on, None where nothing changes.
        """
        value = self.convert(raw) if self.on_write is not None else None
        if self.on_write is None or value is None:
            return NOT_WRITEABLE, None
        if value == self.value and not self.is_choice:
            return ACCEPTED, None
        accepted = self.on_write(value) if self.is_in_range(value) else None
        return (REFUSED, None) if accepted is None else (ACCEPTED, accepted)

    def is_in_range(self, value: Value) -> bool:
        """Say whether `value` lies within minimum and maximum; text has no range."""
        if not isinstance(value, int | float):
            return True
        return not (
            (self.minimum is not None and value < self.minimum) or (self.maximum is not None and value > self.maximum)
        )

    def clamped(self, number: float) -> float:
        """Return `number`, or the nearest limit."""
        low, high = self.minimum, self.maximum
        return min(max(number, -math.inf if low is None else low), math.inf if high is None else high)

    def as_variant(self, value: Value | None) -> Variant:
        """Return `value` as the item's type on the bus."""
        return invalid() if value is None else Variant(_SIGNATURES[self.kind], value)

    def as_text(self) -> str:
        """Return the value for people, `---` when it is invalid."""
        if self.value is None:
            return INVALID_TEXT
        if self.text is not None:
            return printable(self.text(self.value))
        if isinstance(self.value, list):
            return ", ".join(self.value)
        return f"{self.value:.{self.digits}f}{self.unit}" if self.kind is float else f"{self.value}{self.unit}"

    def limits(self) -> dict[str, Variant]:
        """Return `Min`, `Max` and `Default`, as far as they are known."""
        known = {"Min": self.minimum, "Max": self.maximum, "Default": self.default}
        return {name: self.as_variant(self.clean(value)) for name, value in known.items() if value is not None}

    def properties(self) -> dict[str, Variant]:
        """Return the item as `GetItems` and `ItemsChanged` show it."""
        return {"Value": self.as_variant(self.value), "Text": Variant("s", self.as_text()), **self.limits()}


def finite(value: float | str) -> float | None:
    """Return `value` as a float, None when it is none, or not finite, or more than a float can hold."""
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) else None


def printable(text: str) -> str:
    """Return `text` without what the bus ends a connection for (zero bytes, half surrogates), and not too long."""
    return (text if text.isprintable() else "".join(filter(str.isprintable, text)))[:_MAX_TEXT_CHARS]


def _is_short_text(entry: Any) -> bool:
    return isinstance(entry, str) and len(entry) <= _MAX_TEXT_CHARS
