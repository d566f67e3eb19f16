"""The plant's controls on the bus: com.victronenergy.switch, there from the start and whatever the meter does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from opendtu_dcload.state import State
from opendtu_dcload.venus.address import BusAddress
from opendtu_dcload.venus.busitem import BusService
from opendtu_dcload.venus.controls import Controls
from opendtu_dcload.venus.device import Device, add_identity, integer, serve
from opendtu_dcload.venus.item import Value
from opendtu_dcload.venus.settings import LocalSettings

INSTANCE = 134
"""Wanted; unique only among switches."""
STATE_CONNECTED = 0x100
"""dbus-switch: `/State` of a switch that works."""


class SwitchService:
    """Shows the controls of the plant."""

    def __init__(
        self, state: State, controls: Controls, settings: LocalSettings, bus: BusAddress, version: str
    ) -> None:
        """Open nothing yet; `version` is that of this program."""
        self._state = state
        self._device = Device(settings, "opendtu_dcload", "switch", INSTANCE)
        self.service = BusService("com.victronenergy.switch.opendtu_dcload", bus)
        add_identity(
            self.service,
            instance=INSTANCE,
            version=version,
            connection="OpenDTU",
            product="Zero export by OpenDTU",
            rename=self._device.rename,
        )
        self.service.update({"/FirmwareVersion": version, "/Connected": 1})
        self.service.add("/State", integer(STATE_CONNECTED))
        controls.add_cards(self.service)
        controls.add_plain(self.service)

    async def run(self) -> NoReturn:
        """Stay on the bus for ever."""
        await serve(self._state, self.service, self.values, self._device)

    def values(self) -> Mapping[str, Value | None]:
        """Return what changes by itself: the name that the user gave it."""
        return {"/CustomName": self._device.name}
