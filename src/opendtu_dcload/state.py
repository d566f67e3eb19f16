"""The latest readings and the latest plan: one object, one writer per field, one notification."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from opendtu_dcload.freshness import PLAN_S, content, contents, fresh
from opendtu_dcload.model import (
    Alarm,
    BatteryStatus,
    DtuStatus,
    InverterStatus,
    LimitStatus,
    MeterInfo,
    MeterReading,
    MultiplusStatus,
    Plan,
    RelayStatus,
    SolarReading,
    UserOverrides,
)
from opendtu_dcload.tallies import CommandRecord, Link, Today

Status = TypeVar("Status", InverterStatus, LimitStatus)


class State:
    """What is known now. Readers take the fields as they are: every value in them is immutable.

    Writers: the meter poller (`set_meter*`), one poller per DTU for its part (`set_inverters`, `set_limits`,
    `set_dtu`), the battery's follower on the bus (`set_battery`, `set_multiplus`), the controls on the GX
    (`set_overrides`), the poller of the plug-in solar (`set_solar`), the relay's task (`set_relay`), the control loop
    (`set_plan`, `set_alarms`, `set_commands`, `set_today`); each poller the links of its own devices (`set_link`).

    A DTU that tells the same again is not told of: who acts on ages looks for himself.
    """

    def __init__(self, names: Mapping[str, str] = MappingProxyType({})) -> None:
        """Begin with nothing known.

        Args:
            names: what the user calls inverters, by serial; the others have the names that their DTU has for them.
        """
        self._names = names
        self.meter: MeterReading | None = None
        self.meter_info: MeterInfo | None = None
        self.inverters: Mapping[str, InverterStatus] = MappingProxyType({})
        """Our inverters, by serial."""
        self.limits: Mapping[str, LimitStatus] = MappingProxyType({})
        """Of our inverters, by serial."""
        self.dtus: Mapping[str, DtuStatus] = MappingProxyType({})
        """Those that have answered, by name."""
        self.battery: BatteryStatus | None = None
        """None = the bus knows no battery."""
        self.multiplus: MultiplusStatus | None = None
        """None = the bus knows none."""
        self.solar: SolarReading | None = None
        self.relay: RelayStatus | None = None
        """As last read; None = there is none, or it has not answered yet."""
        self.overrides = UserOverrides()
        self.plan: Plan | None = None
        self.alarms: tuple[Alarm, ...] = ()
        """What is wrong now, the worst first."""
        self.commands: Mapping[str, CommandRecord] = MappingProxyType({})
        """By the inverter's serial; those that were ever commanded."""
        self.links: Mapping[str, Link] = MappingProxyType({})
        """By `METER`, a DTU's label or an inverter's serial; those that ever failed or came back."""
        self.today = Today()
        self.room_w: float | None = None
        """What the inverters could give beyond what they do; None = not known yet."""
        self._inverters_of: dict[str, Mapping[str, InverterStatus]] = {}
        self._limits_of: dict[str, Mapping[str, LimitStatus]] = {}
        self._listeners: set[asyncio.Event] = set()

    @contextlib.contextmanager
    def listen(self) -> Iterator[asyncio.Event]:
        """Yield an event that is set at each change; the listener clears it before it reads."""
        changed = asyncio.Event()
        self._listeners.add(changed)
        try:
            yield changed
        finally:
            self._listeners.discard(changed)

    def plan_at(self, now_s: float) -> Plan | None:
        """Return the decision that holds now; None when the control has not decided for 10 s."""
        return fresh(self.plan, now_s, PLAN_S)

    def set_meter_info(self, info: MeterInfo) -> None:
        """Keep what the meter says of itself."""
        self.meter_info = info
        self._notify()

    def set_meter(self, reading: MeterReading) -> None:
        """Keep a new meter reading."""
        self.meter = reading
        self._notify()

    def set_inverters(self, dtu: str, inverters: Mapping[str, InverterStatus]) -> None:
        """Keep the measured values of one DTU's inverters, instead of those it had."""
        before = self._inverters_of.get(dtu)
        named = {
            serial: replace(inverters[serial], name=self._names[serial])
            for serial in self._names.keys() & inverters.keys()
        }
        self._inverters_of[dtu] = inverters = {**inverters, **named}
        self.inverters = _merged(self._inverters_of)
        if before is None or contents(before) != contents(inverters):
            self._notify()

    def set_limits(self, dtu: str, limits: Mapping[str, LimitStatus]) -> None:
        """Keep what one DTU knows of the limits, instead of what it knew."""
        before = self._limits_of.get(dtu)
        self._limits_of[dtu] = limits
        self.limits = _merged(self._limits_of)
        if before is None or contents(before) != contents(limits):
            self._notify()

    def set_dtu(self, name: str, status: DtuStatus) -> None:
        """Keep a DTU's own status."""
        before = self.dtus.get(name)
        self.dtus = MappingProxyType({**self.dtus, name: status})
        if before is None or content(before) != content(status):
            self._notify()

    def set_battery(self, battery: BatteryStatus | None) -> None:
        """Keep what the GX says of the battery."""
        self.battery = battery
        self._notify()

    def set_multiplus(self, multiplus: MultiplusStatus | None) -> None:
        """Keep what the inverter/charger says of itself."""
        self.multiplus = multiplus
        self._notify()

    def set_solar(self, solar: SolarReading) -> None:
        """Keep what the plug-in solar gives."""
        self.solar = solar
        self._notify()

    def set_relay(self, relay: RelayStatus) -> None:
        """Keep what the relay says of itself."""
        self.relay = relay
        self._notify()

    def set_overrides(self, overrides: UserOverrides) -> None:
        """Keep what the user set on the GX."""
        self.overrides = overrides
        self._notify()

    def set_plan(self, plan: Plan) -> None:
        """Keep the latest decision."""
        self.plan = plan
        self._notify()

    def set_alarms(self, alarms: tuple[Alarm, ...]) -> None:
        """Keep what is wrong now."""
        self.alarms = alarms
        self._notify()

    def set_commands(self, commands: Mapping[str, CommandRecord]) -> None:
        """Keep what came of the commands."""
        self.commands = commands
        self._notify()

    def set_link(self, device: str, link: Link) -> None:
        """Keep how well a device answers."""
        self.links = MappingProxyType({**self.links, device: link})
        self._notify()

    def set_today(self, today: Today, room_w: float | None = None) -> None:
        """Keep today's energies, and what the inverters could give beyond what they do, W."""
        self.today, self.room_w = today, room_w
        self._notify()

    def _notify(self) -> None:
        for changed in self._listeners:
            changed.set()


def _merged(parts: Mapping[str, Mapping[str, Status]]) -> Mapping[str, Status]:
    return MappingProxyType({serial: value for part in parts.values() for serial, value in part.items()})
