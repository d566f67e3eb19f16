"""The grid meter on the bus: com.victronenergy.acload, or com.victronenergy.grid when the user wants it to be that."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal, NoReturn

from opendtu_dcload.model import MeterInfo, MeterReading, PhaseReading, Plan
from opendtu_dcload.state import State
from opendtu_dcload.venus.address import BusAddress
from opendtu_dcload.venus.busitem import BusService
from opendtu_dcload.venus.controls import Controls
from opendtu_dcload.venus.device import Device, Display, Shown, add_identity, fresh, integer, serve, text, wait_until
from opendtu_dcload.venus.item import Value
from opendtu_dcload.venus.settings import LocalSettings

Role = Literal["acload", "grid"]

POSITION_AC_INPUT = 1
"""gui-v2, src/enums.h: of an acload; 0 would be the AC output."""


def _single(meter: MeterReading) -> PhaseReading | None:
    """Return the only phase; of several there is no one voltage."""
    measured = [phase for phase in meter.phases if phase is not None]
    return measured[0] if len(measured) == 1 else None


_TOTAL: Mapping[str, Shown[MeterReading]] = {
    "/Power": Shown("W", 1, lambda meter: meter.power_w),
    "/Voltage": Shown("V", 1, lambda meter: phase.voltage_v if (phase := _single(meter)) else None),
    "/Current": Shown("A", 2, lambda meter: phase.current_a if (phase := _single(meter)) else None),
    "/Frequency": Shown("Hz", 2, lambda meter: meter.frequency_hz),
    "/Energy/Forward": Shown("kWh", 3, lambda meter: meter.energy_import_wh, is_energy=True),
    "/Energy/Reverse": Shown("kWh", 3, lambda meter: meter.energy_export_wh, is_energy=True),
}
_PHASE: Mapping[str, Shown[PhaseReading]] = {
    "/Power": Shown("W", 1, lambda phase: phase.power_w),
    "/Voltage": Shown("V", 1, lambda phase: phase.voltage_v),
    "/Current": Shown("A", 2, lambda phase: phase.current_a),
    "/Energy/Forward": Shown("kWh", 3, lambda phase: phase.energy_import_wh, is_energy=True),
    "/Energy/Reverse": Shown("kWh", 3, lambda phase: phase.energy_export_wh, is_energy=True),
}
_PLAN: Mapping[str, Shown[Plan]] = {
    "/SetPoint": Shown("W", 0, lambda plan: plan.setpoint_w),
    "/Cap": Shown("W", 0, lambda plan: plan.cap_w),
}


class MeterService:
    """Shows the grid meter and the plan for the whole plant; writes nothing back."""

    def __init__(
        self,
        state: State,
        role: Role,
        instance: int,
        bus: BusAddress,
        version: str,
        host: str,
        stale_after_s: float,
        clock: Callable[[], float],
        *,
        name: str | None = None,
        settings: LocalSettings | None = None,
        controls: Controls | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            state: where everything shown comes from.
            role: what the meter is to the GX; `grid` changes what ESS does.
            instance: VRM device instance.
            bus: the message bus.
            version: of this program.
            host: host name or address of the meter.
            stale_after_s: older values are not shown.
            clock: monotonic time in s.
            name: shown instead of the one it has in the Shelly.
            settings: keeps what the user decides about it on the GX; None = nothing.
            controls: what the user sets for the plant; None = nothing.
        """
        self._state = state
        self._name = name
        self._settings = settings
        self._controls = controls
        self._device: Device | None = None
        self._role = role
        self._instance = instance
        self._bus = bus
        self._version = version
        self._host = host
        self._stale_after_s = stale_after_s
        self._clock = clock
        self._total = Display(_TOTAL, "/Ac")
        self._phases = tuple(Display(_PHASE, f"/Ac/L{number}") for number in (1, 2, 3))
        self._plan = Display(_PLAN, "/Plan")

    async def run(self) -> NoReturn:
        """Wait until the meter has told its MAC address, which is part of the name, then stay on the bus for ever."""
        await wait_until(self._state, lambda: self._state.meter_info is not None)
        assert self._state.meter_info is not None
        service = self.build(self._state.meter_info)
        await serve(self._state, service, self.values, self._device)

    def build(self, info: MeterInfo) -> BusService:
        """Return the service of the meter `info`, with its values."""
        mac = re.sub(r"[^0-9a-z]", "", info.mac.lower())  # a bus name takes nothing else
        service = BusService(f"com.victronenergy.{self._role}.shelly_{mac}", self._bus)
        if self._settings is not None:
            self._device = Device(self._settings, f"shelly_{mac}", self._role, self._instance)
        add_identity(
            service,
            instance=self._instance,
            version=self._version,
            connection=f"Shelly {self._host}",
            product=f"Shelly {info.model}",
            rename=self._device.rename if self._device is not None else None,
        )
        service.update({"/Serial": mac, "/HardwareVersion": f"generation {info.generation}"})
        service.add("/Role", text(self._role))
        if self._role == "acload":
            service.add("/Position", integer(POSITION_AC_INPUT))
            service.add("/IsGenericEnergyMeter", integer(1))
        service.add("/NrOfPhases", integer())
        service.add("/Plan/Reason", text())
        if self._controls is not None:
            self._controls.add_plain(service)
        self._total.add_to(service)
        self._plan.add_to(service)
        for display in self._phases:
            display.add_to(service)
        service.update(self.values())
        return service

    def values(self) -> Mapping[str, Value | None]:
        """Return what the service has to show now; what is too old is None."""
        now_s = self._clock()
        info = self._state.meter_info
        given = self._device.name if self._device is not None else ""
        meter = fresh(self._state.meter, now_s, self._stale_after_s)
        plan = fresh(self._state.plan, now_s, self._stale_after_s)
        phases = meter.phases if meter is not None else (None, None, None)
        values: dict[str, Value | None] = {
            "/CustomName": given or self._name or (info.name if info is not None else ""),
            "/FirmwareVersion": info.firmware if info is not None else None,
            "/Connected": int(meter is not None),
            "/NrOfPhases": sum(phase is not None for phase in phases) or None,
            "/Plan/Reason": str(plan.reason) if plan is not None else None,
            **self._plan.values(plan),
            **self._total.values(meter),
        }
        for display, phase in zip(self._phases, phases, strict=True):
            values |= display.values(phase)
        return values
