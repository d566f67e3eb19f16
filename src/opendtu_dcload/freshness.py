"""Up to which age in s a value counts, and whether it tells anything new: for all who ask.

How the age of the grid meter takes the plant down step by step is `control.protection.meter_age.Ladder`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from opendtu_dcload.model import InverterStatus, MeterReading

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PLAN_S = 10.0
"""The control decides every 1.2 s at the latest: an older plan says only that it hangs."""
METER_SHOWN_S = 15.0
"""Older meter values are not shown; with the default ages the control begins to lower the plant then."""
BATTERY_S = 60.0
"""What the bus says of the battery and of the inverter/charger; each is read every 3 s."""
SOLAR_S = 15.0
"""What plug-in solar gives; afterwards it counts with the most that it may give."""

TIMES = frozenset({"at_s", "answered_at_s", "uptime_s"})
"""What is different in each answer of a device, although nothing has happened."""


class Dated(Protocol):
    """A reading that knows when it was measured."""

    @property
    def at_s(self) -> float:
        """Monotonic time of the measurement in s."""


DatedReading = TypeVar("DatedReading", bound=Dated)


def fresh(reading: DatedReading | None, now_s: float, max_age_s: float) -> DatedReading | None:
    """Return `reading` unless it is older than `max_age_s`."""
    return reading if reading is not None and now_s - reading.at_s <= max_age_s else None


def believed(status: InverterStatus | None, now_s: float, max_age_s: float) -> InverterStatus | None:
    """Return an inverter's measured values while they count: its DTU reaches it, and they are not older.

    Without an output nothing was measured, however young the answer seems.
    """
    if status is None or status.ac_power_w is None or not status.reachable:
        return None
    return fresh(status, now_s, max_age_s)


def missed_rounds_s(round_s: float) -> float:
    """Return the age at which an inverter has missed three rounds of its DTU's polling, each of `round_s`."""
    return 3 * round_s + 5


def dtu_silent_after_s(poll_interval_s: float) -> float:
    """Return for how long a DTU may give no good answer before it is silent: two polls have failed."""
    return max(15.0, 2 * poll_interval_s + 5)


def dtu_summed_s(poll_interval_s: float) -> float:
    """Return for how long the inverters of a DTU that gives no good answer stay in the sum of the DC system.

    It is shorter than for anything else, because what is too much in that sum overcharges the battery.
    """
    return max(10.0, 2 * poll_interval_s)


def content(status: DataclassInstance) -> object:
    """Return all that a device tells but its times, to be compared."""
    return _fields(type(status))(status)


def contents(statuses: Mapping[str, DataclassInstance]) -> dict[str, object]:
    """Return the `content` of each."""
    return {serial: content(status) for serial, status in statuses.items()}


def measured(reading: MeterReading) -> object:
    """Return what a meter tells of the moment, to be compared: its counters only where there is nothing but powers.

    Counters may come from another document, saved and read once a minute: then they move after the rest has frozen.
    """
    moment = (
        reading.frequency_hz,
        *(value for phase in reading.phases if phase is not None for value in (phase.voltage_v, phase.current_a)),
    )
    if all(value is None for value in moment):
        return content(reading)
    return reading.power_w, *(phase and phase.power_w for phase in reading.phases), *moment


@cache
def _fields(kind: type[DataclassInstance]) -> Callable[[Any], object]:
    return attrgetter(*(field.name for field in fields(kind) if field.name not in TIMES))
