"""What OpenDTU's JSON means: from its documents to our values, or a ValueError that says what is wrong.

A leaf of the live document is `{"v": number, "u": unit, "d": digits}`; `v` is a 32-bit float printed in full, so it is
rounded to `d`. A leaf that is missing, not finite or out of range becomes None and spoils nothing else. Source of all
shapes: OpenDTU's WebApi_ws_live.cpp and WebApi_limit.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from opendtu_dcload.devices import json_fields
from opendtu_dcload.model import CommandState, InverterStatus, LimitStatus

LARGEST_POWER_W = 5000.0
_LARGEST_VOLTAGE_V = 1000.0
_LARGEST_CURRENT_A = 100.0
_LARGEST_YIELD_KWH = 4e5
"""2250 W, the largest limit, day and night for 20 years. A frame that was garbled by radio is told as it is: 694419 and
2113405 kWh for some 280 (https://github.com/tbnobody/OpenDTU/issues/1022)."""
_LONGEST_AGE_S = 2**32  # an unsigned 32-bit counter
_MOST_LOST_SHARE, _MOST_LOST_W = 1.0, 50.0
"""More than this, as a share of the output and beside it, is lost in no inverter: an estimate that clears starts."""
_WEAKEST_IN_USE = 10
"""An input with less than the tenth part of the strongest one's power is not connected, or hardly: recorded HM-600 and
HM-1500 show 0.5 to 18 V and up to 0.5 W there."""
_LARGEST_LIMIT_PCT = 6553.5  # an unsigned 16-bit number of tenths; up to v25.1 more than 100 % could be read


@dataclass(frozen=True, slots=True)
class KnownInverter:
    """An inverter that the DTU lists, ours or not."""

    serial: str
    """12 hex digits, lower case."""
    name: str


@dataclass(frozen=True, slots=True)
class InverterSettings:
    """How the DTU treats one inverter; None = this firmware does not say."""

    serial: str
    name: str
    type: str
    """Model line, such as `HM-600/700/800-2T`; `Unknown` for one it does not support."""
    command_enable: bool | None
    """False: limits are answered with success and then dropped."""
    command_enable_night: bool | None
    poll_enable: bool | None
    poll_enable_night: bool | None
    reachable_threshold: int | None
    """Failed polls after which it is not reachable."""


@dataclass(frozen=True, slots=True)
class LivePart:
    """What a live document tells of some inverters."""

    inverters: dict[str, InverterStatus]
    """By serial."""
    is_clock_set: bool
    """False: the DTU polls no inverter, the values mean nothing."""
    spoilt: str
    """What is wrong with an inverter that is left out for that; empty = nothing."""


def serial_of(entry: object) -> str | None:
    """Return the serial in lower case, None when there is none of 12 hex digits."""
    return normal_serial(json_fields.text(entry, "serial"))


def normal_serial(serial: str) -> str | None:
    """Return `serial` in lower case, None when it does not have 12 hex digits."""
    serial = serial.lower()
    return serial if re.fullmatch(r"[0-9a-f]{12}", serial) else None


def listed(document: object, key: str) -> dict[str, object]:
    """Return the entries of the array under `key` by serial.

    Raises:
        ValueError: there is no such array.
    """
    entries = json_fields.child(document, key)
    if not isinstance(entries, list):
        raise ValueError(f"there is no list {key}")  # noqa: TRY004 - wrong data from outside, not a wrong call
    return {serial: entry for entry in entries if (serial := serial_of(entry)) is not None}


def inverters(document: object) -> dict[str, object]:
    """Return the inverters of a live document by serial, each with its values in AC, DC and INV where it has any.

    Raises:
        ValueError: it is no live document.
    """
    if isinstance(document, list):
        raise ValueError("OpenDTU is too old, update it")  # noqa: TRY004 - wrong data from outside, not a wrong call
    return {serial: _nested(entry) for serial, entry in listed(document, "inverters").items()}


def _nested(entry: object) -> object:
    """Bring values of before 13 Feb 2023 into today's blocks: then "0" was the inverter itself, "1" its first input."""
    flat = {key: json_fields.child(entry, key) for key in json_fields.keys(entry) if key.isdecimal()}
    if not isinstance(entry, dict) or "AC" in entry or "0" not in flat:
        return entry
    whole = {"0": flat.pop("0")}
    return {**entry, "AC": whole, "INV": whole, "DC": flat}


def known(inverters: dict[str, object]) -> tuple[KnownInverter, ...]:
    """Return who they are."""
    return tuple(KnownInverter(serial, json_fields.text(entry, "name")) for serial, entry in inverters.items())


def is_complete(entry: object) -> bool:
    """Whether the measured values are there: up to v24.1.26 at once, later only if asked for with `?inv=`."""
    return "AC" in json_fields.keys(entry)


def is_clock_set(document: object) -> bool:
    """Whether the DTU knows the time; the hint `time_sync` is true when it does not."""
    return not hint(document, "time_sync")


def hint(document: object, name: str) -> bool:
    """Whether the DTU's own page would show a warning; False when this firmware does not know it."""
    return json_fields.flag(json_fields.child(document, "hints"), name) is True


def part(document: object, serials: Collection[str], answered_at_s: float) -> LivePart:
    """Return what a live document tells of those inverters in `serials` that it has.

    Raises:
        ValueError: it is no live document.
    """
    found, spoilt = {}, ""
    for serial, entry in inverters(document).items():
        if serial in serials:
            try:
                found[serial] = inverter(entry, serial, answered_at_s)
            except ValueError as err:
                spoilt = str(err)
    return LivePart(found, is_clock_set(document), spoilt)


def inverter(entry: object, serial: str, answered_at_s: float) -> InverterStatus:
    """Return one inverter's values, none where the DTU has heard nothing of it since its start.

    It tells 0 of everything then, which seems as young as that start; with its setting `zero_runtime` also later, of
    an inverter that it has lost. One that answers has DC voltage: it lives on it.

    Raises:
        ValueError: there are none, or it does not say how old they are.
    """
    if not is_complete(entry):
        raise ValueError("its values are missing, so OpenDTU is too old or too new; update it, or this program")
    ac = json_fields.child(json_fields.child(entry, "AC"), "0")
    whole = json_fields.child(json_fields.child(entry, "INV"), "0")
    dc = json_fields.child(entry, "DC")
    inputs = [json_fields.child(dc, channel) for channel in json_fields.keys(dc)]
    ac_power_w = _power(ac, "Power")
    dc_power_w = _first(_power(whole, "Power DC"), _power(ac, "Power DC"), _sum([_power(i, "Power") for i in inputs]))
    if _contradict(ac_power_w, dc_power_w):
        dc_power_w = None
    dc_voltage_v = _dc_voltage(inputs)
    yield_kwh = _first(*(_leaf(block, "YieldTotal", 0, _LARGEST_YIELD_KWH) for block in (whole, ac)))
    status = InverterStatus(
        serial=serial,
        name=json_fields.text(entry, "name"),
        answered_at_s=answered_at_s,
        at_s=answered_at_s - _age_s(entry),
        reachable=json_fields.flag(entry, "reachable") is True,
        ac_power_w=ac_power_w,
        ac_voltage_v=_voltage(ac),
        dc_power_w=dc_power_w,
        dc_voltage_v=dc_voltage_v,
        dc_current_a=_dc_current(dc_power_w, dc_voltage_v),
        temperature_c=_leaf(whole, "Temperature", -60, 200),
        yield_total_wh=None if yield_kwh is None else round(yield_kwh * 1000, 1),
        is_polled=json_fields.flag(entry, "poll_enabled") is not False,
    )
    voltages_v = [voltage_v for block in (ac, *inputs) if (voltage_v := _voltage(block)) is not None]
    return status if any(voltages_v) or not voltages_v else _unmeasured(status)


def _unmeasured(status: InverterStatus) -> InverterStatus:
    """Return what is left of the zeros of an inverter that was not heard of: its total, where that is none of them."""
    return replace(
        status,
        ac_power_w=None,
        ac_voltage_v=None,
        dc_power_w=None,
        dc_voltage_v=None,
        temperature_c=None,
        yield_total_wh=status.yield_total_wh or None,
    )


def limits(document: object, at_s: float) -> dict[str, LimitStatus]:
    """Return what the DTU knows of each inverter's limit; 0 means that it does not know.

    Raises:
        ValueError: the document is none of limits.
    """
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - wrong data from outside, not a wrong call
    found = {}
    for key, entry in document.items():
        serial = normal_serial(key)
        if serial is None or not isinstance(entry, dict):
            continue
        limit_pct = round(json_fields.number(entry, "limit_relative", 0, _LARGEST_LIMIT_PCT) or 0.0, 1)
        state = json_fields.text(entry, "limit_set_status")
        found[serial] = LimitStatus(
            serial=serial,
            at_s=at_s,
            limit_pct=min(limit_pct, 100.0) if limit_pct else None,
            rated_w=json_fields.number(entry, "max_power", 1, LARGEST_POWER_W),
            state=CommandState(state) if state in set(CommandState) else CommandState.UNKNOWN,
        )
    return found


def settings(document: object) -> list[InverterSettings]:
    """Return the inverters' settings from inverter/list.

    Raises:
        ValueError: the document is none of inverters.
    """
    return [
        InverterSettings(
            serial=serial,
            name=json_fields.text(entry, "name"),
            type=json_fields.text(entry, "type"),
            command_enable=json_fields.flag(entry, "command_enable"),
            command_enable_night=json_fields.flag(entry, "command_enable_night"),
            poll_enable=json_fields.flag(entry, "poll_enable"),
            poll_enable_night=json_fields.flag(entry, "poll_enable_night"),
            reachable_threshold=json_fields.whole(entry, "reachable_threshold", 0, 255),
        )
        for serial, entry in listed(document, "inverter").items()
    ]


def _age_s(entry: object) -> float:
    age_ms = json_fields.number(entry, "data_age_ms", 0, _LONGEST_AGE_S * 1000)  # since v25.4.2
    age_s = json_fields.number(entry, "data_age", 0, _LONGEST_AGE_S) if age_ms is None else age_ms / 1000
    if age_s is None:
        raise ValueError("data_age is no number of seconds")
    return age_s


def _leaf(block: object, field: str, lowest: float, highest: float) -> float | None:
    leaf = json_fields.child(block, field)
    value = json_fields.number(leaf, "v", lowest, highest)
    digits = json_fields.whole(leaf, "d", 0, 6)
    return None if value is None else round(value, 3 if digits is None else digits)


def _voltage(block: object) -> float | None:
    return _leaf(block, "Voltage", 0, _LARGEST_VOLTAGE_V)


def _power(block: object, field: str) -> float | None:
    return _leaf(block, field, -LARGEST_POWER_W, LARGEST_POWER_W)


def _dc_voltage(inputs: Sequence[object]) -> float | None:
    """Return the mean over the inputs in use, weighted by their power; the highest voltage when none gives power."""
    pairs = [
        (_power(channel, "Power") or 0.0, voltage_v)
        for channel in inputs
        if (voltage_v := _voltage(channel)) is not None
    ]
    strongest_w = max((power_w for power_w, _ in pairs), default=0.0)
    if strongest_w <= 0:
        return max((voltage_v for _, voltage_v in pairs), default=None)
    used = [(power_w, voltage_v) for power_w, voltage_v in pairs if power_w * _WEAKEST_IN_USE >= strongest_w]
    return round(sum(power_w * voltage_v for power_w, voltage_v in used) / sum(power_w for power_w, _ in used), 2)


def _contradict(ac_power_w: float | None, dc_power_w: float | None) -> bool:
    """Tell whether so much goes in and does not come out that the one that goes in cannot be right."""
    if ac_power_w is None or dc_power_w is None:
        return False
    return dc_power_w - ac_power_w > _MOST_LOST_SHARE * max(ac_power_w, 0.0) + _MOST_LOST_W


def _dc_current(power_w: float | None, voltage_v: float | None) -> float | None:
    """Return power / voltage; None when one is not known, or the two contradict each other."""
    if power_w is None or not voltage_v:
        return None
    return json_fields.bounded(round(power_w / voltage_v, 2), -_LARGEST_CURRENT_A, _LARGEST_CURRENT_A)


def _sum(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    if not present or len(present) < len(values):
        return None
    return json_fields.bounded(round(sum(present), 1), -LARGEST_POWER_W, LARGEST_POWER_W)


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
