"""Wiring: who is started, in which order, and how everything is left again. The only file that knows everybody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from opendtu_dcload import __version__
from opendtu_dcload.config import Config
from opendtu_dcload.control.controller import Controller
from opendtu_dcload.control.from_config import freshness_of
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.loop import ControlLoop
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.devices.http import open_session
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.lasting import Task, lasting, tell_mishap
from opendtu_dcload.live.live_plant import Source
from opendtu_dcload.recording.bounded_file import open_recording
from opendtu_dcload.recording.recorder import RecordedController
from opendtu_dcload.single_instance import alone
from opendtu_dcload.state import State
from opendtu_dcload.tasks.device_tasks import arming, reading
from opendtu_dcload.tasks.live_line import print_live
from opendtu_dcload.tasks.seasonal_store import SeasonalStore
from opendtu_dcload.tasks.watchdog import Supervisor, Watchdog, announce_stop, report_health
from opendtu_dcload.venus.bus.bus_address import BusAddress, resolve
from opendtu_dcload.venus.gx.gx_controls import Controls, controls_of
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.venus.gx.service_watch import ServiceWatch
from opendtu_dcload.venus.services.plant_services import PlantServices
from opendtu_dcload.web.serving import serving

log = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PACKAGES = ("aiohttp", "dbus-next", "pydantic", "tomli")


async def run(
    config: Config, folder: Path, *, dry_run: bool = False, live: str = "", watchdog: Watchdog | None = None
) -> None:
    """Run until SIGTERM, SIGINT or SIGHUP, then leave the inverters as `control.on_stop` says.

    Args:
        config: all settings.
        folder: where to keep what must survive a restart.
        dry_run: decide and publish, command nothing.
        live: show the "plant" on stdout once a second, or its "inverters" as well; empty = nothing.
        watchdog: ends the process that this hangs in; None = the process is not ours to end.

    Raises:
        ConfigError: the configuration does not fit what was found.
    """
    bus = resolve(config.dbus.bus) if config.dbus.enabled else None
    clock = time.monotonic
    state = State({inverter.serial: inverter.name for inverter in config.inverters if inverter.name is not None})
    asyncio.get_running_loop().set_exception_handler(tell_mishap)
    async with contextlib.AsyncExitStack() as stack:
        stop = _stop_event(stack)
        supervisor = Supervisor.of(os.environ)
        if not dry_run and not await _is_alone(config, supervisor, stop, stack):
            return
        feed = watchdog.feed if watchdog is not None else (lambda: None)
        feed()
        session = await stack.enter_async_context(open_session())
        dtus = {dtu.name: OpenDtu(dtu, session, config.serials_of(dtu), clock) for dtu in config.dtus}
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
        at_end = stack.enter_context(contextlib.ExitStack())  # a memory card may be slow: the inverters come first
        stack.push_async_callback(loop.leave)
        stack.enter_context(announce_stop(supervisor, watchdog))
        log.info("%s", first_line(config, bus))
        if dry_run:
            log.info("nothing is commanded, what is shown as set is what would be")
        watch = ServiceWatch(bus) if bus is not None else None
        services = _services(config, state, bus, watch) if bus is not None and watch is not None else None
        controls = services.controls if services else controls_of(config, state, LocalSettings(None, clock))
        tasks = chain(
            reading(config, state, session, watch, dtus, clock),
            arming(config, state, session, clock, is_dry=dry_run),
            (Task(name, service.run()) for name, service in (services.by_name if services else {}).items()),
            [Task("control", _regulate(loop, services.controls if services else None))],
            serving(config, state, controls, folder, clock, at_end, is_dry=dry_run),
            _mqtt(config, state, controls, clock),
            [Task("health", report_health(supervisor, state, __version__, clock, feed))],
            [_showing(config, state, clock, live)] if live else [],
        )
        async with lasting(tasks):
            await stop.wait()
            loop.end()


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


async def _regulate(loop: ControlLoop, controls: Controls | None) -> None:
    if controls is not None:  # what was switched off must not come on for the first second
        await controls.asked()
    await loop.run()


def _services(config: Config, state: State, bus: BusAddress, watch: ServiceWatch) -> PlantServices:
    return PlantServices(config, state, bus, watch, freshness_of(config), time.monotonic)


def _mqtt(config: Config, state: State, controls: Controls | None, clock: Callable[[], float]) -> Iterable[Task]:
    """Return what talks to a broker."""
    if config.mqtt is None:
        return ()
    from opendtu_dcload.mqtt.mqtt_task import mqtt_tasks  # noqa: PLC0415  its packages are an extra

    return mqtt_tasks(config, state, controls, _sources(config), clock)


def _showing(config: Config, state: State, clock: Callable[[], float], live: str) -> Task:
    shown = print_live(state, _sources(config), clock, has_inverters=live == "inverters")
    return Task("live", shown, may_end=True)


def _sources(config: Config) -> dict[str, Source]:
    rules, dtus = freshness_of(config), {inverter.serial: config.dtu_of(inverter).name for inverter in config.inverters}
    return {serial: (dtu, rules[dtu]) for serial, dtu in dtus.items()}
