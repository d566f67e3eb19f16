"""What stands in a recording: for each field its key, where the program has it, and its kind.

The keys are the format's. Whoever renames a class or an attribute changes it here and nowhere else, and old recordings
are decided again as before. What is new has a value here that it had before (`absent`); what cannot be told so needs
another `VERSION`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from opendtu_dcload.control.commands.command_policy import Command, Reboot, Restart, SetLimit, SetPower
from opendtu_dcload.control.decision import Seen
from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.protection.battery_guard import BatteryLimits
from opendtu_dcload.control.protection.meter_age import Ladder
from opendtu_dcload.control.protection.plant_guard import ExternalInputs, GuardSettings
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import (
    BatteryStatus,
    CommandState,
    DtuStatus,
    InverterStatus,
    LimitStatus,
    MeterReading,
    MultiplusStatus,
    PhaseReading,
    Priority,
    Reason,
    RelayOrder,
    RelayStatus,
    SolarReading,
)
from opendtu_dcload.recording.disguise import Disguise
from opendtu_dcload.recording.forms import (
    DTU,
    FLAG,
    NUMBER,
    RADIO,
    SERIAL,
    TEXT,
    TIME,
    WHOLE,
    Field,
    Form,
    Json,
    Kind,
    by,
    each,
    word,
)

MARK = "recording of opendtu_dcload"
"""The one key of the first line."""
VERSION = 1

# ---- the plant and what is wanted of it

UNIT = Form(
    InverterParameters,
    Field("inverter", "serial", SERIAL),
    Field("dtu", "dtu", DTU),
    Field("radio", "radio", RADIO),
    Field("minimum_w", "minimum_w", NUMBER),
    Field("maximum_w", "maximum_w", NUMBER),
    Field("rated_w", "rated_w", NUMBER),
    Field("dead_time_s", "dead_time_s", NUMBER),
    Field("credit_s", "credit_s", NUMBER),
    Field("raise_spacing_s", "raise_spacing_s", NUMBER),
    Field("refresh_s", "refresh_s", NUMBER),
    Field("time_constant_s", "time_constant_s", NUMBER),
    Field("rise_per_s", "rise_per_s", NUMBER),
)

_LADDER = Form(
    Ladder,
    Field("hold_s", "hold_s", NUMBER),
    Field("ramp_s", "ramp_s", NUMBER),
    Field("minimum_s", "minimum_s", NUMBER),
    Field("off_s", "off_s", NUMBER),
)
_DTU_SETTINGS = Form(
    DtuSettings,
    Field("stale_after_s", "stale_after_s", NUMBER),
    Field("silent_s", "silent_s", NUMBER),
    Field("max_commands_per_hour", "max_commands_per_hour", WHOLE),
)
_BATTERY_LIMITS = Form(
    BatteryLimits,
    Field("min_cell_voltage_v", "min_cell_voltage_v", NUMBER, absent=None),
    Field("resistance_ohm", "resistance_ohm", NUMBER),
    Field("min_soc_pct", "min_soc_pct", NUMBER, absent=None),
    Field("soc_hysteresis_pct", "soc_hysteresis_pct", NUMBER),
    Field("use_ess_minimum", "uses_ess_minimum", FLAG),
    Field("multiplus_guard", "has_multiplus_guard", FLAG),
)
_GUARDS = Form(
    GuardSettings,
    Field("battery", "battery", _BATTERY_LIMITS),
    Field("seasonal_min_soc", "is_seasonal", FLAG),
    Field("seasonal_highest_pct", "seasonal_highest_pct", NUMBER, absent=None),
    Field("highest_soc_pct", "highest_soc_pct", NUMBER, absent=None),
    Field("surplus_soc_pct", "surplus_soc_pct", NUMBER, absent=None),
    Field("surplus_w", "surplus_w", NUMBER),
    Field("solar_pessimistic_w", "solar_pessimistic_w", NUMBER, absent=None),
)
_SERIALS = each(SERIAL, frozenset)
SETTINGS = Form(
    Settings,
    Field("target_w", "target_w", NUMBER),
    Field("max_feed_in_w", "max_feed_in_w", NUMBER),
    Field("base_load_w", "base_load_w", NUMBER, absent=None),
    Field("max_temperature_c", "max_temperature_c", NUMBER),
    Field("min_voltage_v", "min_voltage_v", NUMBER),
    Field("meter_ages", "ladder", _LADDER),
    Field("priority", "priority", word({str(priority): priority for priority in Priority})),
    Field("dtus", "dtus", by(DTU, _DTU_SETTINGS)),
    Field("is_regulating", "is_regulating", FLAG),
    Field("switched_off", "switched_off", _SERIALS),
    Field("standby", "may_rest", FLAG),
    Field("last_resorts", "has_last_resorts", FLAG),
    Field("guards", "guards", _GUARDS),
)

# ---- what is seen

_PHASE = Form(
    PhaseReading,
    Field("power_w", "power_w", NUMBER),
    Field("voltage_v", "voltage_v", NUMBER, absent=None),
    Field("current_a", "current_a", NUMBER, absent=None),
    Field("energy_import_wh", "energy_import_wh", NUMBER, absent=None),
    Field("energy_export_wh", "energy_export_wh", NUMBER, absent=None),
)


class _Phases:
    """The three phases by name; one that is not measured is left out."""

    def write(self, phases: Any, disguise: Disguise) -> Json:
        numbered = enumerate(phases, start=1)
        return {f"l{n}": _PHASE.write(phase, disguise) for n, phase in numbered if phase is not None}

    def read(self, document: Json, origin_s: float) -> Any:
        told = by(TEXT, _PHASE).read(document, origin_s)
        return told.get("l1"), told.get("l2"), told.get("l3")


_METER = Form(
    MeterReading,
    Field("t_s", "at_s", TIME),
    Field("power_w", "power_w", NUMBER),
    Field("phases", "phases", _Phases()),
    Field("energy_import_wh", "energy_import_wh", NUMBER, absent=None),
    Field("energy_export_wh", "energy_export_wh", NUMBER, absent=None),
    Field("frequency_hz", "frequency_hz", NUMBER, absent=None),
)


def _inverter(serial: str, **measured: Any) -> InverterStatus:
    return InverterStatus(serial, name=serial, **measured)


_INVERTER = Form(
    _inverter,
    Field("inverter", "serial", SERIAL),
    Field("answered_t_s", "answered_at_s", TIME),
    Field("t_s", "at_s", TIME),
    Field("reachable", "reachable", FLAG),
    Field("ac_power_w", "ac_power_w", NUMBER, absent=None),
    Field("ac_voltage_v", "ac_voltage_v", NUMBER, absent=None),
    Field("dc_power_w", "dc_power_w", NUMBER, absent=None),
    Field("dc_voltage_v", "dc_voltage_v", NUMBER, absent=None),
    Field("dc_current_a", "dc_current_a", NUMBER, absent=None),
    Field("temperature_c", "temperature_c", NUMBER, absent=None),
    Field("yield_total_wh", "yield_total_wh", NUMBER, absent=None),
    Field("is_polled", "is_polled", FLAG),
)
_LIMIT = Form(
    LimitStatus,
    Field("inverter", "serial", SERIAL),
    Field("t_s", "at_s", TIME),
    Field("limit_pct", "limit_pct", NUMBER, absent=None),
    Field("rated_w", "rated_w", NUMBER, absent=None),
    Field("state", "state", word({str(state): state for state in CommandState})),
)
_DTU_STATUS = Form(
    DtuStatus,
    Field("t_s", "at_s", TIME),
    Field("uptime_s", "uptime_s", NUMBER, absent=None),
    Field("is_clock_set", "is_clock_set", FLAG),
    Field("accepts_password", "accepts_password", FLAG),
    Field("round_s", "round_s", NUMBER),
    Field("knows", "serials", _SERIALS, absent=None),
)
_BATTERY = Form(
    BatteryStatus,
    Field("t_s", "at_s", TIME),
    Field("soc_pct", "soc_pct", NUMBER, absent=None),
    Field("voltage_v", "voltage_v", NUMBER, absent=None),
    Field("current_a", "current_a", NUMBER, absent=None),
    Field("power_w", "power_w", NUMBER, absent=None),
    Field("temperature_c", "temperature_c", NUMBER, absent=None),
    Field("min_cell_voltage_v", "min_cell_voltage_v", NUMBER, absent=None),
    Field("max_discharge_current_a", "max_discharge_current_a", NUMBER, absent=None),
    Field("may_discharge", "may_discharge", FLAG, absent=None),
    Field("alarms", "alarms", each(TEXT, tuple)),
    Field("ess_minimum_soc_pct", "ess_minimum_soc_pct", NUMBER, absent=None),
    Field("is_frozen", "is_frozen", FLAG),
)
_MULTIPLUS = Form(
    MultiplusStatus,
    Field("t_s", "at_s", TIME),
    Field("dc_power_w", "dc_power_w", NUMBER, absent=None),
    Field("ess_target_w", "ess_target_w", NUMBER, absent=None),
)
_SOLAR = Form(SolarReading, Field("t_s", "at_s", TIME), Field("power_w", "power_w", NUMBER))
_RELAY = Form(
    RelayStatus, Field("t_s", "at_s", TIME), Field("is_on", "is_on", FLAG), Field("has_timer", "has_timer", FLAG)
)


def _seen(battery: Any, multiplus: Any, solar: Any, relay: Any, **devices: Any) -> Seen:
    return Seen(**devices, external=ExternalInputs(battery, multiplus, solar, relay))


SEEN = Form(
    _seen,
    Field("t_s", "now_s", TIME),
    Field("meter", "meter", _METER, absent=None),
    Field("inverters", "inverters", by(SERIAL, _INVERTER)),
    Field("limits", "limits", by(SERIAL, _LIMIT)),
    Field("dtus", "dtus", by(DTU, _DTU_STATUS)),
    Field("busy", "busy", each(DTU, frozenset)),
    Field("battery", "external.battery", _BATTERY, absent=None),
    Field("multiplus", "external.multiplus", _MULTIPLUS, absent=None),
    Field("solar", "external.solar", _SOLAR, absent=None),
    Field("relay", "external.relay", _RELAY, absent=None),
)

# ---- what is commanded and decided

_COMMANDS: dict[type[Command], tuple[str, Form]] = {
    SetLimit: ("limit", Form(SetLimit, Field("inverter", "serial", SERIAL), Field("limit_w", "limit_w", NUMBER))),
    SetPower: ("power", Form(SetPower, Field("inverter", "serial", SERIAL), Field("on", "on", FLAG))),
    Restart: ("restart", Form(Restart, Field("inverter", "serial", SERIAL), Field("number", "number", WHOLE))),
}
REBOOT = Form(Reboot, Field("dtu", "dtu", DTU), Field("number", "number", WHOLE))


class _Command:
    """A command under the word for what it does."""

    def write(self, command: Any, disguise: Disguise) -> Json:
        what, form = _COMMANDS[type(command)]
        return {what: form.write(command, disguise)}

    def read(self, document: Json, origin_s: float) -> Any:
        for what, form in _COMMANDS.values():
            if isinstance(document, dict) and set(document) == {what}:
                return form.read(document[what], origin_s)
        raise ValueError(f"is none of: {', '.join(what for what, _ in _COMMANDS.values())}")


COMMAND: Kind = _Command()
_COMMANDS_IN_TURN = each(COMMAND, tuple)
_REBOOT = Form(Reboot, Field("dtu", "dtu", DTU), Field("number", "number", WHOLE))
_TOLD = Form(dict, Field("limit_w", "limit_w", NUMBER), Field("on", "is_on", FLAG))


class _Told:
    """What each inverter is told; the note for people is left out."""

    def write(self, inverters: Any, disguise: Disguise) -> Json:
        return {disguise.serial(told.serial): _TOLD.write(told, disguise) for told in inverters}

    def read(self, document: Json, origin_s: float) -> Any:
        return by(SERIAL, _TOLD).read(document, origin_s)


DECIDED = Form(
    dict,
    Field("setpoint_w", "plan.setpoint_w", NUMBER),
    Field("cap_w", "plan.cap_w", NUMBER),
    Field("reason", "plan.reason", word({reason.name.lower(): reason for reason in Reason})),
    Field("relay", "plan.relay", word({str(order): order for order in RelayOrder})),
    Field("inverters", "plan.inverters", _Told()),
    Field("commands", "commands", _COMMANDS_IN_TURN),
    Field("reboots", "reboots", each(_REBOOT, tuple)),
)
"""A decision; it is compared as it is written."""

# ---- what happens


class Start(NamedTuple):
    """What the controller began with."""

    now_s: float
    settings: Settings
    units: Sequence[InverterParameters]


class Sent(NamedTuple):
    """A command, or a DTU's reboot, and when something came of it."""

    what: Any
    now_s: float


class Left(NamedTuple):
    """What the inverters were told at the end."""

    is_off: bool
    is_asked: bool
    commands: Sequence[Command]


START = Form(
    Start,
    Field("t_s", "now_s", TIME),
    Field("settings", "settings", SETTINGS),
    Field("units", "units", each(UNIT, tuple)),
)
SENT = Form(Sent, Field("t_s", "now_s", TIME), Field("command", "what", COMMAND))
REBOOTED = Form(Sent, Field("t_s", "now_s", TIME), Field("reboot", "what", _REBOOT))
LEFT = Form(
    Left,
    Field("off", "is_off", FLAG),
    Field("asked", "is_asked", FLAG, absent=False),
    Field("commands", "commands", _COMMANDS_IN_TURN),
)
