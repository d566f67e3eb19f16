"""Wiring: who is started, in which order, and how everything is left again. The only file that knows everybody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import signal
import time
from importlib.metadata import version
from pathlib import Path

import aiohttp

from opendtu_dcload import __version__
from opendtu_dcload.config import Config, InverterConfig
from opendtu_dcload.control.loop import ControlLoop, dtu_silent_s, stale_after_s
from opendtu_dcload.devices.http import open_session
from opendtu_dcload.devices.opendtu import OpenDtu
from opendtu_dcload.devices.relay import ShellyRelay
from opendtu_dcload.devices.shelly import ShellyMeter
from opendtu_dcload.health import Supervisor, Watchdog, leaving, report_health
from opendtu_dcload.live import print_live
from opendtu_dcload.offer import offer_inverters
from opendtu_dcload.polling import DtuPoller, Meter, poll_meter, poll_solar
from opendtu_dcload.relaying import RelayTask
from opendtu_dcload.seasonal_store import SeasonalStore
from opendtu_dcload.state import State
from opendtu_dcload.venus.acload import MeterService
from opendtu_dcload.venus.address import BusAddress, resolve
from opendtu_dcload.venus.alarm import ALARM_INSTANCE, AlarmService
from opendtu_dcload.venus.battery import BatteryFollower
from opendtu_dcload.venus.controls import Controls
from opendtu_dcload.venus.dcload import InverterService
from opendtu_dcload.venus.dcsystem import DcSystemService, Source
from opendtu_dcload.venus.device import Device
from opendtu_dcload.venus.gx_meter import GxMeter
from opendtu_dcload.venus.settings import LocalSettings
from opendtu_dcload.venus.switch import SwitchService
from opendtu_dcload.venus.temperature import TemperatureService
from opendtu_dcload.venus.watch import Watch

log = logging.getLogger(__name__)

METER_SHOWN_S = 15.0
"""Older meter values are not shown on the bus."""
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PACKAGES = ("aiohttp", "dbus-next", "pydantic", "tomli")


class _StopError(Exception):
    """Ends the task group in good order."""


async def run(config: Config, folder: Path, *, dry_run: bool = False, live: bool = False) -> None:
    """Run until SIGTERM, SIGINT or SIGHUP, then leave the inverters as `control.on_stop` says.

    Args:
        config: all settings.
        folder: where to keep what must survive a restart.
        dry_run: decide and publish, command nothing.
        live: print one line per second.

    Raises:
        ConfigError: the configuration does not fit what was found.
    """
    bus = resolve(config.dbus.bus) if config.dbus.enabled else None
    clock = time.monotonic
    state = State()
    async with contextlib.AsyncExitStack() as stack:
        stop = _stop_event(stack)
        session = await stack.enter_async_context(open_session())
        dtus = {dtu.name: OpenDtu(dtu, session, config.serials_of(dtu), clock) for dtu in config.dtus}
        pollers = {
            dtu.name: DtuPoller(dtu, dtus[dtu.name], state, config.serials_of(dtu), dtu_silent_s(dtu), clock)
            for dtu in config.dtus
        }
        seasonal = SeasonalStore(folder) if config.battery.seasonal_min_soc else None
        loop = ControlLoop(
            config, state, dtus, lambda name: pollers[name].posted(), clock, dry_run=dry_run, seasonal=seasonal
        )
        supervisor, watchdog = Supervisor.of(os.environ), Watchdog()
        stack.push_async_callback(loop.leave)
        stack.enter_context(leaving(supervisor, watchdog))
        log.info("%s", first_line(config, bus))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_stop_when(stop), name="stop")
                watch = Watch(bus) if bus is not None else None
                meter: Meter = ShellyMeter(config.meter, session, clock)
                if watch is not None and config.meter.source == "gx":
                    meter = GxMeter(watch, clock)
                every_s, lost_after_s = config.meter.poll_interval_s, config.control.meter_hold_s
                tasks.create_task(poll_meter(meter, state, every_s, lost_after_s, clock), name="meter")
                for name, poller in pollers.items():
                    tasks.create_task(poller.run(), name=f"DTU {name}")
                _start_beside(tasks, config, state, session, dry_run=dry_run)
                controls = (
                    _start_services(tasks, config, state, bus, watch) if bus is not None and watch is not None else None
                )
                tasks.create_task(_regulate(loop, controls), name="control")
                health = report_health(supervisor, state, __version__, clock, watchdog.feed)
                tasks.create_task(health, name="health")
                if config.is_read_only:
                    for dtu in config.dtus:
                        tasks.create_task(offer_inverters(dtu, pollers[dtu.name], state), name=f"offer {dtu.name}")
                if live:
                    tasks.create_task(print_live(state, clock), name="live")
        except* _StopError:
            pass


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
    tasks: asyncio.TaskGroup, config: Config, state: State, bus: BusAddress, watch: Watch
) -> Controls | None:
    """Show everything on the bus; return what a user may set there, None when nothing may be commanded."""
    clock = time.monotonic
    settings = LocalSettings(bus, clock)
    tasks.create_task(settings.run(), name="D-Bus settings")
    tasks.create_task(watch.run(), name="D-Bus watch")
    tasks.create_task(BatteryFollower(state, watch, clock).run(), name="battery")
    if config.dbus.battery_temperature:
        temperature = TemperatureService(state, bus, __version__, clock, settings)
        tasks.create_task(temperature.run(), name="D-Bus battery temperature")
    if config.dbus.dcsystem != "off" and config.inverters:
        sources = [_source(config, inverter) for inverter in config.inverters]
        dc_system = DcSystemService(config.dbus.dcsystem, state, sources, watch, bus, __version__, clock, settings)
        tasks.create_task(dc_system.run(), name="D-Bus DC system")
    controls: Controls | None = None
    if not config.is_read_only:
        serials = [inverter.serial for inverter in config.inverters]
        controls = Controls(
            settings,
            state,
            serials,
            target_w=config.control.target_w,
            max_feed_in_w=config.control.max_feed_in_w,
            surplus_soc_pct=config.battery.surplus_soc_pct,
        )
        switch = SwitchService(state, controls, settings, bus, __version__)
        tasks.create_task(switch.run(), name="D-Bus controls")
    for inverter, instance in zip(config.inverters, config.device_instances, strict=True):
        dtu = config.dtu_of(inverter)
        inverter_service = InverterService(
            inverter.serial,
            instance,
            state,
            bus,
            __version__,
            dtu.host,
            stale_after_s(config, dtu),
            clock,
            dtu=dtu.name,
            name=inverter.name,
            device=Device(settings, f"opendtu_{inverter.serial}", "dcload", instance),
            controls=controls,
        )
        tasks.create_task(inverter_service.run(), name=f"D-Bus {inverter.serial}")
    alarm_service = AlarmService(
        state,
        bus,
        __version__,
        {dtu.name: dtu.label for dtu in config.dtus},
        clock,
        watch=watch,
        device=Device(settings, "opendtu_dcload_alarm", "digitalinput", ALARM_INSTANCE),
    )
    tasks.create_task(alarm_service.run(), name="D-Bus alarm")
    if config.meter.source == "gx":  # the GX shows its own meter itself
        return controls
    meter_service = MeterService(
        state,
        config.dbus.meter_role,
        config.dbus.meter_device_instance,
        bus,
        __version__,
        config.meter.host,
        METER_SHOWN_S,
        clock,
        watch=watch if config.dbus.allow_grid_role else None,
        name=config.dbus.meter_name,
        settings=settings,
        controls=controls,
    )
    tasks.create_task(meter_service.run(), name="D-Bus meter")
    return controls


def _source(config: Config, inverter: InverterConfig) -> Source:
    dtu = config.dtu_of(inverter)
    return Source(inverter.serial, dtu.name, dtu.poll_interval_s, stale_after_s(config, dtu))
