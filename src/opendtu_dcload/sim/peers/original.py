"""dbus-opendtu-DC-load: an asymmetric filter, then one inverter per cycle takes the error, in steps of 2 %."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import aiohttp

from opendtu_dcload.devices.http import Clock
from opendtu_dcload.errors import DeviceError
from opendtu_dcload.sim.peers.peer import TARGET_W, Peer, Setup, Unit

CYCLE_S = 4.0
"""DTU_loopTime."""
DEAD_BAND_W = 10
"""ACCURACY."""
RISING_WEIGHT = 3
"""consumeFilterFactor; feedInFilterFactor = 0: export, and a drop by more than DROP_W, unfiltered."""
DROP_W = 150
"""feedInAtNegativeWattDifference."""
SILENT_W = -100
"""What it takes for the power while the meter is silent."""
STEP_PCT = 2
"""stepsPercent."""
MINIMUM_PCT = 2
"""MinPercent."""
MAXIMUM_PCT = 90
"""MaxPercent."""
ROTATION_S = 300.0
"""SignOfLifeLog, 5 minutes: the order rotates if the cycle that follows is calm."""


class Original(Peer):
    """It does nothing to an inverter whose limit is unknown: for 4 minutes after the DTU's boot all run unlimited."""

    TIMEOUT_S = 2.5
    """HTTPTimeout. For the Shelly it has none, and would hang for ever on a lost answer: here it has the same."""

    def __init__(self, setup: Setup, session: aiohttp.ClientSession, clock: Clock) -> None:
        super().__init__(setup, session, clock)
        self._order = list(self.units)
        self._felt_w = 0
        self._rotation_due_s = clock() + ROTATION_S

    async def run(self) -> None:
        """Run a cycle whenever one is due; a late one puts off all that follow."""
        due_s = self.clock()
        while True:
            due_s = max(due_s + CYCLE_S, self.clock())
            await asyncio.sleep(due_s - self.clock())
            with contextlib.suppress(DeviceError):
                await self._cycle()

    async def _cycle(self) -> None:
        """Ask the meter, then the DTUs, then post. A plug-in solar's meter would be asked first; there is none."""
        try:
            self._feel(await self.meter_w())
        except DeviceError:
            self._felt_w = SILENT_W
        limits: dict[str, Any] = {}
        for dtu in {unit.dtu: None for unit in self.units}:
            limits |= await self.limits(dtu)
        error_w = self._felt_w - TARGET_W
        is_calm = abs(error_w) <= DEAD_BAND_W
        if not is_calm:
            for unit in self._order:
                if moved_w := await self._move_w(unit, int(limits[unit.serial]["limit_relative"]), error_w):
                    self._felt_w -= moved_w
                    break
        if self.clock() >= self._rotation_due_s:
            self._rotation_due_s += ROTATION_S
            if is_calm:
                self._order.append(self._order.pop(0))

    def _feel(self, power_w: float) -> None:
        is_falling = power_w < -DEAD_BAND_W or self._felt_w - power_w > DROP_W
        weight = 0 if is_falling else RISING_WEIGHT
        self._felt_w = int((self._felt_w * weight + power_w) / (weight + 1))

    async def _move_w(self, unit: Unit, before_pct: int, error_w: float) -> int:
        """Let an inverter take as much of the error as it can, and return it in W; 0 without a known limit."""
        if not before_pct:
            return 0
        steps = int((before_pct + 100 * error_w / unit.rated_w) / STEP_PCT)
        maximum_pct = min(MAXIMUM_PCT, int(100 * unit.maximum_w / unit.rated_w))
        limit_pct = max(min(steps * STEP_PCT, maximum_pct), MINIMUM_PCT, unit.least_pct(1))
        if limit_pct != before_pct:
            await self.post_pct(unit, limit_pct)
        return int((limit_pct - before_pct) * unit.rated_w / 100)
