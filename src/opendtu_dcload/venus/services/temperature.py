"""The battery's temperature as a sensor of its own: com.victronenergy.temperature.

The GX switches its relay by sensors of this kind (a heater for the battery), but not by what a BMS measures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn

from opendtu_dcload.freshness import BATTERY_S, fresh
from opendtu_dcload.model import BatteryStatus
from opendtu_dcload.state import State
from opendtu_dcload.venus.bus.bus_address import BusAddress
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.item import Value
from opendtu_dcload.venus.gx.gx_control import Control
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.venus.services.device import Device, Display, Shown, add_identity, integer, serve, wait_until

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

    def __init__(
        self,
        state: State,
        bus: BusAddress,
        version: str,
        clock: Callable[[], float],
        settings: LocalSettings | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            state: where the temperature comes from.
            bus: the message bus.
            version: of this program.
            clock: monotonic time in s.
            settings: keeps what the user decides about it on the GX; None = nothing.
        """
        self._state = state
        self._clock = clock
        self._display = Display(_SHOWN)
        self._device = (
            Device(settings, "opendtu_battery", "temperature", DEVICE_INSTANCE) if settings is not None else None
        )
        self.service = BusService(NAME, bus)
        add_identity(
            self.service,
            instance=DEVICE_INSTANCE,
            version=version,
            connection="D-Bus",
            product="Battery temperature",
            rename=self._device.rename if self._device is not None else None,
        )
        self.service.update({"/FirmwareVersion": version})
        if settings is None:
            self.service.add("/TemperatureType", integer(_TYPE_BATTERY, meaning=_TYPE_MEANING))
        else:
            key = "/Settings/Devices/opendtu_battery/TemperatureType"
            kind = Control.choice(settings, key, _TYPE_HIGHEST, _TYPE_BATTERY, _TYPE_MEANING)
            kind.add_value(self.service, "/TemperatureType")
        self.service.add("/Status", integer(_STATUS_DISCONNECTED, meaning="0 = it is known, 1 = it is not"))
        self._display.add_to(self.service)

    async def run(self) -> NoReturn:
        """Stay on the bus for ever, once there is a temperature."""
        await wait_until(self._state, lambda: self.values()["/Temperature"] is not None)
        await serve(self._state, self.service, self.values, self._device)

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
