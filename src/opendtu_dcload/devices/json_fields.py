"""Strict looks into JSON that came from outside: the right type, finite and in range, or None.

`bool` is not a number here, although Python says so, and the digits of an integer may be more than a float can hold.
"""

from __future__ import annotations

import json
from typing import NoReturn


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def document(body: bytes | bytearray) -> object:
    """Return the JSON document in `body`.

    Raises:
        ValueError: it is none, or it is `null` (OpenDTU up to v24.1 answers so when its memory is short).
    """
    try:
        parsed: object = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError as err:
        raise ValueError("nested too deeply") from err
    if parsed is None:
        raise ValueError("null")
    return parsed


def bounded(value: object, lowest: float, highest: float) -> float | None:
    """Return `value` as a float, None when it is no number from `lowest` to `highest`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        return None
    return float(value)


def child(parent: object, key: str) -> object:
    """Return what stands under `key`, None when there is nothing or `parent` is no JSON object."""
    return parent.get(key) if isinstance(parent, dict) else None


def keys(parent: object) -> list[str]:
    """Return the keys of a JSON object, none when `parent` is something else."""
    return list(parent) if isinstance(parent, dict) else []


def items(parent: object, key: str) -> list[object]:
    """Return the JSON array under `key`, empty when there is none."""
    value = child(parent, key)
    return value if isinstance(value, list) else []


def number(parent: object, key: str, lowest: float, highest: float) -> float | None:
    """Return the number under `key`, None when there is none from `lowest` to `highest`."""
    return bounded(child(parent, key), lowest, highest)


def whole(parent: object, key: str, lowest: int, highest: int) -> int | None:
    """Return the integer under `key`, None when there is none from `lowest` to `highest`."""
    value = number(parent, key, lowest, highest)
    return int(value) if value is not None and value.is_integer() else None


def flag(parent: object, key: str) -> bool | None:
    """Return the boolean under `key`, None when there is none; 0 and 1 are not booleans."""
    value = child(parent, key)
    return value if isinstance(value, bool) else None


def text(parent: object, key: str, longest: int = 64) -> str:
    """Return the string under `key`, empty when there is none, without what D-Bus or a terminal cannot bear."""
    value = child(parent, key)
    if not isinstance(value, str):
        return ""
    return "".join(character for character in value if character.isprintable())[:longest].strip()
