"""What a simulated OpenDTU knows of its inverters, and what it was told since the start."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from opendtu_dcload.model import CommandState
from opendtu_dcload.sim.plant.radio import Command


@dataclass(slots=True)
class Counters:
    """What a controller did to the DTU since the start."""

    limits: int = 0
    power: int = 0
    persistent: int = 0
    raised_or_repeated_while_pending: int = 0
    lowered_while_pending: int = 0


@dataclass(slots=True)
class Statistics:
    """The last statistics answer of one inverter."""

    at_s: float
    ac_power_w: float = 0.0
    ac_voltage_v: float = 0.0
    dc_power_w: float = 0.0
    dc_voltage_v: float = 0.0
    temperature_c: float = 0.0
    yield_wh: float = 0.0


@dataclass(slots=True)
class Believed:
    """What the DTU knows of one inverter."""

    limit_pct: float = 0.0
    rated_w: float = 0.0
    limit_state: CommandState = CommandState.OK
    power_state: CommandState = CommandState.OK
    statistics: Statistics | None = None
    failed_polls: int = 0
    limit_acked_at_s: float = -math.inf
    read_back_at_s: float = -math.inf
    failed: list[Command] = field(default_factory=list)
    transmissions: int = 0
    answers: int = 0
