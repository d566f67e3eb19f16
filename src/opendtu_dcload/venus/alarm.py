"""The plant's alarm on the bus: com.victronenergy.digitalinput, which the GX shows as a notification with a sound.

The notification's only free text is the device's name, as it is at that moment, and every change of the alarm's value
makes a new one (venus-platform, alarm_item.cpp). So the service takes one step at a time: the old alarm ends, the name
becomes the new alarm's text, the new alarm rises.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import NoReturn

from opendtu_dcload.errors import BusError
from opendtu_dcload.model import Alarm, Severity
from opendtu_dcload.state import State
from opendtu_dcload.venus.address import BusAddress
from opendtu_dcload.venus.busitem import BusService
from opendtu_dcload.venus.device import Device, add_identity, integer, serve
from opendtu_dcload.venus.health import PlantHealth
from opendtu_dcload.venus.item import Value, printable
from opendtu_dcload.venus.watch import Watch

log = logging.getLogger(__name__)

ALARM_INSTANCE = 60
"""Wanted VRM device instance, after the meter's 59; a GX counts its own digital inputs from 1."""
NO_ALARM = "Inverters: no alarm"
STEP_S = 1.0
"""Between two steps: the platform takes over a new name in its event loop, after the signal."""

_ALARM = 2
_STATE_OK, _STATE_ALARM = 8, 9
_TYPE = 7
"""Fire alarm, as the original's: of the types whose states are "ok" and "alarm" there is none for a device."""
_PLATFORM = "com.victronenergy.platform"
_INJECT = "/Notifications/Inject"
"""Since venus-platform 2.04 (Venus OS 3.70): a notification with a text of its own, without a sound."""
_INJECTED_ALARM = "1"


class AlarmFace:
    """What is shown of the alarms, one step at a time."""

    def __init__(self) -> None:
        self._name = NO_ALARM
        self._shown: Alarm | None = None
        self.count = 0

    def step(self, worst: Alarm | None) -> bool:
        """Move one step towards showing `worst`; return whether there was something to do."""
        if self._shown is not None and self._shown != worst:
            self._shown = None
        elif self._shown is None and self._name != (worst.text if worst is not None else NO_ALARM):
            self._name = worst.text if worst is not None else NO_ALARM
        elif self._shown is None and worst is not None:
            self._shown = worst
            self.count += 1
        else:
            return False
        return True

    def values(self) -> Mapping[str, Value | None]:
        """Return what is shown now."""
        is_up = self._shown is not None
        return {
            "/Alarm": _ALARM if is_up else 0,
            "/State": _STATE_ALARM if is_up else _STATE_OK,
            "/InputState": int(is_up),
            "/Count": self.count,
            "/CustomName": self._name,
        }


class AlarmService:
    """Shows the worst alarm, and the health of the whole plant; writes nothing back."""

    def __init__(
        self,
        state: State,
        bus: BusAddress,
        version: str,
        dtus: Mapping[str, str],
        clock: Callable[[], float],
        *,
        watch: Watch,
        device: Device | None = None,
        step_s: float = STEP_S,
    ) -> None:
        """Open nothing yet.

        Args:
            state: where everything shown comes from.
            bus: the message bus.
            version: of this program.
            dtus: the DTUs' labels by their names in the state.
            clock: monotonic time in s.
            watch: tells the platform what cannot be shown.
            device: what the user decides about it on the GX; None = nothing.
            step_s: shortest time between two changes of the alarm.
        """
        self._state = state
        self._clock = clock
        self._watch = watch
        self._device = device
        self._step_s = step_s
        self._face = AlarmFace()
        self._health = PlantHealth(dtus)
        self._told: set[Alarm] = set()
        self.service = BusService("com.victronenergy.digitalinput.opendtu_dcload", bus)
        add_identity(
            self.service,
            instance=ALARM_INSTANCE,
            version=version,
            connection="opendtu_dcload",
            product="Inverter alarm",
        )
        self.service.update({"/FirmwareVersion": version, "/Connected": 1})
        self.service.add("/Type", integer(_TYPE))
        for path in ("/Alarm", "/State", "/InputState", "/Count"):
            self.service.add(path, integer(0))
        self.service.add("/Settings/AlarmSetting", integer(1))
        for path in ("/Settings/InvertTranslation", "/Settings/InvertAlarm"):
            self.service.add(path, integer(0))
        self._health.add_to(self.service)
        self.service.update(self._face.values())
        self.service.update(self.values())

    async def run(self) -> NoReturn:
        """Stay on the bus for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._show(tasks), name=f"alarms of {self.service.name}")
            await serve(self._state, self.service, self.values, self._device)

    def values(self) -> Mapping[str, Value | None]:
        """Return the plant's health now."""
        return self._health.values(self._state, self._clock())

    async def _show(self, tasks: asyncio.TaskGroup) -> NoReturn:
        with self._state.listen() as changed:
            while True:
                changed.clear()
                up = [alarm for alarm in self._state.alarms if alarm.severity is Severity.ALARM]
                for alarm in up[1:]:
                    if alarm not in self._told:
                        tasks.create_task(self._inject(alarm), name="notification")
                self._told = set(up)
                if self._face.step(up[0] if up else None):
                    self.service.update(self._face.values(), urgent=True)
                    await asyncio.sleep(self._step_s)
                else:
                    await changed.wait()

    async def _inject(self, alarm: Alarm) -> None:
        """Tell what cannot be shown now because something worse is; a platform that cannot do it is left alone."""
        text = "\t".join([_INJECTED_ALARM, "Inverters", printable(alarm.text)])
        with contextlib.suppress(BusError):
            if not await self._watch.write(_PLATFORM, _INJECT, text):
                log.debug("%s refused by the platform", _INJECT)
