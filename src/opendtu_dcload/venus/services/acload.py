"""The grid meter on the bus: com.victronenergy.acload, or com.victronenergy.grid when the user wants it to be that.

ESS regulates by a grid meter, and two of them are one too many: the role `grid` has to be allowed in the file and is
not taken while another service has it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Literal, NoReturn

from opendtu_dcload.freshness import METER_SHOWN_S, fresh
from opendtu_dcload.model import MeterInfo, MeterReading, PhaseReading
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.item import Item, Value
from opendtu_dcload.venus.gx.gx_control import Control
from opendtu_dcload.venus.gx.gx_controls import Controls
from opendtu_dcload.venus.gx.service_watch import ServiceWatch
from opendtu_dcload.venus.services.context import ServiceContext
from opendtu_dcload.venus.services.device import (
    Device,
    Display,
    Shown,
    add_identity,
    integer,
    serve_until,
    wait_until,
)
from opendtu_dcload.venus.services.plan_display import PlanDisplay
from opendtu_dcload.venus.services.presence import Presence

Role = Literal["acload", "grid"]
ROLES: tuple[Role, ...] = ("acload", "grid")

DEVICE_INSTANCE = 59
"""Wanted; the original's."""
FREE_S = 60.0
"""Another grid meter must have been away for this long before its role is taken: it may only be restarting."""

SILENT_S = 15.0
"""A grid meter leaves the bus when its values have been invalid for this long, since it hides what a MultiPlus measures
itself."""
BACK_S = 10.0
"""A grid meter that has left comes back when it has had values for this long."""

POSITION_AC_INPUT = 1
"""Position of an acload in gui-v2, src/enums.h; 0 is the AC output."""


def _single(meter: MeterReading) -> PhaseReading | None:
    """Return the only phase; of several there is no one voltage."""
    measured = [phase for phase in meter.phases if phase is not None]
    return measured[0] if len(measured) == 1 else None


def _phase_count(phases: Sequence[PhaseReading | None]) -> int | None:
    """Return how many phases there are; None unless they are L1 to Ln, as the GX takes it."""
    count = sum(phase is not None for phase in phases)
    return count if count and all(phase is not None for phase in phases[:count]) else None


log = logging.getLogger(__name__)

_TOTAL: Mapping[str, Shown[MeterReading]] = {
    "/Power": Shown("W", 1, lambda meter: meter.power_w, meaning="grid power, import positive"),
    "/Voltage": Shown(
        "V", 1, lambda meter: phase.voltage_v if (phase := _single(meter)) else None, meaning="where there is one phase"
    ),
    "/Current": Shown(
        "A", 2, lambda meter: phase.current_a if (phase := _single(meter)) else None, meaning="where there is one phase"
    ),
    "/Frequency": Shown("Hz", 2, lambda meter: meter.frequency_hz, meaning="of the grid"),
    "/Energy/Forward": Shown("kWh", 3, lambda meter: meter.energy_import_wh, is_energy=True, meaning="bought"),
    "/Energy/Reverse": Shown("kWh", 3, lambda meter: meter.energy_export_wh, is_energy=True, meaning="sold"),
}
_PHASE: Mapping[str, Shown[PhaseReading]] = {
    "/Power": Shown("W", 1, lambda phase: phase.power_w, meaning="of this phase, import positive"),
    "/Voltage": Shown("V", 1, lambda phase: phase.voltage_v, meaning="of this phase"),
    "/Current": Shown("A", 2, lambda phase: phase.current_a, meaning="of this phase"),
    "/Energy/Forward": Shown(
        "kWh", 3, lambda phase: phase.energy_import_wh, is_energy=True, meaning="bought on this phase"
    ),
    "/Energy/Reverse": Shown(
        "kWh", 3, lambda phase: phase.energy_export_wh, is_energy=True, meaning="sold on this phase"
    ),
}


def _bus_name(info: MeterInfo, role: Role) -> str:
    return f"com.victronenergy.{role}.{info.uid}"


class MeterService:
    """Shows the grid meter and the plan of the whole plant; a user can write the role and the controls."""

    def __init__(
        self,
        context: ServiceContext,
        host: str,
        *,
        role: Role = "acload",
        instance: int = DEVICE_INSTANCE,
        name: str | None = None,
        watch: ServiceWatch | None = None,
        controls: Controls | None = None,
        tick_s: float = 1.0,
    ) -> None:
        """Open nothing yet.

        Args:
            context: where values come from and go to.
            host: host name or address of the meter.
            role: what the meter is to be to the GX until the user chooses there; `grid` changes what ESS does.
            instance: VRM device instance.
            name: shown instead of the one it has in itself.
            watch: sees other grid meters; None = the role `grid` is not allowed.
            controls: what the user sets for the plant; None = nothing.
            tick_s: time between two looks at ages and other services when no reading comes.
        """
        self._context = context
        self._state = context.state
        self._clock = context.clock
        self._host = host
        self._in_file: Role = role
        self._instance = instance
        self._name = name
        self._watch = watch
        self._controls = controls
        self._tick_s = tick_s
        self._device: Device | None = None
        self._position: Control | None = None
        self._other_grid_at_s = float("-inf")
        self._is_told = False
        self._grid_presence = Presence(leave_after_s=SILENT_S, back_after_s=BACK_S)
        self._has_left = False
        self._total = Display(_TOTAL, "/Ac")
        self._phases = tuple(Display(_PHASE, f"/Ac/L{number}") for number in (1, 2, 3))
        self._plan = PlanDisplay()

    async def run(self) -> NoReturn:
        """Wait until the meter has told its serial number, which is part of the name, then stay on the bus for ever."""
        await wait_until(self._state, lambda: self._state.meter_info is not None)
        info = self._state.meter_info
        assert info is not None
        self._device = self._context.device(info.uid, self._in_file, self._instance)
        if self._device is not None:
            await self._device.asked()
        if self._wanted() == "grid" and self._watch is not None:
            await self._watch.wait_ready()
        while True:
            role = self._role()
            if role is None:
                await wait_until(self._state, lambda: self._role() is not None, self._tick_s)
            else:
                await self._stay(info, role)

    async def _stay(self, info: MeterInfo, role: Role) -> None:
        """Stay on the bus in one role for as long as it is the right one."""
        service = self.build(info, role)
        await serve_until(service, self.values, self._device, self._tick_s, lambda: self._role() != role)

    def _wanted(self) -> str:
        """Return the role that the user chose, on the GX or else in the file."""
        return self._in_file if self._device is None else self._device.kind

    def _role(self) -> Role | None:
        """Return the role that can be had now, None when it is to be off the bus."""
        if self._wanted() != "grid" or self._watch is None:
            return "acload"
        now_s, other = self._clock(), self._other_grid()
        if other is not None:
            self._other_grid_at_s = now_s
        is_free = now_s - self._other_grid_at_s >= FREE_S
        if other is not None and not self._is_told:
            log.warning("the meter stays an acload: %s is the GX's grid meter already, remove one of them", other)
        elif is_free and self._is_told:
            log.info("the meter is the GX's grid meter now: there is no other one any more")
        self._is_told = not is_free
        return self._grid_role() if is_free else "acload"

    def _grid_role(self) -> Role | None:
        now_s, was_here = self._clock(), self._grid_presence.is_here
        is_known = fresh(self._state.meter, now_s, METER_SHOWN_S) is not None
        is_here = self._grid_presence.update(now_s, is_known=is_known)
        if was_here and not is_here:
            self._has_left = True
            log.warning("the grid meter leaves the bus: it has no values, and the GX may have a measurement of its own")
        elif is_here and self._has_left:
            self._has_left = False
            log.info("the grid meter is on the bus again: it has values")
        return "grid" if is_here else None

    def _other_grid(self) -> str | None:
        if self._watch is None or self._state.meter_info is None:
            return None
        mine = _bus_name(self._state.meter_info, "grid")
        return next((name for name in self._watch.of_class("grid") if name != mine), None)

    def _take_role(self, wanted: str) -> Value | None:
        """Take the role that a user has chosen, None if it cannot be had."""
        role = next((known for known in ROLES if known == wanted), None)
        if role is None:
            return None
        if role == "grid" and (self._watch is None or self._watch.names is None or self._other_grid() is not None):
            log.warning("the meter does not become the grid meter: it is not allowed to, or there is another one")
            return None
        self._other_grid_at_s = float("-inf")
        if self._device is None:
            self._in_file = role
        else:
            self._device.become(role)
        log.info("the meter becomes %s, as the user wishes", role)
        return role

    def build(self, info: MeterInfo, role: Role = "acload") -> BusService:
        """Return the service of the meter `info` in a role, with its values."""
        name = _bus_name(info, role)
        service = BusService(name, self._context.bus)
        add_identity(
            service,
            instance=self._instance,
            version=self._context.version,
            connection=f"{info.vendor} {self._host}",
            product=f"{info.vendor} {info.model}",
            rename=self._device.rename if self._device is not None else None,
        )
        service.update({"/Serial": name.rpartition("_")[2], "/HardwareVersion": info.hardware or None})
        meaning = "`acload`: shown; `grid`: ESS regulates by it"
        service.add("/Role", Item(kind=str, value=role, on_write=self._take_role, is_choice=True, meaning=meaning))
        roles: list[str] = ["acload"] if self._watch is None else [*ROLES]
        service.add("/AllowedRoles", Item(kind=list, value=roles, meaning="what may be written to `/Role`"))
        if role == "acload":
            self._add_position(service)
            service.add("/IsGenericEnergyMeter", integer(1, meaning="1: a meter, no heat pump or charger"))
        service.add("/NrOfPhases", integer(meaning="where they are L1 to Ln"))
        if self._controls is not None:
            self._controls.add_plain(service)
        self._total.add_to(service)
        self._plan.add_to(service)
        for display in self._phases:
            display.add_to(service)
        service.update(self.values())
        return service

    def _add_position(self, service: BusService) -> None:
        meaning = "0 = AC output, 1 = AC input"
        if self._context.settings is None:
            service.add("/Position", integer(POSITION_AC_INPUT, meaning=meaning))
            return
        if self._position is None:
            key = f"/Settings/Devices/{service.name.rpartition('.')[2]}/Position"
            self._position = Control.choice(self._context.settings, key, POSITION_AC_INPUT, POSITION_AC_INPUT, meaning)
        self._position.add_value(service, "/Position")

    def values(self) -> Mapping[str, Value | None]:
        """Return what the service has to show now; what is too old is None."""
        now_s = self._clock()
        info = self._state.meter_info
        given = self._device.name if self._device is not None else ""
        meter = fresh(self._state.meter, now_s, METER_SHOWN_S)
        phases = meter.phases if meter is not None else (None, None, None)
        values: dict[str, Value | None] = {
            "/CustomName": given or self._name or (info.name if info is not None else ""),
            "/FirmwareVersion": info.firmware if info is not None else None,
            "/Connected": int(meter is not None),
            "/NrOfPhases": _phase_count(phases),
            **self._plan.values(self._state.plan_at(now_s)),
            **self._total.values(meter),
        }
        for display, phase in zip(self._phases, phases, strict=True):
            values |= display.values(phase)
        return values
