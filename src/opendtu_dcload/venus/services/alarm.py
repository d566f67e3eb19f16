"""The plant's alarms on the GX: notifications with a text of their own, and a digital input where there are none.

A platform that takes notifications (Venus OS 3.70) shows each alarm's own text. An older one shows an alarm of
com.victronenergy.digitalinput by its device's name, as it is at that moment, and every change of the alarm's value
makes a new one (venus-platform, alarm_item.cpp). There the service takes one step at a time: the old alarm ends, the
name becomes the new alarm's text, the new alarm rises.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Literal, NoReturn

from opendtu_dcload.lasting import Task, lasting
from opendtu_dcload.model import Alarm, Severity
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.item import Value
from opendtu_dcload.venus.gx.gx_control import Control
from opendtu_dcload.venus.gx.notification import Platform
from opendtu_dcload.venus.services.context import ServiceContext
from opendtu_dcload.venus.services.device import add_identity, integer, serve_until, wait_until
from opendtu_dcload.venus.services.diagnostics import PlantHealth

log = logging.getLogger(__name__)

Mode = Literal["auto", "on", "off"]

MUTE_MEANING = "0: no alarm is raised on the GX; the log has them"
ALARM_INSTANCE = 60
"""Wanted VRM device instance, after the meter's 59; a GX counts its own digital inputs from 1."""
NO_ALARM = "Inverter alarm"
"""The device's own name."""
STEP_S = 1.0
"""Time between two steps: the platform takes over a new name some time after the signal, in its event loop."""
RETRY_S = 5.0
"""Time between two attempts to tell the platform."""

_ALARM = 2
_STATE_OK, _STATE_ALARM = 8, 9
_SHOWN: Mapping[str, str] = {
    "/Alarm": "2 while something is wrong, else 0; 0 too while alarms are muted",
    "/State": "9 while something is wrong, else 8",
    "/InputState": "1 while something is wrong, else 0",
    "/Count": "how often something was wrong since the start",
}
_TYPE = 255
"""A type that the GX does not know (gui-v2, enums.h: 0 to 10, other numbers have no text). There is none for a device,
and door, smoke or fire alarms would mislead the reader."""


class AlarmFace:
    """What is shown of the alarms, one step at a time."""

    def __init__(self) -> None:
        self._name = NO_ALARM
        self._shown: Alarm | None = None
        self.count = 0

    def show(self, worst: Alarm | None, name: str = NO_ALARM, *, is_named_after: bool = True) -> bool:
        """Move one step towards showing `worst`; return whether there was something to do.

        Args:
            worst: the alarm.
            name: the device's own.
            is_named_after: whether the device is called as the alarm while that lasts.
        """
        wanted = worst.text if worst is not None and is_named_after else name
        if self._shown is not None and self._shown != worst:
            self._shown = None
        elif self._name != wanted and (self._shown is None or not is_named_after):
            self._name = wanted
        elif self._shown is None and worst is not None:
            self._shown = worst
            self.count += 1
        else:
            return False
        return True

    def values(self, *, is_muted: bool = False) -> Mapping[str, Value | None]:
        """Return what is shown now; of a muted alarm everything but the alarm itself."""
        is_up = self._shown is not None
        return {
            "/Alarm": _ALARM if is_up and not is_muted else 0,
            "/State": _STATE_ALARM if is_up else _STATE_OK,
            "/InputState": int(is_up),
            "/Count": self.count,
            "/CustomName": self._name,
        }


class AlarmService:
    """Notifies of alarms; where need be a digital input shows the worst of them, and the health of the whole plant."""

    def __init__(
        self,
        context: ServiceContext,
        health: PlantHealth,
        *,
        platform: Platform,
        switch: Control,
        mode: Mode = "auto",
        step_s: float = STEP_S,
    ) -> None:
        """Open nothing yet.

        Args:
            context: where values come from and go to.
            health: of the plant.
            platform: takes notifications, or not.
            switch: whether alarms are wanted.
            mode: when the digital input is there; `auto`: while the platform takes no notifications.
            step_s: shortest time between two changes of the alarm.
        """
        self._state = context.state
        self._clock = context.clock
        self._platform = platform
        self._switch = switch
        self._mode = mode
        self._device = context.device("opendtu_dcload_alarm", "digitalinput", ALARM_INSTANCE)
        self._step_s = step_s
        self._face = AlarmFace()
        self._health = health
        self._told: set[Alarm] = set()
        self.service = BusService("com.victronenergy.digitalinput.opendtu_dcload", context.bus)
        add_identity(
            self.service,
            instance=ALARM_INSTANCE,
            version=context.version,
            connection="opendtu_dcload",
            product=NO_ALARM,
            rename=self._rename if self._device is not None else None,
        )
        self.service.update({"/FirmwareVersion": context.version, "/Connected": 1})
        self.service.add("/Type", integer(_TYPE, meaning="255: none of the GX's types (door, smoke, fire ...)"))
        for path, meaning in _SHOWN.items():
            self.service.add(path, integer(0, meaning=meaning))
        switch.add_value(self.service, "/Settings/AlarmSetting")
        self._health.add_to(self.service)
        self.service.update(self._face.values())
        self.service.update(self.values())

    async def run(self) -> NoReturn:
        """Notify of alarms for ever; the digital input is on the bus whenever it is needed."""
        beside = (
            Task("notifications", self._platform.run()),
            Task(f"alarms of {self.service.name}", self._show()),
            Task("telling alarms", self._tell()),
        )
        async with lasting(beside):
            while True:
                await wait_until(self._state, self._is_needed, 1.0)
                await serve_until(self.service, self.values, self._device, is_over=lambda: not self._is_needed())

    def values(self) -> Mapping[str, Value | None]:
        """Return the plant's health now."""
        return self._health.values(self._state, self._clock())

    def _is_needed(self) -> bool:
        return self._mode == "on" or (self._mode == "auto" and self._platform.takes_notifications is False)

    def _rename(self, name: str) -> str:
        assert self._device is not None
        self._device.rename(name)
        return name or NO_ALARM

    def _up(self) -> list[Alarm]:
        return [alarm for alarm in self._state.alarms if alarm.severity is Severity.ALARM]

    async def _show(self) -> NoReturn:
        with self._state.listen() as changed:
            while True:
                changed.clear()
                up = self._up()
                own_name = (self._device.name if self._device is not None else "") or NO_ALARM
                is_named_after = not self._platform.takes_notifications
                has_moved = self._face.show(up[0] if up else None, own_name, is_named_after=is_named_after)
                self.service.update(self._face.values(is_muted=not self._switch.value), urgent=True)
                await (asyncio.sleep(self._step_s) if has_moved else _wait(changed))

    async def _tell(self) -> NoReturn:
        """Tell the platform each alarm once, as soon as it takes notifications."""
        with self._state.listen() as changed:
            while True:
                changed.clear()
                up = self._up()
                self._told &= set(up)
                is_telling = self._platform.takes_notifications and self._switch.value
                news = [alarm for alarm in up if alarm not in self._told] if is_telling else []
                self._told |= {alarm for alarm in news if await self._platform.notify(alarm.text)}
                await (_wait(changed) if self._told.issuperset(news) else asyncio.sleep(RETRY_S))


async def _wait(changed: asyncio.Event) -> None:
    """Wait for a change of the state, at most a second: names, switches and the platform change without one."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await changed.wait()
