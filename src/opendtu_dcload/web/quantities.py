"""Every number that is told by its name: in JSON, as a metric, and by the command `status`.

A name ends with its unit. A metric has the base units of Prometheus, but energy in Wh, as on every bill.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from opendtu_dcload.model import BatteryStatus, InverterStatus
from opendtu_dcload.web.moment import InverterNow, Moment

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Reading = TypeVar("Reading")


@dataclass(frozen=True, slots=True)
class Quantity(Generic[Reading]):
    """One number."""

    metric: str
    """Its name among the metrics, behind `opendtu_dcload_`; one that ends with `_total` is a counter."""
    read: Callable[[Reading], float | None]
    meaning: str
    digits: int = 0
    scale: float = 1.0
    """The metric is so many times the number."""


Table: TypeAlias = Mapping[str, Quantity[Reading]]

PLANT: Table[Moment] = {
    "grid_w": Quantity("grid_power_watts", lambda now: now.live.grid.now_w, "grid power, import positive"),
    "load_w": Quantity("load_power_watts", lambda now: now.live.load.now_w, "what the house draws"),
    "output_w": Quantity("output_power_watts", lambda now: now.live.output.now_w, "what the inverters give together"),
    "set_point_w": Quantity("set_point_watts", lambda now: now.live.setpoint_w, "what they are told to give together"),
    "cap_w": Quantity("cap_watts", lambda now: now.cap_w, "what they may give at most together"),
    "grid_target_w": Quantity("grid_target_watts", lambda now: now.target_w, "the grid power that is wanted"),
    "room_w": Quantity("room_watts", lambda now: now.room_w, "what they could give beyond what they do"),
    "saved_w": Quantity(
        "left_alone_watts", lambda now: now.saved_w, "difference at the grid that is left alone to save commands"
    ),
    "commands_last_hour": Quantity(
        "commands_last_hour", lambda now: now.totals.commands_last_hour, "commands sent in the last hour"
    ),
    "commands_per_hour": Quantity(
        "commands_per_hour_limit", lambda now: now.commands_per_hour, "commands that an hour may have at most"
    ),
}
METER: Table[Moment] = {
    "age_s": Quantity("meter_age_seconds", lambda now: now.meter_age_s, "since the meter's last good answer", 1),
}
SOLAR: Table[Moment] = {
    "power_w": Quantity("solar_power_watts", lambda now: now.solar_w, "what plug-in solar gives"),
}
MEASURED: Table[InverterStatus] = {
    "output_w": Quantity("inverter_output_power_watts", lambda status: status.ac_power_w, "its output", 1),
    "dc_power_w": Quantity(
        "inverter_dc_power_watts", lambda status: status.dc_power_w, "what it draws from the battery", 1
    ),
    "dc_voltage_v": Quantity(
        "inverter_dc_voltage_volts", lambda status: status.dc_voltage_v, "its voltage on the battery's side", 2
    ),
    "temperature_c": Quantity(
        "inverter_temperature_celsius", lambda status: status.temperature_c, "its temperature", 1
    ),
    "yield_total_wh": Quantity(
        "inverter_yield_watt_hours_total", lambda status: status.yield_total_wh, "its yield since it was made"
    ),
}
INVERTER: Table[InverterNow] = {
    "limit_w": Quantity("inverter_limit_watts", lambda inverter: inverter.limit_w, "the limit it acknowledged", 1),
    "told_w": Quantity(
        "inverter_wanted_limit_watts", lambda inverter: inverter.told_w, "the limit wanted, 0 when it is to be off", 1
    ),
    "rated_w": Quantity("inverter_rated_power_watts", lambda inverter: inverter.rated_w, "its rated power"),
    "age_s": Quantity("inverter_age_seconds", lambda inverter: inverter.age_s, "since its values were measured", 1),
    "commands": Quantity(
        "inverter_commands_total", lambda inverter: inverter.record.sent, "commands sent to it since the start"
    ),
    "commands_failed": Quantity(
        "inverter_commands_failed_total", lambda inverter: inverter.record.failed, "of these without success"
    ),
}
BATTERY: Table[BatteryStatus] = {
    "soc_pct": Quantity(
        "battery_charge_ratio", lambda battery: battery.soc_pct, "how full the battery is", 1, scale=0.01
    ),
    "voltage_v": Quantity("battery_voltage_volts", lambda battery: battery.voltage_v, "its voltage", 2),
    "current_a": Quantity("battery_current_amperes", lambda battery: battery.current_a, "charging positive", 1),
    "power_w": Quantity("battery_power_watts", lambda battery: battery.power_w, "charging positive"),
    "temperature_c": Quantity("battery_temperature_celsius", lambda battery: battery.temperature_c, "of it", 1),
}
TODAY: Table[Moment] = {
    "exported_wh": Quantity("exported_today_watt_hours", lambda now: now.totals.exported_wh, "given away today", 1),
    "avoidable_import_wh": Quantity(
        "avoidable_import_today_watt_hours",
        lambda now: now.totals.avoidable_import_wh,
        "bought today although the inverters had room for it",
        1,
    ),
    "imported_wh": Quantity("imported_today_watt_hours", lambda now: now.totals.imported_wh, "bought today", 1),
    "commands": Quantity("commands_today", lambda now: now.totals.commands, "commands sent today"),
}


def numbers(table: Table[Reading], reading: Reading | None) -> dict[str, Json]:
    """Return the numbers of a table, all None without a reading."""
    if reading is None:
        return dict.fromkeys(table)
    return {name: _rounded(quantity.read(reading), quantity.digits) for name, quantity in table.items()}


def _rounded(number: float | None, digits: int) -> Json:
    if number is None or not -1e15 < number < 1e15:  # neither infinite nor no number at all
        return None
    return round(number, digits) + 0.0 if digits else round(number)  # which turns -0.0 into 0.0
