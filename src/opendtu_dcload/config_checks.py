"""Mistakes that only two settings together show.

They are looked for outside of the models, in whatever is right by itself: pydantic skips its own cross-checks as soon
as one field fails.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo

from opendtu_dcload.config_words import expected

_LADDER = ("meter_hold_s", "meter_ramp_s", "meter_minimum_s", "meter_off_s")
_MAX_INVERTERS = 10  # OpenDTU cannot hold more


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


def contradictions(parts: Mapping[str, Part], inverters: Sequence[Part], first_instance: int) -> list[str]:
    """Return one line per contradiction; sections that cannot be read at all are missing in `parts`."""
    problems = [*_among_inverters(inverters, first_instance)]
    if inverters:
        problems += _needed_to_command(parts)
    if "control" in parts:
        problems += _in_control(parts["control"])
    if "control" in parts and "meter" in parts:
        problems += _not_above(parts["meter"], "poll_interval_s", parts["control"], "meter_hold_s")
    return problems


def _not_above(low: Part, low_name: str, high: Part, high_name: str) -> Iterator[str]:
    if low.has(low_name) and high.has(high_name) and low.valid[low_name] > high.valid[high_name]:
        yield f"{low.shown(low_name)} must not be above {high.shown(high_name)}; change one of them"


def _in_control(control: Part) -> Iterator[str]:
    yield from _not_above(control, "base_load_w", control, "max_feed_in_w")
    for early, late in pairwise(name for name in _LADDER if control.has(name)):
        if control.valid[early] >= control.valid[late]:
            yield f"{control.shown(early)} must be shorter than {control.shown(late)}; change one of them"


def _needed_to_command(parts: Mapping[str, Part]) -> Iterator[str]:
    ways = ("password", "password_file", "password_env")
    if "opendtu" in parts and not any(way in parts["opendtu"].given for way in ways):
        yield (
            "opendtu.password is missing, and OpenDTU takes no limit without it; "
            "write its admin password below [opendtu], or its place as password_file or password_env"
        )
    if "battery" in parts and "min_voltage_v" not in parts["battery"].given:
        yield (
            "battery.min_voltage_v is missing, and without it a battery could be drained; write below [battery] "
            f"the voltage to power off at: {expected(parts['battery'].fields['min_voltage_v'])}"
        )


def _among_inverters(inverters: Sequence[Part], first_instance: int) -> Iterator[str]:
    if len(inverters) > _MAX_INVERTERS:
        yield f"inverter: {len(inverters)} are listed; OpenDTU holds {_MAX_INVERTERS}, so remove some"
    serials: dict[str, str] = {}
    instances: dict[int, str] = {}
    for index, inverter in enumerate(inverters):
        yield from _not_above(inverter, "min_power_w", inverter, "max_power_w")
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
