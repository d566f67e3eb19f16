"""OpenDTU-OnBattery: the measured output plus the error, once limits, statistics and meter are new enough."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Sequence

import aiohttp

from opendtu_dcload.devices.http import Clock
from opendtu_dcload.errors import DeviceError
from opendtu_dcload.model import CommandState
from opendtu_dcload.sim.peers.peer import BAND_W, RELATIVE, TARGET_W, Peer, Setup, Unit
from opendtu_dcload.sim.plant.dtu_memory import Believed
from opendtu_dcload.sim.plant.world import World

POLL_S = 1.0
"""The least that its page lets a user choose for a meter read over HTTP; the default is 10 s."""
METER_AFTER_S = 2.0
"""A meter value may be so old when it arrives (pull request 872)."""


class OnBattery(Peer):
    """A part of OpenDTU's firmware: it has the inverters' state in its own memory, and asks the meter only.

    It looks at everything all the time, but what it waits for last is always the meter. No inverter is put into
    standby: the least is its lower limit.
    """

    TIMEOUT_S = 1.0
    """HTTP_REQUEST_TIMEOUT_MS."""

    def __init__(self, setup: Setup, session: aiohttp.ClientSession, clock: Clock, world: World) -> None:
        """Run on the DTUs of `world`, whose time is that of `clock`."""
        super().__init__(setup, session, clock)
        self._world = world
        self._cap_w = sum(unit.maximum_w for unit in self.units)
        self._heard_at_s: dict[Unit, float] = {}

    async def run(self) -> None:
        """Ask the meter again and again, and calculate anew with each answer."""
        due_s = self.clock()
        while True:
            with contextlib.suppress(DeviceError):
                self._calculate(await self.meter_w(), self.clock())
            due_s = max(due_s + POLL_S, self.clock() + POLL_S / 2)
            await asyncio.sleep(due_s - self.clock())

    def _known(self, unit: Unit) -> Believed:
        return self._world.dtu_of(unit.serial).believed[unit.serial]

    def _output_w(self, unit: Unit) -> int:
        statistics = self._known(unit).statistics
        return int(statistics.ac_power_w) if statistics else 0

    def _limit_w(self, unit: Unit) -> int:
        """Return the acknowledged limit in whole W; 0 = unknown."""
        return int(self._known(unit).limit_pct * unit.rated_w / 100)

    def _calculate(self, meter_w: float, meter_at_s: float) -> None:
        """Calculate anew if everything is new enough."""
        self._world.advance(self.clock())
        polled = [unit for unit in self.units if self._known(unit).statistics]
        if not polled or any(self._known(unit).limit_state is CommandState.PENDING for unit in polled):
            return
        unknown = [unit for unit in polled if not self._known(unit).limit_pct]
        for unit in unknown:  # issue 1427: its lower limit makes it known
            self._post(unit, 0)
        heard_s = [self._heard_s(unit) for unit in polled]
        if unknown or meter_at_s <= max(heard_s) + METER_AFTER_S:
            return
        output_w = sum(self._output_w(unit) for unit in polled)
        wanted_w = max(min(output_w + round(meter_w) - TARGET_W, int(self._cap_w)), 0)
        if wanted_w <= output_w - BAND_W:
            self._reduce(polled, output_w - wanted_w)
        elif wanted_w >= output_w + BAND_W:
            self._increase(polled, wanted_w - output_w)

    def _heard_s(self, unit: Unit) -> float:
        """Return when the first statistics after the inverter's last limit came, infinity when they did not yet."""
        known = self._known(unit)
        heard_s = self._heard_at_s.get(unit, -math.inf)
        if heard_s <= known.limit_acked_at_s:
            if known.statistics is None or known.statistics.at_s <= known.limit_acked_at_s:
                return math.inf
            heard_s = self._heard_at_s[unit] = known.statistics.at_s
        return heard_s

    def _reduce(self, units: Sequence[Unit], left_w: float) -> None:
        """Take power away, first where most can go."""
        for unit in sorted(units, key=lambda unit: unit.minimum_w - self._output_w(unit)):
            room_w = self._output_w(unit) - unit.minimum_w
            if left_w < BAND_W or room_w < BAND_W:
                return
            limit_w = self._limit_w(unit) - left_w
            self._post(unit, limit_w)
            left_w -= left_w if limit_w >= unit.minimum_w else room_w

    def _increase(self, units: Sequence[Unit], left_w: float) -> None:
        """Add power, first where the limit leaves most room."""
        for unit in sorted(units, key=lambda unit: self._limit_w(unit) - unit.maximum_w):
            room_w = unit.maximum_w - self._limit_w(unit)
            if left_w < BAND_W or room_w < BAND_W:
                return
            taken_w = min(left_w, room_w)
            self._post(unit, self._limit_w(unit) + taken_w)
            left_w -= taken_w

    def _post(self, unit: Unit, limit_w: float) -> None:
        limit_pct = max(100 * limit_w / unit.rated_w, unit.least_pct(0.1))
        self._world.dtu_of(unit.serial).post_limit(unit.serial, RELATIVE, limit_pct)
