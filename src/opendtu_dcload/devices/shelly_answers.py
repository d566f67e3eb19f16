"""What a Shelly's JSON means: from one document to one sample, or a ValueError that says what is wrong with it.

Power is import positive as the device gives it, energies are in Wh. Vendor documentation:
https://shelly-api-docs.shelly.cloud (generation 1: /status; generation 2: EM, EM1, PM1 and Switch).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opendtu_dcload.devices import parse
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
    watt_minutes = parse.number(entry, "total", 0, 60 * _LARGEST_ENERGY_WH)
    energy_wh = None if watt_minutes is None else watt_minutes / 60
    return _single(PhaseReading(_power(entry, "power"), energy_import_wh=energy_wh))


def emeters(status: object) -> Sample:
    """Read all three clamps of a 3EM of generation 1 from its `/status`."""
    entries = parse.items(status, "emeters")
    if len(entries) != 3:
        raise ValueError(f"there are {len(entries)} phases instead of 3")
    phases = [_emeter(entry) for entry in entries]
    return Sample(_sum(phases, _finite(status, "total_power")), tuple(phases))


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
    frequency_hz = _frequency(status, f"{letters[0]}_freq")
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


def em1_sum(status: object) -> Sample:
    """Read the three EM1 components of a Pro 3EM in profile `monophase` from one Shelly.GetStatus."""
    if "em1:0" not in parse.keys(status):
        raise ComponentMissingError("there is no em1:0")
    phases = []
    for index in range(3):
        single = em1(parse.child(status, f"em1:{index}"))
        ((import_wh, export_wh),) = em1_energies(parse.child(status, f"em1data:{index}"))
        phase = single.phases[0]
        phases.append(PhaseReading(phase.power_w, phase.voltage_v, phase.current_a, import_wh, export_wh))
    return Sample(_sum(phases, None), tuple(phases), single.frequency_hz)


def power_meter(status: object) -> Sample:
    """Read a PM1 or a Switch component, which count energy themselves."""
    _refuse_faulty(status, "errors")
    phase = PhaseReading(
        _power(status, "apower"),
        _voltage(status, "voltage"),
        _current(status, "current"),
        _energy(parse.child(status, "aenergy"), "total"),
        _energy(parse.child(status, "ret_aenergy"), "total"),
    )
    return _single(phase, _frequency(status, "freq"))


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
    power_w = parse.number(parent, key, -LARGEST_POWER_W, LARGEST_POWER_W)
    if power_w is None:
        raise ValueError(f"{key} is no number from -{LARGEST_POWER_W:.0f} to {LARGEST_POWER_W:.0f} W")
    return power_w


def _finite(parent: object, key: str) -> float | None:
    return parse.number(parent, key, -sys.float_info.max, sys.float_info.max)


def _sum(phases: Sequence[PhaseReading], total_w: float | None) -> float:
    """Return the device's own sum when it has one, else ours: never one of some phases only."""
    power_w = sum(phase.power_w for phase in phases) if total_w is None else total_w
    if abs(power_w) > LARGEST_POWER_W:
        raise ValueError(f"the sum of the phases is beyond {LARGEST_POWER_W:.0f} W")
    return power_w


def _voltage(parent: object, key: str) -> float | None:
    return parse.number(parent, key, 0, _LARGEST_VOLTAGE_V)


def _current(parent: object, key: str) -> float | None:
    current_a = parse.number(parent, key, -_LARGEST_CURRENT_A, _LARGEST_CURRENT_A)
    return None if current_a is None else abs(current_a)  # the direction is the power's


def _frequency(parent: object, key: str) -> float | None:
    return parse.number(parent, key, 40, 70)


def _energy(parent: object, key: str) -> float | None:
    return parse.number(parent, key, 0, _LARGEST_ENERGY_WH)


def _refuse_invalid(entry: object) -> None:
    is_valid = parse.child(entry, "is_valid")
    if is_valid is not None and is_valid is not True:
        raise ValueError("is_valid is not true: the meter has just started, or a clamp is missing")


def _refuse_faulty(component: object, key: str) -> None:
    for fault in parse.items(component, key):
        if fault in _FAULTS:
            raise ValueError(f"{key} says {fault}")
