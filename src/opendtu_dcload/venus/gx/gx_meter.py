"""The grid meter of the GX, read instead of a Shelly; never one that this program shows itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from opendtu_dcload.errors import BusError, DeviceConnectionError
from opendtu_dcload.model import MeterInfo, MeterReading, PhaseReading
from opendtu_dcload.venus.gx.service_watch import SYSTEM, ServiceWatch, number
from opendtu_dcload.venus.services.device import PROCESS_NAME

_PHASES = ("/Ac/L1/Power", "/Ac/L2/Power", "/Ac/L3/Power")
_SYSTEM_PHASES = ("/Ac/Grid/L1/Power", "/Ac/Grid/L2/Power", "/Ac/Grid/L3/Power")
_RANGE_W = (-1_000_000.0, 1_000_000.0)

# What else a grid service tells (venus wiki, "Grid and genset meter"); none of it is regulated by.
_VOLTAGES = ("/Ac/L1/Voltage", "/Ac/L2/Voltage", "/Ac/L3/Voltage")
_CURRENTS = ("/Ac/L1/Current", "/Ac/L2/Current", "/Ac/L3/Current")
_FORWARD, _REVERSE, _FREQUENCY = "/Ac/Energy/Forward", "/Ac/Energy/Reverse", "/Ac/Frequency"
_WH_PER_KWH = 1000


class GxMeter:
    """Reads `com.victronenergy.grid`, else what systemcalc knows of the grid (a MultiPlus measures its AC input)."""

    vendor = "GX"
    has_refresh = False

    def __init__(self, watch: ServiceWatch, clock: Callable[[], float]) -> None:
        """Read nothing yet.

        Args:
            watch: looks at the bus; somebody else runs it.
            clock: monotonic time in s.
        """
        self._watch = watch
        self._clock = clock
        self._seen: list[str] | None = None
        self._service: str | None = None
        self._power_w: float | None = None

    async def identify(self) -> MeterInfo:
        """Return what is read.

        Raises:
            DeviceConnectionError: the GX has no grid meter now.
        """
        service = await self._choose()
        return MeterInfo(vendor=self.vendor, model=service)

    async def read(self) -> MeterReading:
        """Return the grid power now, and the rest of what the service tells when the power is that of the last time.

        A driver that hangs answers for ever: only whether anything at all moves tells it from a quiet house.

        Raises:
            DeviceConnectionError: the GX has no grid meter now, or it gives no value.
        """
        service = await self._choose()
        try:
            power_w = None if service == SYSTEM else number(await self._watch.read(service, "/Ac/Power"), *_RANGE_W)
            if power_w is None:
                power_w = await self._sum(service, _SYSTEM_PHASES if service == SYSTEM else _PHASES)
            before_w, self._power_w = self._power_w, power_w
            if power_w is not None and power_w == before_w and service != SYSTEM:
                return await self._everything(service, power_w)
        except BusError as err:
            raise DeviceConnectionError(f"grid meter of the GX: {err}") from err
        if power_w is None:
            raise DeviceConnectionError(f"grid meter of the GX: {service} has no power now, look at it on the GX")
        return MeterReading(at_s=self._clock(), power_w=power_w)

    async def _everything(self, service: str, power_w: float) -> MeterReading:
        paths = (*_PHASES, *_VOLTAGES, *_CURRENTS, _FORWARD, _REVERSE, _FREQUENCY)
        told = await self._watch.read_all(service, paths)
        first, second, third = (
            PhaseReading(
                power_w=phase_w,
                voltage_v=number(told[voltage], 0, 1000),
                current_a=number(told[current], -10_000, 10_000),
            )
            if (phase_w := number(told[power], *_RANGE_W)) is not None
            else None
            for power, voltage, current in zip(_PHASES, _VOLTAGES, _CURRENTS, strict=True)
        )
        return MeterReading(
            at_s=self._clock(),
            power_w=power_w,
            phases=(first, second, third),
            energy_import_wh=_wh(told[_FORWARD]),
            energy_export_wh=_wh(told[_REVERSE]),
            frequency_hz=number(told[_FREQUENCY], 0, 1000),
        )

    async def _choose(self) -> str:
        """Return the service to read: that of the lowest instance, as systemcalc does."""
        names = self._watch.names
        if names is None:
            raise DeviceConnectionError("grid meter of the GX: there is no connection to its bus")
        seen = self._watch.of_class("grid")
        if seen != self._seen or self._service is None:
            self._service = await self._lowest(seen) if seen else SYSTEM if SYSTEM in names else None
            self._seen = seen
        if self._service is None:
            raise DeviceConnectionError("grid meter of the GX: it has none that is not this program's own")
        return self._service

    async def _lowest(self, services: list[str]) -> str | None:
        told = await asyncio.gather(
            *(self._watch.read_all(service, ["/DeviceInstance", "/Mgmt/ProcessName"]) for service in services),
            return_exceptions=True,
        )
        known: list[tuple[float, str]] = []
        for service, answer in zip(services, told, strict=True):
            if isinstance(answer, BusError):  # it hangs or has just gone
                continue
            if isinstance(answer, BaseException):
                raise answer
            instance = number(answer["/DeviceInstance"], 0, 2**31)
            if instance is not None and answer["/Mgmt/ProcessName"] != PROCESS_NAME:
                known.append((instance, service))
        return min(known)[1] if known else None

    async def _sum(self, service: str, paths: tuple[str, ...]) -> float | None:
        """Return the sum of the phases that have a value; None when none has."""
        told = await self._watch.read_all(service, paths)
        phases_w = [number(value, *_RANGE_W) for value in told.values()]
        known_w = [phase_w for phase_w in phases_w if phase_w is not None]
        return sum(known_w) if known_w else None


def _wh(value: object) -> float | None:
    energy_kwh = number(value, 0, 1e9)
    return None if energy_kwh is None else energy_kwh * _WH_PER_KWH
