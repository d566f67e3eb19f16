"""What changed in a JSON object, as a JSON merge patch (RFC 7396): `null` takes a key away, so no value may be it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the patch that makes `now` of `before`."""
    patch: dict[str, Any] = {key: None for key in before if key not in now}
    for key, value in now.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            if inner := changes(old, value):
                patch[key] = inner
        elif key not in before or value != old:
            patch[key] = value
    return patch


def patched(before: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return `before` with a patch put on it."""
    now = dict(before)
    for key, value in patch.items():
        if value is None:
            now.pop(key, None)
        elif isinstance(value, dict):
            old = now.get(key)
            now[key] = patched(old if isinstance(old, dict) else {}, value)
        else:
            now[key] = value
    return now
