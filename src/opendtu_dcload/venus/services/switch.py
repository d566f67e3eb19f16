"""The plant on the bus: com.victronenergy.switch with all controls, there from the start and whatever the meter does.

The GX's switch pane, Node-RED's and Home Assistant's nodes look for controls in this class of service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.item import Value
from opendtu_dcload.venus.gx.gx_control import Control, add_text_card
from opendtu_dcload.venus.gx.gx_controls import Controls
from opendtu_dcload.venus.services.context import ServiceContext
from opendtu_dcload.venus.services.device import add_identity, integer, serve
from opendtu_dcload.venus.services.diagnostics import PlantHealth
from opendtu_dcload.venus.services.plan_display import REASON

INSTANCE = 134
"""The device instance wanted; it has to be unique among switches only."""
NAME = "Feed-in control"
"""The pane sorts its cards by name: this one stands before that of the inverters."""
STATE_CONNECTED = 0x100
"""dbus-switch: `/State` of a switch that works."""


class SwitchService:
    """Shows the controls of the plant and of its inverters, what it does now and why, and how well."""

    def __init__(
        self,
        context: ServiceContext,
        controls: Controls | None,
        alarms: Control,
        names: Mapping[str, str | None],
        health: PlantHealth,
    ) -> None:
        """Open nothing yet.

        Args:
            context: where values come from and go to.
            controls: None = nothing may be commanded.
            alarms: whether alarms are shown.
            names: of the inverters by serial, where the file gives them one.
            health: of the plant.
        """
        self._state = context.state
        self._names = names if controls is not None else {}
        self._health = health
        self._clock = context.clock
        self._device = context.device("opendtu_dcload", "switch", INSTANCE)
        self.service = BusService("com.victronenergy.switch.opendtu_dcload", context.bus)
        add_identity(
            self.service,
            instance=INSTANCE,
            version=context.version,
            connection="OpenDTU",
            product=NAME,
            rename=self._device.rename if self._device is not None else None,
        )
        self.service.update({"/FirmwareVersion": context.version, "/Connected": 1})
        self.service.add("/State", integer(STATE_CONNECTED, meaning="256: it works"))
        self._reason = add_text_card(self.service, "reason", "Reason")
        if controls is not None:
            controls.add_cards(self.service)
            controls.add_plain(self.service)
        alarms.add_card(self.service, "alarms", "plant/alarms")
        health.add_to(self.service)

    async def run(self) -> NoReturn:
        """Stay on the bus for ever."""
        await serve(self.service, self.values, self._device)

    def values(self) -> Mapping[str, Value | None]:
        """Return what changes by itself."""
        health = self._health.values(self._state, self._clock())
        reason = health[REASON]
        return {
            # without a name of its own the screen would add the instance to the product's
            "/CustomName": (self._device.name if self._device is not None else "") or NAME,
            self._reason: [str(reason) if reason is not None else "---"],
            **{f"/SwitchableOutput/opendtu_{serial}/Name": self._name_of(serial) for serial in self._names},
            **health,
        }

    def _name_of(self, serial: str) -> str:
        status = self._state.inverters.get(serial)
        return self._names[serial] or (status.name if status is not None else "") or f"Inverter {serial}"
