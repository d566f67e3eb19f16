"""Mistakes that only two settings together show.

They are looked for outside of the models, in whatever is right by itself: pydantic skips its own cross-checks as soon
as one field fails.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo

from opendtu_dcload.config.fields import NotAbove
from opendtu_dcload.config.messages import expected, heading, shown
from opendtu_dcload.config.schema import METER_AGES

_PASSWORDS = ("password", "password_file", "password_env")
LATE_S = 1.0
"""So much a reading may come late: after a gap of `meter_hold_s` all that is known of the load is forgotten."""
_MAX_INVERTERS = 10  # OpenDTU cannot hold more
_MAX_DTUS = 10  # more inverters than that have no device instances of their own by default


class Part(NamedTuple):
    """One section of the file."""

    key: str
    """As messages name it."""
    fields: Mapping[str, FieldInfo]
    given: Mapping[str, Any]
    """As written."""
    valid: Mapping[str, Any]
    """What is right by itself, with the defaults of what is not written."""

    def has(self, *names: str) -> bool:
        """Return whether all of `names` are right and not None."""
        return all(self.valid.get(name) is not None for name in names)

    def shown(self, name: str) -> str:
        """Return a setting with its value, and whether that is the default."""
        default = "" if name in self.given else ", the default"
        return f"{self.key}.{name} ({self.valid[name]:g}{default})"


def contradictions(parts: Mapping[str, Sequence[Part]], first_instance: int) -> list[str]:
    """Return one line per contradiction; of a section that cannot be read at all there is no part."""
    dtus, inverters = parts["opendtu"], parts["inverter"]
    problems = [*_among_inverters(inverters, first_instance), *_among_dtus(dtus), *_between(inverters, dtus)]
    for meter in parts["meter"]:
        problems += _where_the_meter_is(meter, parts["dbus"])
    for dbus in parts["dbus"]:
        problems += _in_dbus(dbus)
    for mqtt in parts["mqtt"]:
        problems += _in_mqtt(mqtt)
    for battery in parts["battery"]:
        problems += _needed_to_command(battery) if inverters else ()
    for control in parts["control"]:
        problems += _in_control(control)
        for meter in parts["meter"]:
            problems += _in_time(meter, control)
    return problems


def _too_high(part: Part) -> Iterator[str]:
    """Yield one line per setting that is above the one that it may not be above."""
    for low, field in part.fields.items():
        for high in (mark.other for mark in field.metadata if isinstance(mark, NotAbove)):
            if part.has(low, high) and part.valid[low] > part.valid[high]:
                yield f"{part.shown(low)} must not be above {part.shown(high)}; change one of them"


def _in_time(meter: Part, control: Part) -> Iterator[str]:
    given = meter.has("poll_interval_s") and control.has("meter_hold_s")
    if given and meter.valid["poll_interval_s"] > control.valid["meter_hold_s"] - LATE_S:
        often, hold = meter.shown("poll_interval_s"), control.shown("meter_hold_s")
        yield f"{often} must stay {LATE_S:g} s below {hold}; change one of them"


def _in_control(control: Part) -> Iterator[str]:
    yield from _too_high(control)
    for early, late in pairwise(name for name in METER_AGES if control.has(name)):
        if control.valid[early] >= control.valid[late]:
            yield f"{control.shown(early)} must be shorter than {control.shown(late)}; change one of them"


def _where_the_meter_is(meter: Part, dbuses: Sequence[Part]) -> Iterator[str]:
    source = meter.valid.get("source")
    if source not in {None, "gx"} and "host" not in meter.given:
        yield f"{meter.key}.host is missing; write it below {heading(meter.key)}: {expected(meter.fields['host'])}"
    if source == "gx" and any(dbus.valid.get("enabled") is False for dbus in dbuses):
        yield 'meter.source: "gx" is read from the D-Bus, and dbus.enabled is false; change one of them'


def _in_dbus(dbus: Part) -> Iterator[str]:
    if dbus.valid.get("meter_role") == "grid" and dbus.valid.get("allow_grid_role") is False:
        yield (
            f'{dbus.key}.meter_role: "grid" makes ESS regulate by this meter; '
            f"write allow_grid_role = true too if that is wanted, or remove it"
        )


def _in_mqtt(mqtt: Part) -> Iterator[str]:
    if mqtt.has("password") and "user" not in mqtt.given:
        user = expected(mqtt.fields["user"])
        yield f"mqtt.user is missing, and a password alone says nothing to a broker; write {user}"
    if mqtt.has("ca_file") and mqtt.valid.get("tls") is False:
        yield "mqtt.ca_file: certificates play no role without tls = true; write that too, or remove ca_file"


def _needed_to_command(battery: Part) -> Iterator[str]:
    if "min_voltage_v" not in battery.given:
        yield (
            "battery.min_voltage_v is missing, and without it a battery could be drained; write below [battery] "
            f"the voltage to power off at: {expected(battery.fields['min_voltage_v'])}"
        )


def _among_dtus(dtus: Sequence[Part]) -> Iterator[str]:
    if len(dtus) > _MAX_DTUS:
        yield f"opendtu: {len(dtus)} are listed; {_MAX_DTUS} are possible, so remove some"
    names: dict[str, str] = {}
    hosts: dict[str, str] = {}
    for dtu in dtus:
        if len(dtus) > 1 and "name" not in dtu.given:
            yield f"{dtu.key}.name is missing, and DTUs are told apart by it; write {expected(dtu.fields['name'])}"
        elif dtu.has("name"):
            first = names.setdefault(dtu.valid["name"], dtu.key)
            if first != dtu.key:
                yield f"{dtu.key}.name: {shown('name', dtu.valid['name'])} is that of {first} too; each needs its own"
        if dtu.has("host"):
            first = hosts.setdefault(dtu.valid["host"].lower().removesuffix(":80"), dtu.key)
            if first != dtu.key:
                yield f"{dtu.key}.host: {shown('host', dtu.valid['host'])} is that of {first} too; list each DTU once"


def _between(inverters: Sequence[Part], dtus: Sequence[Part]) -> Iterator[str]:
    is_only = len(dtus) == 1
    names = {dtu.valid["name"]: dtu for dtu in dtus if dtu.has("name") and (is_only or "name" in dtu.given)}
    has_names = len(names) == len(dtus) > 0
    choices = ", ".join(f'"{name}"' for name in names)
    owned: dict[str, list[Part]] = {dtu.key: [] for dtu in dtus}
    for inverter in inverters:
        name = inverter.valid.get("opendtu")
        if name in names:
            owned[names[name].key].append(inverter)
        elif name is not None and has_names:
            yield f"{inverter.key}.opendtu: {shown('opendtu', name)} is no DTU; write one of {choices}"
        elif is_only:
            owned[dtus[0].key].append(inverter)
        elif has_names and "opendtu" not in inverter.given:
            yield (
                f"{inverter.key}.opendtu is missing, and there are several DTUs; "
                f"write below [[inverter]] which one commands it: {choices}"
            )
    for dtu in dtus:
        yield from _needed_for(
            dtu, len(owned[dtu.key]), "" if is_only else f' with opendtu = "{dtu.valid.get("name")}"'
        )


def _needed_for(dtu: Part, count: int, where: str) -> Iterator[str]:
    if count > _MAX_INVERTERS:
        yield f"inverter: {count} are listed{where}; OpenDTU holds {_MAX_INVERTERS}, so remove some"
    if count and not any(way in dtu.given for way in _PASSWORDS):
        yield (
            f"{dtu.key}.password is missing, and OpenDTU takes no limit without it; write its admin password "
            f"below {heading(dtu.key)}, or its place as password_file or password_env"
        )


def _among_inverters(inverters: Sequence[Part], first_instance: int) -> Iterator[str]:
    serials: dict[str, str] = {}
    instances: dict[int, str] = {}
    for index, inverter in enumerate(inverters):
        yield from _too_high(inverter)
        if inverter.has("serial"):
            serial = inverter.valid["serial"].lower()
            first = serials.setdefault(serial, inverter.key)
            if first != inverter.key:
                yield f"{inverter.key}.serial: '{serial}' is that of {first} too; each inverter is listed once"
        if "device_instance" in inverter.valid:
            given = inverter.valid["device_instance"]
            instance = first_instance + index if given is None else given
            first = instances.setdefault(instance, inverter.key)
            if first != inverter.key:
                default = ", the default by position," if given is None else ""
                yield (
                    f"{inverter.key}.device_instance: {instance}{default} is that of {first} too; "
                    f"give each inverter its own: {expected(inverter.fields['device_instance'])}"
                )
