"""The battery's temperature as a sensor of its own: com.victronenergy.temperature.

The GX switches its relay by sensors of this kind (a heater for the battery), but not by what a BMS measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from opendtu_dcload.freshness import BATTERY_S, fresh
from opendtu_dcload.model import BatteryStatus
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.item import Value
from opendtu_dcload.venus.gx.gx_control import Control
from opendtu_dcload.venus.services.context import ServiceContext
from opendtu_dcload.venus.services.device import Display, Shown, add_identity, integer, serve, wait_until

NAME = "com.victronenergy.temperature.opendtu_battery"
DEVICE_INSTANCE = 132

# The wiki page "dbus" of Venus OS.
_TYPE_BATTERY = 0
_TYPE_HIGHEST = 6
_TYPE_MEANING = "what the GX takes it for: 0 = battery"
_STATUS_OK = 0
_STATUS_DISCONNECTED = 1

_SHOWN: Mapping[str, Shown[BatteryStatus]] = {
    "/Temperature": Shown("C", 1, lambda battery: battery.temperature_c, meaning="of the active battery")
}


class TemperatureService:
    """Shows the temperature of the active battery; on the bus from its first value on."""

    def __init__(self, context: ServiceContext) -> None:
        """Open nothing yet."""
        self._state = context.state
        self._clock = context.clock
        self._display = Display(_SHOWN)
        self._device = context.device("opendtu_battery", "temperature", DEVICE_INSTANCE)
        self.service = BusService(NAME, context.bus)
        add_identity(
            self.service,
            instance=DEVICE_INSTANCE,
            version=context.version,
            connection="D-Bus",
            product="Battery temperature",
            rename=self._device.rename if self._device is not None else None,
        )
        self.service.update({"/FirmwareVersion": context.version})
        if context.settings is None:
            self.service.add("/TemperatureType", integer(_TYPE_BATTERY, meaning=_TYPE_MEANING))
        else:
            key = "/Settings/Devices/opendtu_battery/TemperatureType"
            kind = Control.choice(context.settings, key, _TYPE_HIGHEST, _TYPE_BATTERY, _TYPE_MEANING)
            kind.add_value(self.service, "/TemperatureType")
        self.service.add("/Status", integer(_STATUS_DISCONNECTED, meaning="0 = it is known, 1 = it is not"))
        self._display.add_to(self.service)

    async def run(self) -> NoReturn:
        """Stay on the bus for ever, once there is a temperature."""
        await wait_until(self._state, lambda: self.values()["/Temperature"] is not None)
        await serve(self.service, self.values, self._device)

    def values(self) -> Mapping[str, Value | None]:
        """Return what the service has to show now; what is too old is None."""
        shown = self._display.values(fresh(self._state.battery, self._clock(), BATTERY_S))
        is_known = shown["/Temperature"] is not None
        return {
            "/CustomName": self._device.name if self._device is not None else "",
            "/Connected": int(is_known),
            "/Status": _STATUS_OK if is_known else _STATUS_DISCONNECTED,
            **shown,
        }
