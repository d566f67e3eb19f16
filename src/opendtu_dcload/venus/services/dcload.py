"""An inverter on the bus: com.victronenergy.dcload, one service each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from opendtu_dcload.limit_reading import watts_of
from opendtu_dcload.model import Cause, InverterPlan, InverterStatus, LimitStatus
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.item import Value
from opendtu_dcload.venus.gx.gx_control import Control
from opendtu_dcload.venus.gx.gx_controls import Controls
from opendtu_dcload.venus.services.context import ServiceContext
from opendtu_dcload.venus.services.device import (
    Display,
    Freshness,
    Shown,
    add_identity,
    integer,
    reported_of,
    serve,
    text,
    wait_until,
)
from opendtu_dcload.venus.services.diagnostics import InverterHealth

MONITOR_MODE_INVERTER = 7
"""gui-v2, src/enums.h."""

_MEASURED: Mapping[str, Shown[InverterStatus]] = {
    "/Dc/0/Voltage": Shown(
        "V",
        2,
        lambda status: status.dc_voltage_v,
        meaning="voltage of the battery side. With several inputs the mean over those that give at least a tenth of "
        "the strongest one's power, weighted by power: an unused input shows anything",
    ),
    "/Dc/0/Current": Shown("A", 2, lambda status: status.dc_current_a, meaning="power / voltage"),
    "/Dc/0/Power": Shown(
        "W", 1, lambda status: status.dc_power_w, meaning="drawn from the battery, positive = consuming"
    ),
    "/Dc/0/Temperature": Shown("C", 1, lambda status: status.temperature_c, meaning="of the inverter"),
    "/History/EnergyIn": Shown(
        "kWh", 3, lambda status: status.yield_total_wh, is_energy=True, meaning="its yield since it was made"
    ),
    "/Ac/Power": Shown("W", 1, lambda status: status.ac_power_w, meaning="measured output"),
}
_ACKNOWLEDGED: Mapping[str, Shown[LimitStatus]] = {
    "/Ac/Limit": Shown("W", 0, watts_of, meaning="the limit that it acknowledged"),
}
_WANTED: Mapping[str, Shown[InverterPlan]] = {
    # The screen shows it as the auxiliary voltage, where users of the original look for the AC watts asked for.
    "/Dc/1/Voltage": Shown(
        "W",
        0,
        lambda plan: plan.limit_w if plan.is_on else 0.0,
        meaning="the AC power it is told to give, as with the original; absent with `aux_voltage = false`",
    ),
}
_ALARMS: Mapping[str, tuple[Cause, str]] = {
    "/Alarms/HighTemperature": (Cause.INVERTER_WARM, "1 = warning: 30 s hotter than `max_temperature_c`"),
    "/Alarms/LowVoltage": (Cause.VOLTAGE_LOW, "1 = warning: DC voltage for 30 s below `min_voltage_v`"),
    "/Alarms/HighVoltage": (Cause.VOLTAGE_HIGH, "1 = warning: DC voltage for 30 s above 65 V"),
}
"""The alarms of a dcload that fit an inverter: it has no starter battery, and cold does not harm it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownInverter:
    """An inverter to be shown."""

    serial: str
    """12 hex digits, lower case."""
    instance: int
    """VRM device instance."""
    dtu: str
    """Name of its DTU in the state."""
    dtu_host: str
    """Host name or address of the DTU."""
    freshness_s: Freshness
    """The control's rule for which of the DTU's values count; no others are shown."""
    name: str | None = None
    """Shown instead of the one it has in the DTU."""


class InverterService:
    """Shows one configured inverter; writes nothing back."""

    def __init__(
        self,
        context: ServiceContext,
        inverter: ShownInverter,
        *,
        controls: Controls | None = None,
        alarms: Control | None = None,
        aux_voltage: bool = True,
        name_wait_s: float = 10.0,
    ) -> None:
        """Open nothing yet.

        Args:
            context: where values come from and go to.
            inverter: which one.
            controls: what the user sets on the GX; None = nothing.
            alarms: whether warnings are wanted; None = they are.
            aux_voltage: whether the power it is told to give is shown as its auxiliary voltage.
            name_wait_s: how long the service waits for the DTU to tell the inverter's name before it appears.
        """
        self._serial = inverter.serial
        self._state = context.state
        self._freshness_s = inverter.freshness_s
        self._clock = context.clock
        self._dtu = inverter.dtu
        self._name = inverter.name
        self._name_wait_s = name_wait_s
        self._device = context.device(f"opendtu_{inverter.serial}", "dcload", inverter.instance)
        self._alarm_switch = alarms
        self._measured = Display(_MEASURED)
        self._acknowledged = Display(_ACKNOWLEDGED)
        self._wanted = Display(_WANTED) if aux_voltage else None
        self._health = InverterHealth(inverter.serial)
        self.service = BusService(f"com.victronenergy.dcload.opendtu_{inverter.serial}", context.bus)
        add_identity(
            self.service,
            instance=inverter.instance,
            version=context.version,
            connection=f"OpenDTU {inverter.dtu_host}",
            product="Hoymiles inverter via OpenDTU",
            rename=self._device.rename if self._device is not None else None,
        )
        self.service.update({"/FirmwareVersion": context.version, "/Serial": inverter.serial})
        self.service.add("/Settings/MonitorMode", integer(MONITOR_MODE_INVERTER, meaning="kind of load: 7 = inverter"))
        meaning = "why the plant gives what it gives, and in brackets what is special about this inverter"
        self.service.add("/Reason", text(meaning=meaning))
        if controls is not None:
            controls.add_inverter(self.service, inverter.serial)
        for path, (_, meaning) in _ALARMS.items():
            self.service.add(path, integer(0, meaning=meaning))
        for display in (self._measured, self._acknowledged, self._wanted, self._health):
            if display is not None:
                display.add_to(self.service)

    async def run(self) -> NoReturn:
        """Stay on the bus for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._name_wait_s):
                await wait_until(self._state, lambda: self._serial in self._state.inverters)
        await serve(self.service, self.values, self._device)

    def values(self) -> Mapping[str, Value | None]:
        """Return what the service has to show now; what is too old is None."""
        now_s = self._clock()
        known, dtu = self._state.inverters.get(self._serial), self._state.dtus.get(self._dtu)
        told = reported_of(self._state, self._serial, self._dtu, self._freshness_s, now_s)
        plan = self._state.plan_at(now_s)
        mine = next((part for part in plan.inverters if part.serial == self._serial), None) if plan else None
        given = self._device.name if self._device is not None else ""
        note = f" ({mine.note})" if mine is not None and mine.note else ""
        return {
            "/CustomName": given or self._name or (known.name if known is not None else ""),
            "/HardwareVersion": f"OpenDTU {dtu.firmware}".strip() if dtu is not None else None,
            "/Connected": int(told.status is not None),
            "/Reason": f"{plan.words}{note}" if plan is not None else None,
            **self._measured.values(told.status),
            **self._acknowledged.values(told.limit),
            **(self._wanted.values(mine if told.status is not None else None) if self._wanted is not None else {}),
            **self._alarms(),
            **self._health.values(self._state, now_s),
        }

    def _alarms(self) -> Mapping[str, int]:
        if self._alarm_switch is not None and not self._alarm_switch.value:
            return dict.fromkeys(_ALARMS, 0)
        up = {alarm.cause: int(alarm.severity) for alarm in self._state.alarms if alarm.subject == self._serial}
        return {path: up.get(cause, 0) for path, (cause, _) in _ALARMS.items()}
