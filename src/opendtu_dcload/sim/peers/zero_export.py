"""HoymilesZeroExport: about every 20 s the last set-point plus the error, shared out by rated power."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp

from opendtu_dcload.devices.http import Clock
from opendtu_dcload.errors import DeviceError
from opendtu_dcload.sim.peers.peer import BAND_W, TARGET_W, Peer, Setup, Unit

ROUND_S = 20
"""LOOP_INTERVAL_IN_SECONDS."""
POLL_S = 1
"""POLL_INTERVAL_IN_SECONDS: the pause between two questions to the meter."""
ACK_TIMEOUT_S = 10
"""SET_LIMIT_TIMEOUT_SECONDS."""
ACK_POLL_S = 0.5
MAX_POINT_W = 1500
"""POWERMETER_MAX_POINT: above it at once to the maximum (ON_GRID_USAGE_JUMP_TO_LIMIT_PERCENT = 100), and no second
action in that round (issue 248). The default 0 is for roofs; a battery wants it to be the exception (issue 28), as
in the configuration of issue 80."""
SLOW_FALL = 0.8
"""SLOW_APPROX_FACTOR_IN_PERCENT = 20: a fall takes 80 % of the error. Its threshold, 20 % of the plant, is worked
out before any inverter has answered, so it is 0."""


class ZeroExport(Peer):
    """The meter's last value of a round is what it acts on, a pause later."""

    TIMEOUT_S = 10.0
    TRIES = 4
    """MAX_RETRIES = 3."""

    def __init__(self, setup: Setup, session: aiohttp.ClientSession, clock: Clock) -> None:
        super().__init__(setup, session, clock)
        self._minimum_w = sum(unit.minimum_w for unit in self.units)
        self._maximum_w = sum(unit.maximum_w for unit in self.units)
        self._setpoint_w = self._minimum_w
        self._sent_w: dict[Unit, int] = {}

    async def run(self) -> None:
        """Begin at the minima, then run one round after the other."""
        with contextlib.suppress(DeviceError):
            await self._send()
        while True:
            try:
                await self._round()
            except DeviceError:
                await asyncio.sleep(ROUND_S)

    async def _round(self) -> None:
        for unit in (*self.units, *self.units):  # is it reachable, and how high is the battery's voltage?
            await self.output_w(unit)
        power_w = 0
        for poll in range(ROUND_S // POLL_S):
            power_w = int(await self.meter_w())
            if power_w > MAX_POINT_W:
                self._setpoint_w = self._maximum_w
                await self._send()
                await asyncio.sleep(ROUND_S - poll * POLL_S)
                return
            await asyncio.sleep(POLL_S)
        self._setpoint_w = max(min(await self._next_w(power_w - TARGET_W), self._maximum_w), self._minimum_w)
        await self._send()

    async def _next_w(self, error_w: int) -> float:
        if abs(error_w) <= BAND_W:
            return self._setpoint_w
        if error_w > 0:
            return self._setpoint_w + error_w
        basis_w = self._setpoint_w
        if basis_w >= self._maximum_w:
            basis_w = sum([await self.output_w(unit) for unit in self.units])
        return basis_w + SLOW_FALL * error_w

    async def _send(self) -> None:
        """Send the limits that change, one after the other, each after the last one's acknowledgement."""
        for unit in self.units:
            limit_w = max(int(self._setpoint_w * unit.maximum_w / self._maximum_w), int(unit.minimum_w))
            if self._sent_w.get(unit) == limit_w:
                continue
            self._sent_w.pop(unit, None)
            await self.post_pct(unit, max(int(100 * limit_w / unit.rated_w), unit.least_pct(1)))
            if await self._is_acknowledged(unit):
                self._sent_w[unit] = limit_w

    async def _is_acknowledged(self, unit: Unit) -> bool:
        begun_s = self.clock()
        with contextlib.suppress(DeviceError):
            while self.clock() < begun_s + ACK_TIMEOUT_S:
                await asyncio.sleep(ACK_POLL_S)
                if (await self.limits(unit.dtu))[unit.serial]["limit_set_status"] == "Ok":
                    return True
        return False
