"""What a broker is told of the plant and of each inverter: names with units, null for what is not known or too old."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Generic

from opendtu_dcload.control.protection.battery_guard import believed
from opendtu_dcload.freshness import METER_SHOWN_S, fresh
from opendtu_dcload.limit_reading import watts_of
from opendtu_dcload.live.live_plant import LivePlant, Source
from opendtu_dcload.model import BatteryStatus, InverterPlan, InverterStatus, LimitStatus, MeterReading, Plan
from opendtu_dcload.state import State
from opendtu_dcload.venus.gx.gx_controls import Controls, enabled_name
from opendtu_dcload.venus.services.device import Display, Reading, Shown, reported_of
from opendtu_dcload.venus.services.diagnostics import InverterHealth, PlantHealth

PLANT_CONTROLS = ("regulation", "max_feed_in_w", "grid_target_w")
"""What may be set for the whole plant; the state has each under the same name."""

Values = dict[str, object]

_COUNTERS: Mapping[str, Shown[MeterReading]] = {
    "grid_import_kwh": Shown("kWh", 3, lambda meter: meter.energy_import_wh, is_energy=True),
    "grid_export_kwh": Shown("kWh", 3, lambda meter: meter.energy_export_wh, is_energy=True),
}
_PLAN: Mapping[str, Shown[Plan]] = {
    "setpoint_w": Shown("W", 0, lambda plan: plan.setpoint_w),
    "cap_w": Shown("W", 0, lambda plan: plan.cap_w),
}
_BATTERY: Mapping[str, Shown[BatteryStatus]] = {
    "soc_pct": Shown("%", 1, lambda battery: battery.soc_pct),
    "battery_voltage_v": Shown("V", 2, lambda battery: battery.voltage_v),
    "battery_power_w": Shown("W", 0, lambda battery: battery.power_w),
    "battery_temperature_c": Shown("C", 1, lambda battery: battery.temperature_c),
}
_MEASURED: Mapping[str, Shown[InverterStatus]] = {
    "ac_power_w": Shown("W", 1, lambda status: status.ac_power_w),
    "dc_power_w": Shown("W", 1, lambda status: status.dc_power_w),
    "dc_voltage_v": Shown("V", 2, lambda status: status.dc_voltage_v),
    "dc_current_a": Shown("A", 2, lambda status: status.dc_current_a),
    "temperature_c": Shown("C", 1, lambda status: status.temperature_c),
    "yield_kwh": Shown("kWh", 3, lambda status: status.yield_total_wh, is_energy=True),
}
_ACKNOWLEDGED: Mapping[str, Shown[LimitStatus]] = {"limit_w": Shown("W", 0, watts_of)}
_WANTED: Mapping[str, Shown[InverterPlan]] = {
    "wanted_w": Shown("W", 0, lambda plan: plan.limit_w if plan.is_on else 0.0),
}
_PLANT_HEALTH = {
    "exported_today_kwh": "/Health/ExportedToday",
    "avoidable_import_today_kwh": "/Health/AvoidableImportToday",
    "commands": "/Health/Commands",
    "commands_failed": "/Health/CommandsFailed",
}
"""By name here, where the bus shows the same."""
_INVERTER_HEALTH = {
    "commands": "/Health/Commands",
    "commands_failed": "/Health/CommandsFailed",
    "last_command": "/Health/LastCommand",
    "last_result": "/Health/LastResult",
}


class PublishedPlant:
    """The plant as a whole."""

    def __init__(
        self, state: State, sources: Mapping[str, Source], dtus: Mapping[str, str], controls: Controls | None
    ) -> None:
        """Take where values come from.

        Args:
            state: what is known.
            sources: of the inverters, by serial.
            dtus: labels of the DTUs by their names in the state.
            controls: what may be set; None = nothing.
        """
        self._state = state
        self._sources = sources
        self._controls = controls
        self._health = PlantHealth(dtus)
        self._counters = _Numbers(_COUNTERS)
        self._plan = _Numbers(_PLAN)
        self._battery = _Numbers(_BATTERY)

    def values(self, now_s: float) -> Values:
        """Return what is told now."""
        state = self._state
        live, plan = LivePlant.of(state, self._sources, now_s), state.plan_at(now_s)
        health = self._health.values(state, now_s)
        return {
            "grid_power_w": live.grid.now_w,
            "output_w": live.output.now_w,
            "solar_w": live.solar.now_w if live.solar is not None else None,
            "load_w": live.load.now_w,
            **self._plan.values(plan),
            "reason": plan.words if plan is not None else None,
            "alarms": [alarm.text for alarm in state.alarms],
            **self._battery.values(believed(now_s, state.battery)),
            **self._counters.values(fresh(state.meter, now_s, METER_SHOWN_S)),
            **{name: _tidy(health[path], 3) for name, path in _PLANT_HEALTH.items()},
            **_set(self._controls, {name: name for name in PLANT_CONTROLS}),
        }


class PublishedInverter:
    """One inverter."""

    def __init__(self, state: State, serial: str, source: Source, controls: Controls | None) -> None:
        """Take where values come from, as `PublishedPlant` does."""
        self._state = state
        self._serial = serial
        self._source = source
        self._controls = controls
        self._health = InverterHealth(serial)
        self._measured = _Numbers(_MEASURED)
        self._acknowledged = _Numbers(_ACKNOWLEDGED)
        self._wanted = _Numbers(_WANTED)

    def values(self, now_s: float) -> Values:
        """Return what is told now."""
        told = reported_of(self._state, self._serial, *self._source, now_s)
        plan = self._state.plan_at(now_s)
        mine = next((part for part in plan.inverters if part.serial == self._serial), None) if plan else None
        health = self._health.values(self._state, now_s)
        return {
            "reachable": told.status is not None,
            **self._measured.values(told.status),
            **self._acknowledged.values(told.limit),
            **self._wanted.values(mine),
            "note": mine.note if mine is not None else None,
            **{name: health[path] for name, path in _INVERTER_HEALTH.items()},
            **_set(self._controls, {"enabled": enabled_name(self._serial)}),
        }


class _Numbers(Generic[Reading]):
    """The numbers of one reading, as on the bus; what is no number is null."""

    def __init__(self, table: Mapping[str, Shown[Reading]]) -> None:
        self._table = table
        self._display = Display(table)

    def values(self, reading: Reading | None) -> Values:
        """Return the numbers; all null without a reading."""
        return {name: _tidy(value, self._table[name].digits) for name, value in self._display.values(reading).items()}


def _tidy(value: object, digits: int) -> object:
    if not isinstance(value, float):
        return value
    return (round(value, digits) + 0.0 if digits else round(value)) if math.isfinite(value) else None


def _set(controls: Controls | None, names: Mapping[str, str]) -> Values:
    if controls is None:
        return {}
    by_name = controls.by_name
    return {name: by_name[control].value for name, control in names.items()}
