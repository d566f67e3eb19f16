"""What the programs of other people have in common: devices that are asked over HTTP, and described inverters."""

from __future__ import annotations

import contextlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import aiohttp
from pydantic import SecretStr

from opendtu_dcload.devices.http import Clock, DeviceHttp
from opendtu_dcload.errors import DeviceError

TARGET_W = 25
"""Import to hold: the original's ZeroPoint. The others' defaults are 0 W (OnBattery) and -75 W (ZeroExport)."""
BAND_W = 25
"""ZeroExport's POWERMETER_TOLERANCE, and the hysteresis that OnBattery's wiki shows; its default 0 acts on any watt."""
RELATIVE = 1
"""`limit_type`: all three send percents that are not stored."""


@dataclass(frozen=True, slots=True)
class Unit:
    """An inverter as the user of such a program describes it."""

    serial: str
    rated_w: float
    minimum_w: float
    maximum_w: float
    dtu: str
    """Address of its OpenDTU."""

    def least_pct(self, grain_pct: float) -> float:
        """Return the lowest limit in % of rated that is a multiple of `grain_pct`."""
        return math.ceil(100 * self.minimum_w / self.rated_w / grain_pct) * grain_pct


@dataclass(frozen=True, slots=True)
class Setup:
    """What the user of such a program configures."""

    meter: str
    """Address of the Shelly."""
    password: str
    """Of the OpenDTUs."""
    units: Sequence[Unit]


class Peer(ABC):
    """A program of other people. Its requests go out one after the other and raise a `DeviceError` without an answer.

    Args:
        setup: devices and inverters.
        session: opened and closed by the caller.
        clock: monotonic time in s.
    """

    TIMEOUT_S: ClassVar[float]
    """Time limit of a request."""
    TRIES: ClassVar[int] = 1
    """How often a request is made until it is answered."""

    def __init__(self, setup: Setup, session: aiohttp.ClientSession, clock: Clock) -> None:
        self.units = setup.units
        self.clock = clock
        self._meter = self._door(setup.meter, None, session)
        self._dtus = {unit.dtu: self._door(unit.dtu, setup.password, session) for unit in setup.units}

    @abstractmethod
    async def run(self) -> None:
        """Do what the program does, for ever."""

    def _door(self, host: str, password: str | None, session: aiohttp.ClientSession) -> DeviceHttp:
        login = _Login(host, SecretStr(password) if password else None, self.TIMEOUT_S)
        door = DeviceHttp(host, "host", login, session, self.clock)
        door.authenticate_with("basic")
        return door

    async def meter_w(self) -> float:
        """Return the power at the grid in W."""
        return float((await self._get(self._meter, "/rpc/EM.GetStatus?id=0"))["total_act_power"])

    async def limits(self, dtu: str) -> dict[str, Any]:
        """Return by serial what the OpenDTU at an address tells of limits."""
        return await self._get(self._dtus[dtu], "/api/limit/status")

    async def output_w(self, unit: Unit) -> int:
        """Return an inverter's AC power of the last statistics in whole W, as these programs read it."""
        live = await self._get(self._dtus[unit.dtu], f"/api/livedata/status?inv={unit.serial}")
        return int(live["inverters"][0]["AC"]["0"]["Power"]["v"])

    async def post_pct(self, unit: Unit, limit_pct: float) -> None:
        """Send a limit in % of rated."""
        limit = {"serial": unit.serial, "limit_type": RELATIVE, "limit_value": limit_pct}
        await self._dtus[unit.dtu].post("/api/limit/config", {"data": json.dumps(limit)})

    async def _get(self, door: DeviceHttp, path: str) -> dict[str, Any]:
        for _ in range(self.TRIES - 1):
            with contextlib.suppress(DeviceError):
                return cast("dict[str, Any]", await door.get(path))
        return cast("dict[str, Any]", await door.get(path))


@dataclass(frozen=True, slots=True)
class _Login:
    host: str
    password: SecretStr | None
    timeout_s: float
    user: str = "admin"
