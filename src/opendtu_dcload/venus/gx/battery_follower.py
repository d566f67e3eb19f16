"""Puts the battery that the GX regards as the active one, and the inverter/charger beside us, into the state.

com.victronenergy.system says which services these are: with several batteries it knows the user's choice. A service
that hangs or goes leaves its last values, which grow old: their age tells.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, NoReturn, Protocol, TypeVar

from opendtu_dcload.errors import BusError
from opendtu_dcload.lasting import Task, lasting
from opendtu_dcload.model import BatteryStatus, MultiplusStatus
from opendtu_dcload.state import State
from opendtu_dcload.time_words import lasted
from opendtu_dcload.venus.gx.battery_movement import BatteryMovement
from opendtu_dcload.venus.gx.localsettings import SERVICE as SETTINGS
from opendtu_dcload.venus.gx.service_watch import SYSTEM, ServiceWatch, number

POLL_S = 5.0
"""Quick enough for guards that wait for 20 s and more; each reading is a dozen messages."""
SLOW_S = 20.0
"""For alarms and settings."""
FORGOTTEN_S = 600.0
"""A service that has been away for this long was removed from the system; sooner it may only be restarting."""

_BATTERY_SERVICE = "/Dc/Battery/BatteryService"
_BMS_SERVICE = "/ActiveBmsService"
_VEBUS_SERVICE = "/VebusService"

# What is believed of each value: path, lowest, highest. See dbus_modbustcp, attributes.csv.
_Known = Mapping[str, tuple[str, float, float]]
_MONITOR: _Known = {
    "soc_pct": ("/Soc", 0, 100),
    "voltage_v": ("/Dc/0/Voltage", 0, 1000),
    "current_a": ("/Dc/0/Current", -10_000, 10_000),
    "power_w": ("/Dc/0/Power", -1_000_000, 1_000_000),
    "temperature_c": ("/Dc/0/Temperature", -60, 150),
}
_BMS: _Known = {
    "min_cell_voltage_v": ("/System/MinCellVoltage", 0, 10),
    "max_discharge_current_a": ("/Info/MaxDischargeCurrent", 0, 10_000),
}
_MAY_DISCHARGE = "/Io/AllowToDischarge"
_ALARMS = tuple(
    f"/Alarms/{name}"
    for name in (
        "Alarm",
        "LowVoltage",
        "HighVoltage",
        "LowCellVoltage",
        "LowSoc",
        "HighDischargeCurrent",
        "HighTemperature",
        "LowTemperature",
        "HighInternalTemperature",
        "InternalFailure",
        "CellImbalance",
    )
)
_ALARM = 2
"""0 none, 1 warning, 2 alarm: venus-platform, alarm_item.cpp."""

_MINIMUM_SOC = "/Settings/CGwacs/BatteryLife/MinimumSocLimit"
_ESS_MODE = "/Settings/CGwacs/Hub4Mode"
_ESS_TARGET = "/Settings/CGwacs/AcPowerSetPoint"
_ASSISTANT = "/Hub4/AssistantId"
_ESS_ASSISTANT = 5
"""dbus-systemcalc-py, delegates/hubtype.py."""
_ESS_REGULATES = (1, 2)
"""Values of Hub4Mode; 3 is external control."""

log = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Monotonic time in s."""


class _Dated(Protocol):
    @property
    def at_s(self) -> float: ...


Status = TypeVar("Status", bound=_Dated)


class TrackedService(Generic[Status]):
    """One status in the state, and what the log says of its coming and going."""

    def __init__(self, what: str, show: Callable[[Status | None], None], clock: Clock) -> None:
        self._what = what
        self._show = show
        self._clock = clock
        self._service = ""
        self._status: Status | None = None
        self._is_lost = False

    async def update(self, read: Callable[[], Awaitable[tuple[str, Status | None]]]) -> None:
        """Show what `read` gives; when it fails or there is nothing any more, the last status grows old."""
        problem = "it is not on the bus any more"
        service, status = "", None
        try:
            service, status = await read()
        except BusError as err:
            problem = str(err)
        if status is not None:
            if service != self._service:
                log.info("%s: %s", self._what, service)
            elif self._is_lost and self._status is not None:
                log.info("%s back after %s", self._what, lasted(status.at_s - self._status.at_s))
            self._service, self._status, self._is_lost = service, status, False
            self._show(status)
        elif self._status is not None:
            if not self._is_lost:
                log.warning("%s lost: %s", self._what, problem)
            self._is_lost = True
            if self._clock() - self._status.at_s > FORGOTTEN_S:
                self._service, self._status = "", None
                self._show(None)


@dataclass(slots=True)
class _Slow:
    """What changes seldom, and when it was read."""

    service: str = ""
    at_s: float = float("-inf")
    alarms: tuple[str, ...] = ()
    ess_minimum_soc_pct: float | None = None


class BatteryFollower:
    """Reads battery and inverter/charger for ever; writes nothing on the bus."""

    def __init__(self, state: State, watch: ServiceWatch, clock: Clock, *, every_s: float = POLL_S) -> None:
        """Read nothing yet.

        Args:
            state: gets the values.
            watch: looks at the bus; somebody else runs it.
            clock: monotonic time in s.
            every_s: time between two readings.
        """
        self._watch = watch
        self._clock = clock
        self._every_s = every_s
        self._state = state
        self._slow = _Slow()
        self._movement = BatteryMovement()
        self._battery: TrackedService[BatteryStatus] = TrackedService("battery", state.set_battery, clock)
        self._multiplus: TrackedService[MultiplusStatus] = TrackedService(
            "inverter/charger", state.set_multiplus, clock
        )

    async def run(self) -> NoReturn:
        """Follow both independently: one that hangs does not hold up the other."""
        await self._watch.wait_ready()
        async with lasting([Task("values of the battery", self._follow(self._battery, self.read_battery))]):
            await self._follow(self._multiplus, self.read_multiplus)

    async def _follow(
        self, followed: TrackedService[Status], read: Callable[[], Awaitable[tuple[str, Status | None]]]
    ) -> NoReturn:
        while True:
            await followed.update(read)
            await asyncio.sleep(self._every_s)

    async def read_battery(self) -> tuple[str, BatteryStatus | None]:
        """Return the active battery's service and values; None when there is none.

        Raises:
            BusError: systemcalc or the battery does not answer.
        """
        chosen = await self._chosen(_BATTERY_SERVICE, _BMS_SERVICE)
        monitor = chosen[_BATTERY_SERVICE] or chosen[_BMS_SERVICE]
        bms = chosen[_BMS_SERVICE] or monitor
        if monitor is None or bms is None:
            return "", None
        at_s = self._clock()
        # One after the other: a plain gather forgets that it was cancelled when one of its parts fails at that moment.
        measured = await self._watch.read_all(monitor, (path for path, *_ in _MONITOR.values()))
        told = await self._watch.read_all(bms, [_MAY_DISCHARGE, *(path for path, *_ in _BMS.values())])
        slow = await self._read_slow(monitor, bms)
        values: dict[str, Any] = _numbers(_MONITOR, measured) | _numbers(_BMS, told)
        allowed = number(told[_MAY_DISCHARGE], 0, 1)
        name = monitor if bms == monitor else f"{monitor}, BMS {bms}"
        status = BatteryStatus(
            at_s=at_s,
            service=monitor,
            may_discharge=None if allowed is None else bool(allowed),
            alarms=slow.alarms,
            ess_minimum_soc_pct=slow.ess_minimum_soc_pct,
            **values,
        )
        return name, self._judged(status)

    def _judged(self, status: BatteryStatus) -> BatteryStatus:
        """Return the status with its verdict on movement, and log once when it stands still."""
        before = self._state.battery
        is_frozen = self._movement.is_frozen(status, self._state.inverters.values())
        if is_frozen and not (before is not None and before.is_frozen):
            log.warning("battery frozen: %s answers, but its voltage, current and power stand still", status.service)
        elif not is_frozen and before is not None and before.is_frozen:
            log.info("battery moves again")
        return replace(status, is_frozen=is_frozen)

    async def read_multiplus(self) -> tuple[str, MultiplusStatus | None]:
        """Return the service of the inverter/charger and its values; None when there is none.

        Raises:
            BusError: systemcalc or the inverter/charger does not answer.
        """
        vebus = (await self._chosen(_VEBUS_SERVICE))[_VEBUS_SERVICE]
        if vebus is None:
            return "", None
        at_s = self._clock()
        values = await self._watch.read_all(vebus, ["/Dc/0/Power", _ASSISTANT])
        power_w = number(values["/Dc/0/Power"], -1_000_000, 1_000_000)
        target_w = await self._ess_target_w() if values[_ASSISTANT] == _ESS_ASSISTANT else None
        return vebus, MultiplusStatus(at_s=at_s, service=vebus, dc_power_w=power_w, ess_target_w=target_w)

    async def _chosen(self, *paths: str) -> Mapping[str, str | None]:
        """Return the services that systemcalc names at `paths`, as far as they are there."""
        names = self._watch.names or frozenset()
        if SYSTEM not in names:
            return dict.fromkeys(paths)
        told = await self._watch.read_all(SYSTEM, paths)
        return {path: name if isinstance(name, str) and name in names else None for path, name in told.items()}

    async def _read_slow(self, monitor: str, bms: str) -> _Slow:
        if self._slow.service == f"{monitor} {bms}" and self._clock() - self._slow.at_s < SLOW_S:
            return self._slow
        services = dict.fromkeys((monitor, bms))
        told = [await self._watch.read_all(service, _ALARMS) for service in services]
        alarms = dict.fromkeys(path for part in told for path, value in part.items() if value == _ALARM)
        minimum_pct = self._slow.ess_minimum_soc_pct
        with contextlib.suppress(BusError):  # what the user has set holds on while localsettings is away
            minimum_pct = number(await self._watch.read(SETTINGS, _MINIMUM_SOC), 0, 100)
        self._slow = _Slow(f"{monitor} {bms}", self._clock(), tuple(alarms), minimum_pct)
        return self._slow

    async def _ess_target_w(self) -> float | None:
        try:
            told = await self._watch.read_all(SETTINGS, [_ESS_MODE, _ESS_TARGET])
        except BusError:
            return None
        return number(told[_ESS_TARGET], -1_000_000, 1_000_000) if told[_ESS_MODE] in _ESS_REGULATES else None


def _numbers(known: _Known, told: Mapping[str, object]) -> dict[str, float | None]:
    return {field: number(told[path], low, high) for field, (path, low, high) in known.items()}
