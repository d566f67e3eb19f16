"""The summary: the live line, each inverter, the battery, what is wrong, and today."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from opendtu_dcload.devices.json_fields import child, items, number, text
from opendtu_dcload.live.live_plant import LivePlant
from opendtu_dcload.live.live_text import flow_line, inverter_lines
from opendtu_dcload.live.live_words import BETWEEN, all_words
from opendtu_dcload.status.remote_plant import RemotePlant
from opendtu_dcload.time_words import lasted
from opendtu_dcload.web.quantities import BATTERY, TODAY

WIDTH = 80
UNITS = {"w": "W", "wh": "Wh", "v": "V", "a": "A", "s": "s", "pct": "%", "c": "°C"}
"""By the end of a name."""
_MOST = 1e15


def summary(document: object, base: str, now_s: float) -> Iterator[str]:
    """Yield the lines for a document of `/api/state` that has come at a monotonic time from the service at `base`."""
    plant = RemotePlant()
    plant.take(document, now_s)
    live = LivePlant.of(plant.state, plant.sources, now_s)
    program = child(document, "program")
    uptime_s = number(program, "uptime_s", 0, _MOST) or 0.0
    yield f"opendtu_dcload {text(program, 'version')}, up for {lasted(uptime_s)}, {base}"
    yield flow_line(live, WIDTH)
    is_decided = plant.state.plan is not None
    yield BETWEEN.join(all_words(plant.state, live, now_s)) if is_decided else _reason(document)
    yield from inverter_lines(plant.state, live, now_s)
    if (battery := child(document, "battery")) is not None:
        yield f"battery: {_told(battery, BATTERY)}"
    for alarm in items(document, "alarms"):
        since_s = number(alarm, "since_s", 0, _MOST) or 0.0
        yield f"{text(alarm, 'severity')}: {text(alarm, 'text', 200)}, for {lasted(since_s)}"
    yield f"today: {_told(child(document, 'today'), TODAY)}"


def _reason(document: object) -> str:
    return text(child(child(document, "plant"), "reason"), "text", 200)


def _told(section: object, names: Iterable[str]) -> str:
    """Return the numbers of a section by the names of the table, such as "exported 12 Wh"."""
    parts = []
    for name in names:
        value = number(section, name, -_MOST, _MOST)
        words, _, end = name.rpartition("_")
        label, unit = (words, UNITS[end]) if end in UNITS else (name, "")
        parts.append(f"{label.replace('_', ' ')} {'-' if value is None else f'{value:g}'} {unit}".rstrip())
    return ", ".join(parts)
