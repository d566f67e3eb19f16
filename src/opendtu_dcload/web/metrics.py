"""The document of `/api/state` as text for Prometheus, format 0.0.4."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from opendtu_dcload.web.quantities import BATTERY, INVERTER, MEASURED, METER, PLANT, SOLAR, TODAY, Quantity

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "opendtu_dcload_"
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_SECTIONS: Mapping[str, Mapping[str, Quantity[Any]]] = {
    "plant": PLANT,
    "meter": METER,
    "solar": SOLAR,
    "battery": BATTERY,
    "today": TODAY,
}


def metrics(document: Mapping[str, Any]) -> str:
    """Return all that is known; of what is not known there is no line."""
    program, reason = document["program"], document["plant"]["reason"]["name"]
    lines = [
        *_told("info", "gauge", "the program", [({"version": program["version"]}, 1)]),
        *_told("uptime_seconds", "gauge", "since the program's start", [({}, program["uptime_s"])]),
        *_told("dry_run", "gauge", "1: nothing is commanded", [({}, int(program["is_dry"]))]),
        *_told("reason", "gauge", "why the plant gives what it gives", [({"name": reason}, 1)]),
        *_told("meter_fresh", "gauge", "1: the meter's values count", [({}, int(document["meter"]["is_fresh"]))]),
    ]
    for name, table in _SECTIONS.items():
        section = document[name] or {}
        for key, quantity in table.items():
            lines += _numbers(quantity, [({}, section.get(key))])
    inverters = [({"serial": one["serial"], "name": one["name"]}, one) for one in document["inverters"]]
    tables: Sequence[Mapping[str, Quantity[Any]]] = (MEASURED, INVERTER)
    for key, quantity in chain.from_iterable(table.items() for table in tables):
        lines += _numbers(quantity, [(labels, one[key]) for labels, one in inverters])
    fresh = [(labels, int(one["is_fresh"])) for labels, one in inverters]
    lines += _told("inverter_fresh", "gauge", "1: the inverter's values count", fresh)
    alarms = [({key: alarm[key] for key in ("cause", "subject", "severity")}, 1) for alarm in document["alarms"]]
    lines += _told("alarm", "gauge", "1 for each alarm that is up", alarms)
    return "\n".join(lines) + "\n"


def _numbers(quantity: Quantity[Any], samples: Sequence[tuple[dict[str, str], Any]]) -> Iterator[str]:
    kind = "counter" if quantity.metric.endswith("_total") else "gauge"
    known = [(labels, number * quantity.scale) for labels, number in samples if number is not None]
    return _told(quantity.metric, kind, quantity.meaning, known)


def _told(name: str, kind: str, meaning: str, samples: Sequence[tuple[dict[str, str], float]]) -> Iterator[str]:
    if not samples:
        return
    yield f"# HELP {PREFIX}{name} {meaning[0].upper()}{meaning[1:]}"
    yield f"# TYPE {PREFIX}{name} {kind}"
    for labels, number in samples:
        told = ",".join(f'{key}="{value.translate(_ESCAPED)}"' for key, value in labels.items())
        yield f"{PREFIX}{name}{{{told}}} {number:.10g}" if told else f"{PREFIX}{name} {number:.10g}"
