"""The inverters' DC power as one sum: com.victronenergy.dcsystem, from which the GX takes its DC totals.

DVCC adds this sum to what the chargers may give, so a sum that is too high overcharges the battery. When in doubt it is
too low, and it is absent before it is old.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

from opendtu_dcload.freshness import dtu_summed_s, fresh
from opendtu_dcload.limit_reading import watts_of
from opendtu_dcload.model import InverterStatus, LimitStatus
from opendtu_dcload.state import State
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.item import Value
from opendtu_dcload.venus.gx.service_watch import ServiceWatch
from opendtu_dcload.venus.services.context import ServiceContext
from opendtu_dcload.venus.services.device import Display, Freshness, Shown, add_identity, reported_of
from opendtu_dcload.venus.services.presence import Presence

Mode = Literal["auto", "on", "off"]

NAME = "com.victronenergy.dcsystem.opendtu"
DEVICE_INSTANCE = 133
BACK_S = 30.0
"""How long there must be a sum before the service comes back. Without one it leaves the bus, since systemcalc takes an
invalid sum for 0 W."""
_TICK_S = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SummedInverter:
    """An inverter to be summed."""

    serial: str
    dtu: str
    """Name of its DTU in the state."""
    poll_interval_s: float
    freshness_s: Freshness
    """The control's rule for which of the DTU's values count."""


@dataclass(frozen=True, slots=True)
class DcSum:
    """What all inverters together draw from the battery."""

    power_w: float
    current_a: float
    voltage_v: float
    """Mean of theirs."""


def sum_of(state: State, sources: Sequence[SummedInverter], now_s: float) -> DcSum | None:
    """Return the sum over the inverters whose data are young enough; None when there are none."""
    parts = []
    for source in sources:
        if fresh(state.dtus.get(source.dtu), now_s, dtu_summed_s(source.poll_interval_s)) is None:
            continue
        told = reported_of(state, source.serial, source.dtu, source.freshness_s, now_s)
        status = told.status
        if status is None or status.dc_power_w is None or not status.dc_voltage_v:
            continue
        parts.append((_possible_w(status, told.limit), status.dc_voltage_v))
    if not parts:
        return None
    return DcSum(
        power_w=sum(power_w for power_w, _ in parts),
        current_a=sum(power_w / voltage_v for power_w, voltage_v in parts),
        voltage_v=sum(voltage_v for _, voltage_v in parts) / len(parts),
    )


def _possible_w(status: InverterStatus, limit: LimitStatus | None) -> float:
    """Return an inverter's DC power in W, no more than its acknowledged limit allows.

    The limit is one of AC power; what was measured on both sides tells how much of it that is on the DC side.
    """
    measured_w = max(status.dc_power_w or 0.0, 0.0)
    allowed_w = watts_of(limit) if limit is not None else None
    if allowed_w is None:
        return measured_w
    ac_power_w = status.ac_power_w or 0.0
    return measured_w * allowed_w / ac_power_w if ac_power_w > allowed_w else measured_w


_SHOWN: Mapping[str, Shown[DcSum]] = {
    "/Dc/0/Voltage": Shown("V", 2, lambda total: total.voltage_v, meaning="mean of the inverters'"),
    "/Dc/0/Current": Shown("A", 2, lambda total: total.current_a, meaning="sum of the inverters that count"),
    "/Dc/0/Power": Shown(
        "W", 1, lambda total: total.power_w, meaning="sum of the inverters that count; rather too low"
    ),
}
_ENERGY: Mapping[str, Shown[float]] = {
    "/History/EnergyIn": Shown(
        "kWh", 3, lambda energy_wh: energy_wh, is_energy=True, meaning="sum of their yields, once all are known"
    )
}


class DcSystemService:
    """Publishes the sum while there is one, and in mode "auto" while nobody else publishes a dcsystem."""

    def __init__(
        self,
        context: ServiceContext,
        mode: Mode,
        sources: Sequence[SummedInverter],
        watch: ServiceWatch,
        *,
        tick_s: float = _TICK_S,
    ) -> None:
        """Open nothing yet.

        Args:
            context: where values come from and go to.
            mode: when it is published.
            sources: the inverters to be summed.
            watch: sees other services.
            tick_s: time between two looks at the ages.
        """
        self._mode = mode
        self._state = context.state
        self._sources = sources
        self._watch = watch
        self._clock = context.clock
        self._tick_s = tick_s
        self._presence = Presence(leave_after_s=0.0, back_after_s=BACK_S)
        self._is_crowded = False
        self._display, self._energy = Display(_SHOWN), Display(_ENERGY)
        self._device = context.device("opendtu_dcsystem", "dcsystem", DEVICE_INSTANCE)
        self.service = BusService(NAME, context.bus)
        add_identity(
            self.service,
            instance=DEVICE_INSTANCE,
            version=context.version,
            connection="OpenDTU",
            product="Hoymiles inverters via OpenDTU",
            rename=self._device.rename if self._device is not None else None,
        )
        self.service.update({"/FirmwareVersion": context.version})
        self._display.add_to(self.service)
        self._energy.add_to(self.service)

    async def run(self) -> NoReturn:
        """Be on the bus whenever there is a sum to show, for ever."""
        if self._device is not None:
            await self._device.asked()
        while True:
            await self._until(wanted=True)
            await self.service.run_until(lambda: self._until(wanted=False))

    async def _until(self, *, wanted: bool) -> None:
        """Keep the values up to date until the service is wanted, or no longer."""
        while True:
            total = sum_of(self._state, self._sources, self._clock())
            is_here = self._is_wanted(is_known=total is not None)
            if not wanted and not is_here:  # while it is still on the bus its last values stay valid
                return
            values: dict[str, Value | None] = {
                "/CustomName": self._device.name if self._device is not None else "",
                "/Connected": int(total is not None),
                **self._display.values(total),
                **self._energy.values(self._energy_wh()),
            }
            self.service.update(values)
            if self._device is not None:
                self._device.settle(self.service)
            if wanted and is_here:
                return
            await asyncio.sleep(self._tick_s)

    def _energy_wh(self) -> float | None:
        """Return all yields; None until every inverter has told its own, because a jump would count as energy."""
        known = self._state.inverters
        yields_wh = [known[source.serial].yield_total_wh for source in self._sources if source.serial in known]
        told_wh = [yield_wh for yield_wh in yields_wh if yield_wh is not None]
        return sum(told_wh) if len(told_wh) == len(self._sources) else None

    def _is_wanted(self, *, is_known: bool) -> bool:
        is_here = self._presence.update(self._clock(), is_known=is_known)
        if self._mode == "auto":
            if self._watch.names is None:
                return is_here and self.service.is_online
            others = [name for name in self._watch.of_class("dcsystem") if name != NAME]
            if bool(others) is not self._is_crowded:
                self._is_crowded = bool(others)
                if others:
                    log.info("the sum of the inverters is not published: %s is a DC system meter already", others[0])
                else:
                    log.info("the sum of the inverters is published: there is no other DC system meter any more")
            if others:
                return False
        return is_here
