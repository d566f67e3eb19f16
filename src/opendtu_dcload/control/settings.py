"""What the pure controller needs to know of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.control.protection.meter_age import Ladder
from opendtu_dcload.control.protection.plant_guard import GuardSettings
from opendtu_dcload.model import Priority


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user wants of the plant; see docs/configuration.md."""

    target_w: float = 0.0
    max_feed_in_w: float = 800.0
    base_load_w: float | None = None
    max_temperature_c: float = 65.0
    min_voltage_v: float = 0.0
    ladder: Ladder = field(default_factory=Ladder)
    priority: Priority = Priority.BALANCED
    dtus: Mapping[str, DtuSettings] = field(default_factory=dict)
    """By name; the defaults hold for a DTU that is not in it."""
    is_regulating: bool = True
    """False: the plant goes to its minimum."""
    switched_off: frozenset[str] = frozenset()
    """Serials of the inverters that are not to be used: powered off."""
    may_rest: bool = False
    """Inverters that are not needed for long are powered off."""
    has_last_resorts: bool = True
    """An inverter that does not obey is restarted, a DTU that reaches none is rebooted."""
    guards: GuardSettings = field(default_factory=GuardSettings)
