"""All that is shown on the bus: which services a configuration has, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from opendtu_dcload.config import Config
from opendtu_dcload.state import State
from opendtu_dcload.venus.bus.bus_address import BusAddress
from opendtu_dcload.venus.gx.battery_follower import BatteryFollower
from opendtu_dcload.venus.gx.gx_control import FOLDER, Control
from opendtu_dcload.venus.gx.gx_controls import Controls, controls_of
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.venus.gx.notification import Platform
from opendtu_dcload.venus.gx.service_watch import ServiceWatch
from opendtu_dcload.venus.services.acload import MeterService
from opendtu_dcload.venus.services.alarm import MUTE_MEANING, AlarmService
from opendtu_dcload.venus.services.context import ServiceContext
from opendtu_dcload.venus.services.dcload import InverterService, ShownInverter
from opendtu_dcload.venus.services.dcsystem import DcSystemService, SummedInverter
from opendtu_dcload.venus.services.device import Freshness
from opendtu_dcload.venus.services.diagnostics import PlantHealth
from opendtu_dcload.venus.services.switch import SwitchService
from opendtu_dcload.venus.services.temperature import TemperatureService


class Service(Protocol):
    """What talks with the bus."""

    async def run(self) -> object:
        """Do so for ever."""


@dataclass(frozen=True, slots=True)
class _Shared:
    """What several services show or take."""

    controls: Controls | None
    """None = nothing may be commanded."""
    alarms: Control
    """Whether the user wants alarms."""
    health: PlantHealth


class PlantServices:
    """The services and what they need of the bus, built and not yet on it."""

    def __init__(
        self,
        config: Config,
        state: State,
        bus: BusAddress,
        watch: ServiceWatch,
        freshness: Mapping[str, Freshness],
        clock: Callable[[], float],
    ) -> None:
        """Build them.

        Args:
            config: all settings.
            state: where values come from, and what is set and read on the bus goes to.
            bus: the message bus.
            watch: sees other services on it.
            freshness: by a DTU's name, the control's rule for which of its values count.
            clock: monotonic time in s.
        """
        settings = LocalSettings(bus, clock)
        self._config = config
        self._context = ServiceContext(state=state, bus=bus, clock=clock, settings=settings)
        self._watch = watch
        self._freshness = freshness
        self._shared = _Shared(
            controls_of(config, state, settings),
            Control.switch(settings, f"{FOLDER}/Alarms", "Alarms", MUTE_MEANING),
            PlantHealth({dtu.name: dtu.label for dtu in config.dtus}),
        )
        self.by_name: Mapping[str, Service] = {
            "D-Bus settings": settings,
            "D-Bus watch": watch,
            "battery": BatteryFollower(state, watch, clock),
            **dict(self._shown()),
        }
        """What is to be run, by what it is called among the tasks."""

    @property
    def controls(self) -> Controls | None:
        """What a user may set there; None = nothing may be commanded."""
        return self._shared.controls

    def _shown(self) -> Iterator[tuple[str, Service]]:
        dbus = self._config.dbus
        if dbus.battery_temperature:
            yield "D-Bus battery temperature", TemperatureService(self._context)
        if dbus.dcsystem != "off" and self._config.inverters:
            yield "D-Bus DC system", self._dc_system()
        yield "D-Bus controls", self._switch()
        yield "D-Bus alarm", self._alarm()
        for shown in self._inverters():
            yield f"D-Bus {shown.serial}", self._inverter(shown)
        if not self._config.meter.is_on_gx:
            yield "D-Bus meter", self._meter()

    def _dc_system(self) -> DcSystemService:
        dtus = [(inverter.serial, self._config.dtu_of(inverter)) for inverter in self._config.inverters]
        sources = [
            SummedInverter(serial, dtu.name, dtu.poll_interval_s, self._freshness[dtu.name]) for serial, dtu in dtus
        ]
        return DcSystemService(self._context, self._config.dbus.dcsystem, sources, self._watch)

    def _switch(self) -> SwitchService:
        shared, names = self._shared, {inverter.serial: inverter.name for inverter in self._config.inverters}
        return SwitchService(self._context, shared.controls, shared.alarms, names, shared.health)

    def _alarm(self) -> AlarmService:
        return AlarmService(
            self._context,
            self._shared.health,
            platform=Platform(self._watch),
            switch=self._shared.alarms,
            mode=self._config.dbus.alarm_input,
        )

    def _inverters(self) -> Iterator[ShownInverter]:
        for inverter, instance in zip(self._config.inverters, self._config.device_instances, strict=True):
            dtu = self._config.dtu_of(inverter)
            yield ShownInverter(
                serial=inverter.serial,
                instance=instance,
                dtu=dtu.name,
                dtu_host=dtu.host,
                freshness_s=self._freshness[dtu.name],
                name=inverter.name,
            )

    def _inverter(self, shown: ShownInverter) -> InverterService:
        return InverterService(
            self._context,
            shown,
            controls=self._shared.controls,
            alarms=self._shared.alarms,
            aux_voltage=self._config.dbus.aux_voltage,
        )

    def _meter(self) -> MeterService:
        dbus = self._config.dbus
        return MeterService(
            self._context,
            self._config.meter.host,
            role=dbus.meter_role,
            instance=dbus.meter_device_instance,
            name=dbus.meter_name,
            watch=self._watch if dbus.allow_grid_role else None,
            controls=self._shared.controls,
        )
