"""How much the plant should give: a step that the meter has to show where one is due, else what the regulator says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from opendtu_dcload.control.protection.meter_evidence import MeterEvidence
from opendtu_dcload.control.protection.permit import Permit
from opendtu_dcload.control.regulation.dispatch import Headroom
from opendtu_dcload.control.regulation.operating_range import OperatingRange
from opendtu_dcload.control.regulation.regulator import AvailableMoves, Regulator
from opendtu_dcload.model import MeterReading, Priority

EXPORT_W, EXPORT_S = 30.0, 5.0
"""Export of so much for so long, with nothing of ours under way, is real whatever the model holds possible."""


class PlantRegulation:
    """Turns each new answer of the meter into the plant's set-point."""

    def __init__(self, priority: Priority, meter: MeterEvidence) -> None:
        self._meter = meter
        self._regulator = Regulator(priority)
        self._exporting_since_s = math.inf

    @property
    def wait(self) -> str:
        """Why a difference at the grid is left alone, in words; empty when none is."""
        return str(self._regulator.wait)

    @property
    def is_ahead(self) -> bool:
        """Whether the set-point is for a load that is foretold, not for the one that was seen."""
        return self._regulator.is_ahead

    def setpoint_w(
        self,
        permit: Permit,
        plant_range: OperatingRange,
        headrooms: Sequence[Headroom],
        goal_w: tuple[float, float],
        moves: Callable[[], AvailableMoves],
    ) -> float:
        """Return what the plant should give in W; what is commanded already when nothing new was heard.

        Args:
            permit: what protection allows.
            plant_range: what the plant gives and could give.
            headrooms: the inverters that can be set now.
            goal_w: the grid power to hold, import positive, and what is to be fed in beyond that on purpose.
            moves: tells what can be commanded now, and at which price.
        """
        meter = self._meter
        if meter.was_silent:
            self._regulator.forget()
        meter.judge(plant_range.committed_w)
        if meter.new is None:
            setpoint_w: float | None = None
        elif not permit.may_regulate:
            self._regulator.reset()
            meter.movement.withdraw()
            setpoint_w = None
        elif (setpoint_w := meter.asked_w(plant_range, headrooms)) is not None:
            self._regulator.reset()
        elif meter.movement.is_new:
            setpoint_w = self._regulated_w(meter.new, plant_range, goal_w, moves)
        return min(plant_range.committed_w if setpoint_w is None else setpoint_w, plant_range.ceiling_w)

    def _regulated_w(
        self,
        reading: MeterReading,
        plant_range: OperatingRange,
        goal_w: tuple[float, float],
        moves: Callable[[], AvailableMoves],
    ) -> float | None:
        meter = self._meter
        if (probe_w := meter.probe_w(plant_range)) is not None:
            self._regulator.reset()
            return probe_w
        ceiling_w = plant_range.ceiling_w if meter.may_rise else min(plant_range.ceiling_w, plant_range.committed_w)
        target_w, surplus_w = goal_w
        needed_w = reading.power_w - target_w + surplus_w
        low_w, high_w = meter.output.visible_w
        if self._exports_truly(reading.at_s, needed_w):
            low_w = high_w = plant_range.committed_w
        setpoint_w = self._regulator.update(
            reading.at_s,
            (needed_w + low_w, needed_w + high_w),
            plant_range.committed_w,
            (plant_range.floor_w, ceiling_w),
            moves(),
        )
        meter.drifted_w = self._regulator.drifted_w
        return setpoint_w

    def _exports_truly(self, at_s: float, needed_w: float) -> bool:
        """Tell whether export has remained since every command had its time: then no model explains it away."""
        if needed_w > -EXPORT_W or not self._meter.shows_all:
            self._exporting_since_s = math.inf
            return False
        self._exporting_since_s = min(self._exporting_since_s, at_s)
        return at_s - self._exporting_since_s >= EXPORT_S
