"""Writes the tables of the manual from the settings' models and from the services on the bus: `make docs`.

What a setting means stands at its field, what a path means at its item; a test compares the pages with both.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from textwrap import dedent

from pydantic.fields import FieldInfo

from opendtu_dcload.config import SECTIONS
from opendtu_dcload.config.fields import Section
from opendtu_dcload.config.messages import expected
from opendtu_dcload.model import MeterInfo
from opendtu_dcload.state import State
from opendtu_dcload.venus.bus.bus_address import resolve
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.item import Item
from opendtu_dcload.venus.gx.gx_control import FOLDER, Control
from opendtu_dcload.venus.gx.gx_controls import Controls
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.venus.gx.notification import Platform
from opendtu_dcload.venus.gx.service_watch import ServiceWatch
from opendtu_dcload.venus.services.acload import MeterService
from opendtu_dcload.venus.services.alarm import MUTE_MEANING, AlarmService
from opendtu_dcload.venus.services.context import ServiceContext
from opendtu_dcload.venus.services.dcload import InverterService, ShownInverter
from opendtu_dcload.venus.services.dcsystem import DcSystemService
from opendtu_dcload.venus.services.diagnostics import PlantHealth
from opendtu_dcload.venus.services.switch import SwitchService
from opendtu_dcload.venus.services.temperature import TemperatureService

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"
KINDS = {int: "whole number", float: "number", str: "text", list: "list of texts"}


# ---- settings


@cache
def docstrings(model: type[Section]) -> dict[str, str]:
    """Return the text below each field of a model, its own fields first."""
    found: dict[str, str] = {}
    for owner in model.__mro__[: model.__mro__.index(Section)]:
        (body,) = (node.body for node in ast.parse(dedent(inspect.getsource(owner))).body if hasattr(node, "body"))
        for field, text in zip(body, [*body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
                found.setdefault(field.target.id, " ".join(str(text.value.value).split()) if is_text else "")
    return found


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "**mandatory**"
    if field.default is None or field.default == "":
        return "-"
    if isinstance(field.default, str):
        return f'`"{field.default}"`'
    return f"`{field.default:g}`" if isinstance(field.default, float) else f"`{str(field.default).lower()}`"


def settings() -> Iterator[str]:
    for name, model in SECTIONS.items():
        heading, _, what = (model.__doc__ or "").splitlines()[0].partition(": ")
        yield f"## {name}\n\n{heading}: {what}\n\n| Key | Default | Allowed | Meaning |\n|---|---|---|---|\n"
        for key, meaning in docstrings(model).items():
            field = model.model_fields[key]
            yield f"| `{key}` | {default_of(field)} | {expected(field)} | {meaning} |\n"
        yield "\n"


# ---- paths


def services() -> list[tuple[str, BusService]]:
    """Return every service with what it is, as the program builds them."""
    state, bus = State(), resolve("unix:path=/nowhere")

    def clock() -> float:
        return 0.0

    def always(_: object) -> float:
        return 5.0

    watch, kept = ServiceWatch(bus), LocalSettings(bus, clock)
    controls = Controls(kept, state, ["114181807700"], target_w=0, max_feed_in_w=800, surplus_soc_pct=97)
    alarms = Control.switch(kept, f"{FOLDER}/Alarms", "Alarms", MUTE_MEANING)
    health = PlantHealth({"opendtu": "DTU"})
    context = ServiceContext(state=state, bus=bus, clock=clock, settings=kept)
    shown = ShownInverter(serial="114181807700", instance=134, dtu="opendtu", dtu_host="opendtu", freshness_s=always)
    inverter = InverterService(context, shown, controls=controls)
    meter = MeterService(context, "shelly", watch=watch, controls=controls)
    meter._device = context.device("shelly", "acload", 59)
    meter_service = meter.build(MeterInfo(vendor="Shelly", model="Pro 3EM", serial="aabbccddeeff"))
    switch = SwitchService(context, controls, alarms, {"114181807700": None}, health)
    alarm = AlarmService(context, health, platform=Platform(watch), switch=alarms)
    dc_system = DcSystemService(context, "auto", [], watch)
    temperature = TemperatureService(context)
    return [
        ("Each inverter", inverter.service),
        ("The meter", meter_service),
        ("The plant: controls, reason and health", switch.service),
        ("The alarms, where the GX takes no notifications or with `alarm_input`", alarm.service),
        ("The sum of the inverters, with `dcsystem`", dc_system.service),
        ("The battery's temperature, with `battery_temperature`", temperature.service),
    ]


def value_of(item: Item) -> str:
    if item.minimum is not None and item.maximum is not None:
        return f"{item.minimum:g} to {item.maximum:g} {item.unit}".strip()
    return item.unit or KINDS[item.kind]


def general(path: str) -> str:
    """Return the path for all phases, inverters and cards that have the same."""
    if re.search(r"/(Dimming|State|Labels)$", path) is None:
        path = re.sub(r"/SwitchableOutput/\w+/", "/SwitchableOutput/.../", path)
    return re.sub(r"/L[123](?=/)", "/L1..L3", path).replace("114181807700", "<serial>")


def row(path: str, item: Item) -> str:
    return f"| `{general(path)}` | {value_of(item)} | {'yes' if item.on_write else ''} | {item.meaning} |\n"


def table(rows: Iterable[str]) -> str:
    return "| Path | Value | Can be set | What it is |\n|---|---|---|---|\n" + "".join(rows) + "\n"


def paths() -> Iterator[str]:
    tables = [
        (what, service.name, dict.fromkeys(row(path, item) for path, item in service._items.items()))
        for what, service in services()
    ]
    common = [row for row in tables[0][2] if all(row in rows for _, _, rows in tables)]
    for what, name, rows in tables:
        known_as = name.replace("114181807700", "<serial>").replace("aabbccddeeff", "<mac>")
        yield f"## {what}\n\n`{known_as}`\n\n{table(row for row in rows if row not in common)}"
    yield f"## Each of them\n\n{table(common)}"


# ---- pages

PAGES = {"configuration.md": settings, "dbus-paths.md": paths}


def page(name: str) -> str:
    """Return a page with what lies between its marks made anew."""
    before, _, rest = (DOCS / name).read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{''.join(PAGES[name]())}{END}{after}"


if __name__ == "__main__":
    for name in PAGES:
        (DOCS / name).write_text(page(name), encoding="utf-8")
