"""Wiring: who is started, in which order, and how everything is left again. The only file that knows everybody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import aiohttp

from opendtu_dcload import __version__
from opendtu_dcload.config import Config, InverterConfig
from opendtu_dcload.control.controller import Controller
from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.control.inverter.output_model import InverterParameters
from opendtu_dcload.control.loop import ControlLoop, dtu_silent_s, settings_of
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.devices.http import open_session
from opendtu_dcload.devices.meter import make_meter
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.devices.shelly.shelly_meter import ShellyMeter
from opendtu_dcload.devices.shelly.shelly_relay import ShellyRelay
from opendtu_dcload.freshness import METER_SHOWN_S
from opendtu_dcload.recording.bounded_file import open_recording
from opendtu_dcload.recording.recorder import RecordedController
from opendtu_dcload.single_instance import alone
from opendtu_dcload.state import State
from opendtu_dcload.tasks.live_line import print_live
from opendtu_dcload.tasks.poll_dtu import DtuPoller
from opendtu_dcload.tasks.poll_meter import poll_meter, poll_solar
from opendtu_dcload.tasks.rearm_relay import RelayTask
from opendtu_dcload.tasks.seasonal_store import SeasonalStore
from opendtu_dcload.tasks.suggest_inverters import offer_inverters
from opendtu_dcload.tasks.watchdog import Supervisor, Watchdog, announce_stop, report_health
from opendtu_dcload.venus.bus.bus_address import BusAddress, resolve
from opendtu_dcload.venus.gx.battery_follower import BatteryFollower
from opendtu_dcload.venus.gx.gx_control import FOLDER, Control
from opendtu_dcload.venus.gx.gx_controls import Controls
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.venus.gx.notification import Platform
from opendtu_dcload.venus.gx.service_watch import ServiceWatch
from opendtu_dcload.venus.services.acload import MeterService
from opendtu_dcload.venus.services.alarm import ALARM_INSTANCE, MUTE_MEANING, AlarmService
from opendtu_dcload.venus.services.dcload import InverterService
from opendtu_dcload.venus.services.dcsystem import DcSystemService, SummedInverter
from opendtu_dcload.venus.services.device import Device
from opendtu_dcload.venus.services.diagnostics import PlantHealth
from opendtu_dcload.venus.services.switch import SwitchService
from opendtu_dcload.venus.services.temperature import TemperatureService

log = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PACKAGES = ("aiohttp", "dbus-next", "pydantic", "tomli")


class _StopError(Exception):
    """Ends the task group in good order."""


async def run(
    config: Config, folder: Path, *, dry_run: bool = False, live: bool = False, watchdog: Watchdog | None = None
) -> None:
    """Run until SIGTERM, SIGINT or SIGHUP, then leave the inverters as `control.on_stop` says.

    Args:
        config: all settings.
        folder: where to keep what must survive a restart.
        dry_run: decide and publish, command nothing.
        live: print one line per second.
        watchdog: ends the process that this hangs in; None = the process is not ours to end.

    Raises:
        ConfigError: the configuration does not fit what was found.
    """
    bus = resolve(config.dbus.bus) if config.dbus.enabled else None
    clock = time.monotonic
    state = State()
    async with contextlib.AsyncExitStack() as stack:
        stop = _stop_event(stack)
        supervisor = Supervisor.of(os.environ)
        if not dry_run and not await _is_alone(config, supervisor, stop, stack):
            return
        feed = watchdog.feed if watchdog is not None else (lambda: None)
        feed()
        session = await stack.enter_async_context(open_session())
        dtus = {dtu.name: OpenDtu(dtu, session, config.serials_of(dtu), clock) for dtu in config.dtus}
        pollers = {
            dtu.name: DtuPoller(dtu, dtus[dtu.name], state, config.serials_of(dtu), dtu_silent_s(dtu), clock)
            for dtu in config.dtus
        }
        seasonal = SeasonalStore(folder) if config.battery.seasonal_min_soc else None
        loop = ControlLoop(
            config,
            state,
            dtus,
            clock,
            dry_run=dry_run,
            seasonal=seasonal,
            make_controller=_recorded(folder, stack) if config.log.record else Controller,
        )
        stack.push_async_callback(loop.leave)
        stack.enter_context(announce_stop(supervisor, watchdog))
        log.info("%s", first_line(config, bus))
        if dry_run:
            log.info("nothing is commanded, what is shown as set is what would be")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_stop_when(stop), name="stop")
                watch = ServiceWatch(bus) if bus is not None else None
                meter = make_meter(config.meter, session, watch, clock)
                every_s, lost_after_s = config.meter.poll_interval_s, config.control.meter_hold_s
                tasks.create_task(poll_meter(meter, state, every_s, lost_after_s, clock), name="meter")
                for name, poller in pollers.items():
                    tasks.create_task(poller.run(), name=f"DTU {name}")
                _start_beside(tasks, config, state, session, dry_run=dry_run)
                controls = (
                    _start_services(tasks, config, state, bus, watch) if bus is not None and watch is not None else None
                )
                tasks.create_task(_regulate(loop, controls), name="control")
                health = report_health(supervisor, state, __version__, clock, feed)
                tasks.create_task(health, name="health")
                if config.is_read_only:
                    for dtu in config.dtus:
                        tasks.create_task(offer_inverters(dtu, pollers[dtu.name], state), name=f"offer {dtu.name}")
                if live:
                    tasks.create_task(print_live(state, clock), name="live")
        except* _StopError:
            pass


def _recorded(
    folder: Path, stack: contextlib.AsyncExitStack
) -> Callable[[Settings, Sequence[InverterParameters], float], Controller]:
    """Return what makes a controller that is recorded in `folder`, or an ordinary one when it cannot be."""
    if (file := open_recording(folder)) is None:
        return Controller
    stack.callback(file.close)
    return partial(RecordedController, file)


def first_line(config: Config, bus: BusAddress | None) -> str:
    """Return what a reader of the log wants to know first: which program, on what, for which devices."""
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    devices = ", ".join(
        [f"meter {config.meter.host or 'of the GX'}", *(f"{dtu.label} {dtu.host}" for dtu in config.dtus)]
    )
    serials = ", ".join(inverter.serial for inverter in config.inverters) or "none listed"
    return (
        f"opendtu-dcload {__version__}: Python {platform.python_version()} {platform.machine()}, {packages}; "
        f"D-Bus {bus or 'off'}; {devices}, inverters {serials}"
    )


def _stop_event(stack: contextlib.AsyncExitStack) -> asyncio.Event:
    stop = asyncio.Event()
    event_loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        event_loop.add_signal_handler(number, stop.set)
        stack.callback(event_loop.remove_signal_handler, number)
    return stop


async def _is_alone(
    config: Config, supervisor: Supervisor, stop: asyncio.Event, stack: contextlib.AsyncExitStack
) -> bool:
    """Wait until no other copy of this program commands our inverters; False when this one is to stop before."""
    inverters = [(dtu.host, serial) for dtu in config.dtus for serial in config.serials_of(dtu)]

    def waiting() -> None:
        text = "STATUS=waits for another copy of this program to end"
        replace(supervisor, file=None).say(systemd=f"READY=1\nWATCHDOG=1\n{text}", line="")

    claiming, stopping = (
        asyncio.create_task(stack.enter_async_context(alone(inverters, waiting))),
        asyncio.create_task(stop.wait()),
    )
    try:
        await asyncio.wait([claiming, stopping], return_when=asyncio.FIRST_COMPLETED)
        return claiming.done()
    finally:
        for task in (claiming, stopping):
            task.cancel()
        await asyncio.gather(claiming, stopping, return_exceptions=True)


async def _stop_when(stop: asyncio.Event) -> None:
    await stop.wait()
    raise _StopError


async def _regulate(loop: ControlLoop, controls: Controls | None) -> None:
    if controls is not None:  # what was switched off must not come on for the first second
        await controls.asked()
    await loop.run()


def _start_beside(
    tasks: asyncio.TaskGroup, config: Config, state: State, session: aiohttp.ClientSession, *, dry_run: bool
) -> None:
    """Start what looks after the other Shellies."""
    clock = time.monotonic
    if config.solar is not None:
        solar = ShellyMeter(config.solar, session, clock, section="solar")
        tasks.create_task(poll_solar(solar, state, config.solar.poll_interval_s, clock), name="solar")
    if config.relay is not None:
        relay = ShellyRelay(config.relay, config.relay.output, session, clock)
        names = [dtu.name for dtu in config.dtus]
        is_dry = dry_run or config.is_read_only
        tasks.create_task(RelayTask(relay, state, names, clock, is_dry=is_dry).run(), name="relay")


def _start_services(
    tasks: asyncio.TaskGroup, config: Config, state: State, bus: BusAddress, watch: ServiceWatch
) -> Controls | None:
    """Show everything on the bus; return what a user may set there, None when nothing may be commanded."""
    clock, dtus = time.monotonic, settings_of(config).dtus
    settings = LocalSettings(bus, clock)
    tasks.create_task(settings.run(), name="D-Bus settings")
    tasks.create_task(watch.run(), name="D-Bus watch")
    tasks.create_task(BatteryFollower(state, watch, clock).run(), name="battery")
    if config.dbus.battery_temperature:
        temperature = TemperatureService(state, bus, __version__, clock, settings)
        tasks.create_task(temperature.run(), name="D-Bus battery temperature")
    if config.dbus.dcsystem != "off" and config.inverters:
        sources = [_source(config, inverter, dtus) for inverter in config.inverters]
        dc_system = DcSystemService(config.dbus.dcsystem, state, sources, watch, bus, __version__, clock, settings)
        tasks.create_task(dc_system.run(), name="D-Bus DC system")
    controls = _controls(config, state, settings)
    health = PlantHealth({dtu.name: dtu.label for dtu in config.dtus})
    alarms = Control.switch(settings, f"{FOLDER}/Alarms", "Alarms", MUTE_MEANING)
    names = {inverter.serial: inverter.name for inverter in config.inverters}
    switch = SwitchService(state, controls, alarms, settings, bus, __version__, names, health, clock)
    tasks.create_task(switch.run(), name="D-Bus controls")
    alarm_service = AlarmService(
        state,
        bus,
        __version__,
        health,
        clock,
        platform=Platform(watch),
        switch=alarms,
        mode=config.dbus.alarm_input,
        device=Device(settings, "opendtu_dcload_alarm", "digitalinput", ALARM_INSTANCE),
    )
    tasks.create_task(alarm_service.run(), name="D-Bus alarm")
    for inverter, instance in zip(config.inverters, config.device_instances, strict=True):
        dtu = config.dtu_of(inverter)
        inverter_service = InverterService(
            inverter.serial,
            instance,
            state,
            bus,
            __version__,
            dtu.host,
            dtus[dtu.name].freshness_s,
            clock,
            dtu=dtu.name,
            name=inverter.name,
            device=Device(settings, f"opendtu_{inverter.serial}", "dcload", instance),
            controls=controls,
            alarms=alarms,
            aux_voltage=config.dbus.aux_voltage,
        )
        tasks.create_task(inverter_service.run(), name=f"D-Bus {inverter.serial}")
    if not config.meter.is_on_gx:  # that one the GX shows itself
        meter_service = _meter_service(config, state, bus, watch, settings, controls)
        tasks.create_task(meter_service.run(), name="D-Bus meter")
    return controls


def _controls(config: Config, state: State, settings: LocalSettings) -> Controls | None:
    if config.is_read_only:
        return None
    return Controls(
        settings,
        state,
        [inverter.serial for inverter in config.inverters],
        target_w=config.control.target_w,
        max_feed_in_w=config.control.max_feed_in_w,
        surplus_soc_pct=config.battery.surplus_soc_pct,
    )


def _meter_service(
    config: Config,
    state: State,
    bus: BusAddress,
    watch: ServiceWatch,
    settings: LocalSettings,
    controls: Controls | None,
) -> MeterService:
    return MeterService(
        state,
        config.dbus.meter_role,
        config.dbus.meter_device_instance,
        bus,
        __version__,
        config.meter.host,
        METER_SHOWN_S,
        time.monotonic,
        watch=watch if config.dbus.allow_grid_role else None,
        name=config.dbus.meter_name,
        settings=settings,
        controls=controls,
    )


def _source(config: Config, inverter: InverterConfig, dtus: Mapping[str, DtuSettings]) -> SummedInverter:
    dtu = config.dtu_of(inverter)
    return SummedInverter(inverter.serial, dtu.name, dtu.poll_interval_s, dtus[dtu.name].freshness_s)
