"""From the configuration to what the pure control knows of it."""

from __future__ import annotations

from collections.abc import Callable

from opendtu_dcload.config import METER_AGES, Config, InverterConfig, OpenDtuConfig
from opendtu_dcload.control.bookkeeping.alarms import Alarms, Watched
from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.protection.battery_guard import BatteryLimits
from opendtu_dcload.control.protection.meter_age import Ladder
from opendtu_dcload.control.protection.plant_guard import GuardSettings
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.devices.hoymiles import UNKNOWN, default_minimum_w, family_of
from opendtu_dcload.freshness import dtu_silent_after_s, missed_rounds_s
from opendtu_dcload.model import DtuStatus, Priority

GUESSED_INPUT_W = 500.0
"""Rated power per DC input that no Hoymiles inverter exceeds; used until the DTU knows the real one."""
LARGEST_W = 2250.0
"""The same for an inverter of unknown family: what OpenDTU takes at most."""


def stale_after_s(config: Config, dtu: OpenDtuConfig) -> float:
    """Return the age in s from which values of a DTU's inverters are stale: it polls one inverter per interval."""
    return missed_rounds_s(max(len(config.serials_of(dtu)), 1) * dtu.poll_interval_s)


def dtu_silent_s(dtu: OpenDtuConfig) -> float:
    """Return the time in s without a good answer after which a DTU is silent: two polls have failed."""
    return dtu_silent_after_s(dtu.poll_interval_s)


def freshness_of(config: Config) -> dict[str, Callable[[DtuStatus | None], float]]:
    """Return by each DTU's name the rule up to which age in s its inverters' values count, see `DtuSettings`."""
    return {name: dtu.freshness_s for name, dtu in settings_of(config).dtus.items()}


def guards_of(config: Config, seasonal_highest_pct: float | None) -> GuardSettings:
    """Return what is to be guarded."""
    battery, solar = config.battery, config.solar
    return GuardSettings(
        battery=BatteryLimits(
            min_cell_voltage_v=battery.min_cell_voltage_v,
            resistance_ohm=battery.resistance_mohm / 1000,
            min_soc_pct=battery.min_soc_pct,
            soc_hysteresis_pct=battery.soc_hysteresis_pct,
            uses_ess_minimum=battery.use_ess_minimum,
            has_multiplus_guard=battery.multiplus_guard,
        ),
        is_seasonal=battery.seasonal_min_soc,
        seasonal_highest_pct=seasonal_highest_pct,
        surplus_soc_pct=battery.surplus_soc_pct,
        surplus_w=battery.surplus_w,
        solar_pessimistic_w=None if solar is None else solar.pessimistic_w,
    )


def settings_of(config: Config, seasonal_highest_pct: float | None = None) -> Settings:
    """Return what the pure controller needs of the configuration and of the last run."""
    control = config.control
    return Settings(
        target_w=control.target_w,
        max_feed_in_w=control.max_feed_in_w,
        base_load_w=control.base_load_w,
        max_temperature_c=control.max_temperature_c,
        min_voltage_v=config.battery.min_voltage_v or 0.0,
        ladder=Ladder(**{name.removeprefix("meter_"): getattr(control, name) for name in METER_AGES}),
        priority=Priority(control.priority),
        may_rest=control.standby,
        has_last_resorts=control.last_resorts,
        guards=guards_of(config, seasonal_highest_pct),
        dtus={
            dtu.name: DtuSettings(
                stale_after_s=stale_after_s(config, dtu),
                silent_s=dtu_silent_s(dtu),
                max_commands_per_hour=dtu.max_commands_per_hour,
            )
            for dtu in config.dtus
        },
    )


def parameters_of(inverter: InverterConfig, dtu: str, rated_w: float | None) -> InverterParameters:
    """Return an inverter as the controller sees it; `rated_w` None = its DTU, named `dtu`, does not know it yet."""
    family = family_of(inverter.serial)
    guessed_w = LARGEST_W if family is UNKNOWN else GUESSED_INPUT_W * family.inputs
    assumed_w = rated_w or guessed_w
    maximum_w = min(inverter.max_power_w or assumed_w, assumed_w)
    minimum_w = inverter.min_power_w or default_minimum_w(inverter.serial, rated_w)
    return InverterParameters(
        serial=inverter.serial,
        minimum_w=min(minimum_w, maximum_w),
        maximum_w=maximum_w,
        rated_w=assumed_w,
        dead_time_s=family.dead_time_s,
        credit_s=family.credit_s,
        raise_spacing_s=family.raise_spacing_s,
        refresh_s=family.refresh_s,
        dtu=dtu,
        radio=f"{dtu}/{family.chip}",
    )


def alarms_of(config: Config, settings: Settings, now_s: float) -> Alarms:
    """Return what watches the devices of a configuration, from `now_s` on."""
    watched = [Watched(i.serial, config.dtu_of(i).name, i.name) for i in config.inverters]
    return Alarms(settings, tuple(watched), now_s)
