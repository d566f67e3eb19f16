"""The plant's alarm, with a clock to turn by hand, and a platform to tell."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from opendtu_dcload.model import Alarm, Cause, Reason, Severity
from opendtu_dcload.state import State
from opendtu_dcload.tallies import Today
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.item import Item, Value
from opendtu_dcload.venus.gx.gx_control import FOLDER, Control
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.venus.gx.notification import Platform
from opendtu_dcload.venus.gx.service_watch import ServiceWatch
from opendtu_dcload.venus.services.alarm import NO_ALARM, AlarmService, Mode
from opendtu_dcload.venus.services.context import ServiceContext
from opendtu_dcload.venus.services.diagnostics import PlantHealth
from tests.doubles.bus_client import Client
from tests.doubles.message_bus import Daemon
from tests.doubles.until import until
from tests.venus.running import running

NAME = "com.victronenergy.digitalinput.opendtu_dcload"
SERIAL = "1124a0000001"
LOST = Alarm(Cause.INVERTER_LOST, SERIAL, Severity.ALARM, "Inverter lost: Left", 100.0)
BLIND = Alarm(Reason.METER_BLIND, "", Severity.ALARM, "Meter does not see the inverters", 110.0)
HOT = Alarm(Cause.INVERTER_WARM, SERIAL, Severity.WARNING, "Inverter hot: Left", 90.0)


class ShownAlarm:
    """A state and a clock to turn by hand, and what it is told of on the bus."""

    def __init__(self, daemon: Daemon, mode: Mode = "auto") -> None:
        self.now_s = 100.0
        self.state = State()
        self.watch = ServiceWatch(daemon.address, retry_delays_s=(0.01,))
        self.settings = LocalSettings(daemon.address, lambda: self.now_s, retry_delays_s=(0.01,))
        self.switch = Control.switch(self.settings, f"{FOLDER}/Alarms", "Alarms")
        self.platform = Platform(self.watch, wait_s=0.05, away_s=0.2, tick_s=0.01)
        context = ServiceContext(
            state=self.state,
            bus=daemon.address,
            clock=lambda: self.now_s,
            settings=self.settings,
            version="1.2.3",
        )
        self.alarm = AlarmService(
            context,
            PlantHealth({"opendtu": "DTU"}),
            platform=self.platform,
            switch=self.switch,
            mode=mode,
            step_s=0.01,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(task.run()) for task in (self.settings, self.watch, self.alarm)]
        await self.watch.wait_ready()
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def is_shown(self, text: str) -> bool:
        service = self.alarm.service
        is_up = text != NO_ALARM
        return service.value("/CustomName") == text and service.value("/Alarm") == (2 if is_up else 0)

    async def show(self, *alarms: Alarm) -> None:
        worst = next((alarm.text for alarm in alarms if alarm.severity is Severity.ALARM), NO_ALARM)
        self.state.set_alarms(alarms)
        await until(lambda: self.is_shown(worst))


@pytest.fixture
async def house(daemon: Daemon) -> AsyncIterator[ShownAlarm]:
    house = ShownAlarm(daemon)
    async with house.running():
        await until(lambda: house.alarm.service.is_online)
        yield house


class Raw(Item):
    """Takes a text as it was written; ours would take the tabs out."""

    def convert(self, raw: Any) -> Value | None:
        return str(raw.value)


@contextlib.asynccontextmanager
async def platform(
    daemon: Daemon, *, accepts: bool = True, path: str = "/Notifications/Inject"
) -> AsyncIterator[list[str]]:
    """Run a stand-in for venus-platform; yields the notifications that it was given."""
    given: list[str] = []

    def take(text: str) -> Value | None:
        given.append(text)
        return "" if accepts else None

    service = BusService("com.victronenergy.platform", daemon.address)
    service.add(path, Raw(kind=str, value="", on_write=take))
    async with running(service):
        yield given


async def changes(client: Client, house: ShownAlarm) -> list[dict[str, Any]]:
    """Return what each signal so far changed, without the texts; a mark of our own ends them."""
    house.state.set_today(Today(exported_wh=house.now_s * 1e6))
    seen = []
    while "/Health/ExportedToday" not in (body := (await client.signal())["body"][0]):
        seen.append({path: entry["Value"][1] for path, entry in body.items()})
    return seen
