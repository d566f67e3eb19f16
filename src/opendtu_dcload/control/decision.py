"""What a decision is made from, and what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opendtu_dcload.control.commands.command_policy import Command, Reboot
from opendtu_dcload.control.protection.plant_guard import ExternalInputs
from opendtu_dcload.model import DtuStatus, InverterStatus, LimitStatus, MeterReading, Plan


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything a decision is made from."""

    now_s: float
    meter: MeterReading | None
    inverters: Mapping[str, InverterStatus]
    limits: Mapping[str, LimitStatus]
    dtus: Mapping[str, DtuStatus]
    """By name; those that have answered at all."""
    busy: frozenset[str] = frozenset()
    """DTUs that have not answered an earlier command yet: they can be given no further one now."""
    external: ExternalInputs = field(default_factory=ExternalInputs)


@dataclass(frozen=True, slots=True)
class Decision:
    """The plan, and the commands that may go out now."""

    plan: Plan
    commands: tuple[Command, ...] = ()
    reboots: tuple[Reboot, ...] = ()
