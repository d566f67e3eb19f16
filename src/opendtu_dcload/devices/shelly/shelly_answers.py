"""What a Shelly's JSON means: from one document to one sample, or a ValueError that says what is wrong with it.

Power is import positive as the device gives it, energies are in Wh. Vendor documentation:
https://shelly-api-docs.shelly.cloud (generation 1: /status; generation 2: EM, EM1, PM1 and Switch).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from opendtu_dcload.devices import json_fields
from opendtu_dcload.model import PhaseReading

LARGEST_POWER_W = 43470.0
"""3 x 63 A x 230 V: no house has a larger connection."""
_LARGEST_VOLTAGE_V = 500.0
_LARGEST_CURRENT_A = 1000.0
_LARGEST_ENERGY_WH = 1e12

_LETTERS = "abc"
_FAULTS = ("power_meter_failure", "out_of_range:act_power")  # the others leave the power as it is


class ComponentMissingError(ValueError):
    """The device no longer has the component it was asked about: somebody changed its profile."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one answer says, so that all phases are of the same moment."""

    power_w: float
    phases: tuple[PhaseReading, ...]
    """One for a single channel; three when `power_w` is their sum."""
    frequency_hz: float | None = None


Energies = tuple[tuple[float | None, float | None], ...]
"""Import and export in Wh for each phase of the sample they belong to."""

Read = Callable[[object], Sample]
ReadEnergies = Callable[[object], Energies]


def emeter(entry: object) -> Sample:
    """Read one clamp of a Shelly EM or 3EM of generation 1."""
    return _single(_emeter(entry))


def meter(entry: object) -> Sample:
    """Read the load of a relay or plug of generation 1; it counts Watt-minutes and has neither voltage nor current."""
    _refuse_invalid(entry)
    watt_minutes = json_fields.number(entry, "total", 0, 60 * _LARGEST_ENERGY_WH)
    energy_wh = None if watt_minutes is None else watt_minutes / 60
    return _single(PhaseReading(_power(entry, "power"), energy_import_wh=energy_wh))


def emeters(status: object, count: int) -> Sample:
    """Read all clamps of an EM (as one conductor) or 3EM (as three phases) of generation 1 from its `/status`."""
    phases = [_emeter(entry) for entry in _entries(status, "emeters", count)]
    if count == 3:
        return Sample(_sum(phases, _finite(status, "total_power")), tuple(phases))
    return _single(_one_conductor(phases))


def meters(status: object, count: int) -> Sample:
    """Read all relay loads of a Shelly of generation 1 from its `/status`, as one conductor."""
    return _single(_one_conductor([meter(entry).phases[0] for entry in _entries(status, "meters", count)]))


def _entries(status: object, key: str, count: int) -> list[object]:
    entries = json_fields.items(status, key)
    if len(entries) != count:
        raise ValueError(f"there are {len(entries)} {key} instead of {count}")
    return entries


def em(status: object, letters: str = _LETTERS) -> Sample:
    """Read one phase (`letters` "a", "b" or "c") or the sum of all three from an EM component."""
    _refuse_faulty(status, "errors")
    phases = []
    for letter in letters:
        _refuse_faulty(status, f"{letter}_errors")
        phases.append(
            PhaseReading(
                _power(status, f"{letter}_act_power"),
                _voltage(status, f"{letter}_voltage"),
                _current(status, f"{letter}_current"),
            )
        )
    frequency_hz = _known(*(_frequency(status, f"{letter}_freq") for letter in letters + _LETTERS))
    if len(letters) == 1:
        return Sample(phases[0].power_w, tuple(phases), frequency_hz)
    return Sample(_sum(phases, _finite(status, "total_act_power")), tuple(phases), frequency_hz)


def em_energies(status: object, letters: str = _LETTERS) -> Energies:
    """Read the counters of the same phases from an EMData component."""
    return tuple(
        (_energy(status, f"{letter}_total_act_energy"), _energy(status, f"{letter}_total_act_ret_energy"))
        for letter in letters
    )


def em1(status: object) -> Sample:
    """Read an EM1 component."""
    _refuse_faulty(status, "errors")
    phase = PhaseReading(_power(status, "act_power"), _voltage(status, "voltage"), _current(status, "current"))
    return _single(phase, _frequency(status, "freq"))


def em1_energies(status: object) -> Energies:
    """Read an EM1Data component."""
    return ((_energy(status, "total_act_energy"), _energy(status, "total_act_ret_energy")),)


def components(status: object, kind: str, ids: Sequence[int], read: Read) -> Sample:
    """Read components of one kind from one Shelly.GetStatus: three EM1 as three phases, others as one conductor.

    EM1 have their counters in components of their own; the others bring them along.
    """
    if f"{kind}:{ids[0]}" not in json_fields.keys(status):
        raise ComponentMissingError(f"there is no {kind}:{ids[0]}")
    samples = [read(json_fields.child(status, f"{kind}:{index}")) for index in ids]
    phases = [sample.phases[0] for sample in samples]
    if kind == "em1":
        energies = [em1_energies(json_fields.child(status, f"em1data:{index}"))[0] for index in ids]
        pairs = zip(phases, energies, strict=True)
        phases = [
            replace(p, energy_import_wh=import_wh, energy_export_wh=export_wh) for p, (import_wh, export_wh) in pairs
        ]
    frequency_hz = _known(*(sample.frequency_hz for sample in samples))
    if kind == "em1" and len(ids) == 3:
        return Sample(_sum(phases, None), tuple(phases), frequency_hz)
    return _single(_one_conductor(phases), frequency_hz)


def load_meter(status: object, *, counts_both: bool) -> Sample:
    """Read a PM1 or a Switch component, which count energy themselves.

    Args:
        status: the component's status.
        counts_both: whether `aenergy` counts what was returned too: recorded of a Pro 2PM (both counters 47128.8 Wh at
            -3.5 W), a Pro 4PM and a PM Mini Gen3 (https://github.com/home-assistant/core/issues/137306).
    """
    _refuse_faulty(status, "errors")
    import_wh = _energy(json_fields.child(status, "aenergy"), "total")
    export_wh = _energy(json_fields.child(status, "ret_aenergy"), "total")
    if counts_both and import_wh is not None and export_wh is not None:
        import_wh = max(round(import_wh - export_wh, 3), 0.0)
    phase = PhaseReading(
        _power(status, "apower"), _voltage(status, "voltage"), _current(status, "current"), import_wh, export_wh
    )
    return _single(phase, _frequency(status, "freq"))


def _one_conductor(phases: Sequence[PhaseReading]) -> PhaseReading:
    """Return several channels as if one clamp sat around all; their currents cannot be added without their angles."""
    return PhaseReading(
        _sum(phases, None),
        _known(*(phase.voltage_v for phase in phases)),
        None,
        total([phase.energy_import_wh for phase in phases]),
        total([phase.energy_export_wh for phase in phases]),
    )


def total(values: Sequence[float | None]) -> float | None:
    """Return the sum, None when one is missing: a sum of some phases would be a lie."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _known(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _emeter(entry: object) -> PhaseReading:
    _refuse_invalid(entry)
    return PhaseReading(
        _power(entry, "power"),
        _voltage(entry, "voltage"),
        _current(entry, "current"),  # a 3EM has it, an EM does not
        _energy(entry, "total"),
        _energy(entry, "total_returned"),
    )


def _single(phase: PhaseReading, frequency_hz: float | None = None) -> Sample:
    return Sample(phase.power_w, (phase,), frequency_hz)


def _power(parent: object, key: str) -> float:
    power_w = json_fields.number(parent, key, -LARGEST_POWER_W, LARGEST_POWER_W)
    if power_w is None:
        raise ValueError(f"{key} is no number from -{LARGEST_POWER_W:.0f} to {LARGEST_POWER_W:.0f} W")
    return power_w


def _finite(parent: object, key: str) -> float | None:
    return json_fields.number(parent, key, -sys.float_info.max, sys.float_info.max)


def _sum(phases: Sequence[PhaseReading], total_w: float | None) -> float:
    """Return the device's own sum when it has one, else ours: never one of some phases only."""
    power_w = sum(phase.power_w for phase in phases) if total_w is None else total_w
    if abs(power_w) > LARGEST_POWER_W:
        raise ValueError(f"the sum of the phases is beyond {LARGEST_POWER_W:.0f} W")
    return power_w


def _voltage(parent: object, key: str) -> float | None:
    return json_fields.number(parent, key, 0, _LARGEST_VOLTAGE_V)


def _current(parent: object, key: str) -> float | None:
    current_a = json_fields.number(parent, key, -_LARGEST_CURRENT_A, _LARGEST_CURRENT_A)
    return None if current_a is None else abs(current_a)  # the direction is the power's


def _frequency(parent: object, key: str) -> float | None:
    return json_fields.number(parent, key, 40, 70)


def _energy(parent: object, key: str) -> float | None:
    return json_fields.number(parent, key, 0, _LARGEST_ENERGY_WH)


def _refuse_invalid(entry: object) -> None:
    is_valid = json_fields.child(entry, "is_valid")
    if is_valid is not None and is_valid is not True:
        raise ValueError("is_valid is not true: the meter has just started, or a clamp is missing")


def _refuse_faulty(component: object, key: str) -> None:
    for fault in json_fields.items(component, key):
        if fault in _FAULTS:
            raise ValueError(f"{key} says {fault}")
