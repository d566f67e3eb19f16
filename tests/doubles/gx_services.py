"""What a GX has on its bus beside us, as far as we read it: systemcalc, a battery, a MultiPlus, settings, a grid meter.

Each is a service of its own that can come, go, change its values and fall silent. `systemcalc` reads ours, too, and
draws the conclusions that systemcalc 2.256 was seen to draw.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from typing import Any

from dbus_next.constants import MessageType
from dbus_next.message import Message

from opendtu_dcload.errors import BusError
from opendtu_dcload.venus.bus.bus_address import BusAddress
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.connection import connected
from opendtu_dcload.venus.bus.item import Item, Value
from opendtu_dcload.venus.gx.service_watch import ServiceWatch
from tests.doubles.until import until

SYSTEM = "com.victronenergy.system"
SETTINGS = "com.victronenergy.settings"
BATTERY = "com.victronenergy.battery.ttyUSB0"
VEBUS = "com.victronenergy.vebus.ttyS4"
GRID = "com.victronenergy.grid.cgwacs_ttyUSB1_mb1"

BATTERY_VALUES: Mapping[str, Value | None] = {
    "/DeviceInstance": 1,
    "/Connected": 1,
    "/Soc": 63.0,
    "/Dc/0/Voltage": 52.4,
    "/Dc/0/Current": -6.2,
    "/Dc/0/Power": -325.0,
    "/Dc/0/Temperature": 19.5,
    "/System/MinCellVoltage": 3.27,
    "/Info/MaxChargeCurrent": 80.0,
    "/Info/MaxDischargeCurrent": 100.0,
    "/Info/MaxChargeVoltage": 56.8,
    "/Io/AllowToDischarge": 1,
    "/Alarms/LowVoltage": 0,
    "/Alarms/LowSoc": 0,
    "/Alarms/HighTemperature": 0,
}
VEBUS_VALUES: Mapping[str, Value | None] = {
    "/DeviceInstance": 276,
    "/Connected": 1,
    "/Dc/0/Power": 0.0,
    "/Ac/ActiveIn/L1/P": 380.0,
    "/Hub4/AssistantId": 5,
}
SETTINGS_VALUES: Mapping[str, Value | None] = {
    "/Settings/CGwacs/BatteryLife/MinimumSocLimit": 15.0,
    "/Settings/CGwacs/Hub4Mode": 2,
    "/Settings/CGwacs/AcPowerSetPoint": 50.0,
}
SYSTEM_VALUES: Mapping[str, Value | None] = {
    "/DeviceInstance": 0,
    "/Dc/Battery/BatteryService": BATTERY,
    "/ActiveBmsService": BATTERY,
    "/ActiveBatteryService": "com.victronenergy.battery/1",
    "/VebusService": VEBUS,
    "/Ac/Grid/L1/Power": None,
    "/Ac/Grid/L2/Power": None,
    "/Ac/Grid/L3/Power": None,
}
GRID_VALUES: Mapping[str, Value | None] = {
    "/DeviceInstance": 30,
    "/Connected": 1,
    "/Mgmt/ProcessName": "/opt/victronenergy/dbus-cgwacs/dbus-cgwacs",
    "/Ac/Power": 412.0,
    "/Ac/L1/Power": 412.0,
    "/Ac/L2/Power": None,
    "/Ac/L3/Power": None,
}


class Gx:
    """The services of a GX. Use `gx` to get one."""

    def __init__(self, address: BusAddress) -> None:
        self._address = address
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._services: dict[str, BusService] = {}

    async def join(self, name: str, values: Mapping[str, Value | None]) -> None:
        """Let a service appear; the type of each of its values is that of the first one, a number for None."""
        service = BusService(name, self._address, min_interval_s=0.0, retry_delays_s=(0.01,))
        for path, value in values.items():
            service.add(path, Item(kind=float if value is None else type(value), value=value))
        self._services[name] = service
        self._tasks[name] = asyncio.create_task(
            self._move(service) if name == BATTERY and "/Dc/0/Current" in values else service.run()
        )
        await until(lambda: service.is_online)

    @staticmethod
    async def _move(battery: BusService) -> None:
        """A battery that works never shows the same to the bit for a minute."""

        async def move() -> None:
            for current_a in itertools.cycle((-6.3, -6.2)):
                await asyncio.sleep(10.0)
                battery.update({"/Dc/0/Current": current_a})

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(battery.run())
            tasks.create_task(move())

    async def leave(self, name: str) -> None:
        """Let a service disappear."""
        task = self._tasks.pop(name)
        del self._services[name]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def set(self, name: str, values: Mapping[str, Value | None]) -> None:
        """Change values of a service."""
        self._services[name].update(values)

    async def fall_silent(self, name: str) -> None:
        """Let a service, there or not, keep its name and answer nothing any more."""
        if name in self._services:
            connection = self._services[name]._connection
            assert connection is not None
            connection._bus._user_message_handlers.insert(0, _swallow)
            return
        is_there = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._be_silent(name, is_there))
        self._services[name] = BusService(name, self._address)
        await is_there.wait()

    async def _be_silent(self, name: str, is_there: asyncio.Event) -> None:
        async with connected(self._address) as connection:
            connection._bus.add_message_handler(_swallow)
            await connection.request_name(name)
            is_there.set()
            await connection.wait_closed()

    async def end(self) -> None:
        for name in list(self._tasks):
            await self.leave(name)


def _swallow(message: Message) -> bool:
    return message.message_type is MessageType.METHOD_CALL


@contextlib.asynccontextmanager
async def gx(address: BusAddress, *, battery: bool = True, vebus: bool = True) -> AsyncIterator[Gx]:
    """Run systemcalc and settings, a battery and a MultiPlus unless they are not wanted, through the body."""
    stand_in = Gx(address)
    try:
        if battery:
            await stand_in.join(BATTERY, BATTERY_VALUES)
        if vebus:
            await stand_in.join(VEBUS, VEBUS_VALUES)
        await stand_in.join(SETTINGS, SETTINGS_VALUES)
        missing = {
            "/Dc/Battery/BatteryService": not battery,
            "/ActiveBmsService": not battery,
            "/VebusService": not vebus,
        }
        await stand_in.join(SYSTEM, SYSTEM_VALUES)
        stand_in.set(SYSTEM, {path: None for path, is_missing in missing.items() if is_missing})
        yield stand_in
    finally:
        await stand_in.end()


class SystemCalc:
    """What systemcalc makes of the services on the bus."""

    def __init__(self, watch: ServiceWatch, interval_s: float) -> None:
        self._watch = watch
        self._interval_s = interval_s
        self.values: dict[str, float | None] = {}
        self.seen: dict[str, list[float | None]] = defaultdict(list)
        """Everything that each path has shown, one after the other."""

    async def run(self) -> None:
        while True:
            with contextlib.suppress(BusError):  # somebody has just left
                for path, value in {
                    "/Dc/System/Power": await self._dc_system_w(),
                    "/Ac/Grid/L1/Power": await self._grid_w(),
                }.items():
                    if path not in self.values or self.values[path] != value:
                        self.values[path] = value
                        self.seen[path].append(value)
            await asyncio.sleep(self._interval_s)

    async def _dc_system_w(self) -> float | None:
        """An invalid power counts as 0; without a service there is no sum."""
        told = [await self._read(name, "/Dc/0/Power") for name in self._watch.of_class("dcsystem")]
        return sum(power_w or 0.0 for power_w in told) if told else None

    async def _grid_w(self) -> float | None:
        """The grid meter of the lowest instance rules, with or without a value; without one the MultiPlus is asked."""
        meters = [(await self._read(name, "/DeviceInstance"), name) for name in self._watch.of_class("grid")]
        inverters = self._watch.of_class("vebus")
        known = [(instance, name) for instance, name in meters if instance is not None]
        if known:
            return await self._read(min(known)[1], "/Ac/L1/Power")
        return await self._read(inverters[0], "/Ac/ActiveIn/L1/P") if inverters else None

    async def _read(self, name: str, path: str) -> float | None:
        value: Any = await self._watch.read(name, path)
        return None if value is None else float(value)


@contextlib.asynccontextmanager
async def systemcalc(address: BusAddress, *, interval_s: float = 0.01) -> AsyncIterator[SystemCalc]:
    """Run systemcalc's sums through the body; the real one makes them at most once a second."""
    watch = ServiceWatch(address, retry_delays_s=(0.01,))
    system = SystemCalc(watch, interval_s)
    tasks = [asyncio.create_task(watch.run()), asyncio.create_task(system.run())]
    try:
        yield system
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
