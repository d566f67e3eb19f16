"""The words for mistakes in the settings: what is wrong, where, and what to write instead; never a password.

No text of pydantic is shown: only its error types are looked at, and what is allowed is read from the fields.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from opendtu_dcload.config.fields import WHOLE

Models = Mapping[str, type[BaseModel]]

_MAX_SHOWN = 50
_KINDS: dict[type, str] = {
    bool: "is a yes-or-no value",
    int: "is a whole number",
    float: "is a number with a decimal point",
    str: "is text",
    list: "is a list",
    dict: "is a section",
}


def mistakes(
    key: str, fields: Mapping[str, FieldInfo], raw: Mapping[str, Any], details: Mapping[str, Any], known: Models
) -> Iterator[str]:
    """Yield one line per mistake that pydantic found in section `key`; `details` are its findings by setting."""
    for name, detail in details.items():
        if name not in fields:
            yield f"{key}.{_name(name)} is unknown; {_instead(name, fields, known)}"
        elif name not in raw:
            yield f"{key}.{name} is missing; write it below {heading(key)}: {expected(fields[name])}"
        else:
            value = raw[name]
            yield f"{key}.{name}: {shown(name, value)} {_why(value, detail)}; write {expected(fields[name])}"


def unknown_sections(table: Mapping[str, Any], known: Models) -> Iterator[str]:
    """Yield one line per unknown name outside of the known sections; no values, they may be anything."""
    for name, value in table.items():
        homes = [heading(section) for section, model in known.items() if name in model.model_fields]
        close = _close(name, known)
        if name in known:
            continue
        if not isinstance(value, dict | list) and homes:
            yield f"{name} stands above all sections; move it below {' or '.join(homes)}"
        elif close:
            yield f"{_name(name)} is no section; did you mean {heading(close)}?"
        else:
            yield f"{_name(name)} is no section; remove it, the sections are {', '.join(map(heading, known))}"


def wrong_shape(name: str, value: object) -> str:
    """Return the line for a section that is not written as one."""
    if name == "inverter" and isinstance(value, dict):
        return "[inverter] has single brackets; write [[inverter]], once for each inverter"
    return f"{name} {_kind(value)}; write {heading(name)} on a line of its own and its settings below"


def heading(key: str) -> str:
    """Return how section `key` begins in the file."""
    name, is_listed, _ = key.partition("[#")
    return f"[[{name}]]" if is_listed or name == "inverter" else f"[{name}]"


def expected(field: FieldInfo) -> str:
    """Return what may be written for `field`: its description, its choices or its range."""
    if field.description:
        return field.description
    kind: Any = field.annotation
    if get_origin(kind) in {Union, UnionType}:
        kind = next(kind for kind in get_args(kind) if kind is not NoneType)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in get_args(kind))
    if kind is bool:
        return "true or false, without quotes"
    low = next(bound.ge for bound in field.metadata if hasattr(bound, "ge"))
    high = next(bound.le for bound in field.metadata if hasattr(bound, "le"))
    return f"a {'whole ' if kind is int or WHOLE in field.metadata else ''}number from {low:g} to {high:g}"


def shown(name: str, value: object) -> str:
    """Return a value for a message: short, in one line, and `***` for a password."""
    if name.startswith(("password", "token")) and value != "":
        return "***"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[...]"
    if isinstance(value, dict):
        return "{...}"
    if isinstance(value, str):
        _, at, host = value.rpartition("@")  # user:password@host
        user, colon, _ = value.partition(":") if name == "user" else (value, "", "")
        return _short(repr(f"***@{host}" if at else f"{user}:***" if colon else value))
    try:
        return _short(str(value))
    except ValueError:  # Python does not write out integers of thousands of digits
        return "a number of thousands of digits"


def _why(value: object, detail: Mapping[str, Any]) -> str:
    match detail["type"]:
        case "value_error":  # raised by the field's own check
            return str(detail["ctx"]["error"])
        case "greater_than_equal":
            return "is too small"
        case "less_than_equal":
            return "is too large"
        case "literal_error" if isinstance(value, str | int | float) and not isinstance(value, bool):
            return "is none of the choices"
        case "float_type" if isinstance(value, int) and not isinstance(value, bool):  # more than a float can hold
            return "is too large" if value > 0 else "is too small"
    return _kind(value)


def _kind(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "is no usable number"
    return _KINDS.get(type(value), "is a date or time")


def _instead(name: str, fields: Mapping[str, FieldInfo], known: Models) -> str:
    if name in known:
        return f"write {heading(name)} on a line of its own and its settings below"
    if name == "port" and "host" in fields:
        return 'write it behind the address, such as host = "192.168.1.50:80"'
    homes = [heading(section) for section, model in known.items() if name in model.model_fields]
    if homes:
        return f"it belongs below {' or '.join(homes)}"
    close = _close(name, fields)
    return f"did you mean {close}?" if close else f"remove it, the settings here are {', '.join(fields)}"


def _close(name: str, known: Iterable[str]) -> str:
    """Return what was probably meant, empty when nothing is close."""
    try:
        from difflib import get_close_matches  # noqa: PLC0415  a package of its own on a GX, which need not be there
    except ImportError:
        return ""
    return next(iter(get_close_matches(name.lower(), known, 1)), "")


def _name(name: str) -> str:
    return _short(name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else repr(name))


def _short(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
