"""Wiring: who is started, in which order, and how everything is left again. The only file that knows everybody."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import platform
import signal
import time
from importlib.metadata import version

import aiohttp

from opendtu_dcload import __version__
from opendtu_dcload.config import DEFAULT_DTU, Config, OpenDtuConfig
from opendtu_dcload.control.loop import ControlLoop, dtu_silent_s, stale_after_s
from opendtu_dcload.devices.opendtu import KnownInverter, OpenDtu
from opendtu_dcload.devices.shelly import ShellyMeter
from opendtu_dcload.health import Supervisor, leaving, report_health
from opendtu_dcload.live import print_live
from opendtu_dcload.polling import DtuPoller, poll_meter
from opendtu_dcload.state import State
from opendtu_dcload.venus.acload import MeterService
from opendtu_dcload.venus.address import BusAddress, resolve
from opendtu_dcload.venus.dcload import InverterService

log = logging.getLogger(__name__)

METER_SHOWN_S = 15.0
"""Older meter values are not shown on the bus."""
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PACKAGES = ("aiohttp", "dbus-next", "pydantic", "tomli")


class _StopError(Exception):
    """Ends the task group in good order."""


async def run(config: Config, *, dry_run: bool = False, live: bool = False) -> None:
    """Run until SIGTERM, SIGINT or SIGHUP, then leave the inverters as `control.on_stop` says.

    Raises:
        ConfigError: the configuration does not fit what was found.
    """
    bus = resolve(config.dbus.bus) if config.dbus.enabled else None
    clock = time.monotonic
    state = State()
    async with contextlib.AsyncExitStack() as stack:
        stop = _stop_event(stack)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        dtus = {dtu.name: OpenDtu(dtu, session, config.serials_of(dtu), clock) for dtu in config.dtus}
        pollers = {
            dtu.name: DtuPoller(dtu, dtus[dtu.name], state, config.serials_of(dtu), dtu_silent_s(dtu), clock)
            for dtu in config.dtus
        }
        loop = ControlLoop(config, state, dtus, lambda name: pollers[name].posted(), clock, dry_run=dry_run)
        supervisor = Supervisor.of(os.environ)
        stack.push_async_callback(loop.leave)
        stack.enter_context(leaving(supervisor))
        log.info("%s", first_line(config, bus))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_stop_when(stop), name="stop")
                meter = ShellyMeter(config.meter, session, clock)
                every_s, lost_after_s = config.meter.poll_interval_s, config.control.meter_hold_s
                tasks.create_task(poll_meter(meter, state, every_s, lost_after_s, clock), name="meter")
                for name, poller in pollers.items():
                    tasks.create_task(poller.run(), name=f"DTU {name}")
                tasks.create_task(loop.run(), name="control")
                tasks.create_task(report_health(supervisor, state, __version__, clock), name="health")
                if config.is_read_only:
                    for dtu in config.dtus:
                        tasks.create_task(_offer_inverters(dtu, pollers[dtu.name], state), name=f"offer {dtu.name}")
                if bus is not None:
                    _start_services(tasks, config, state, bus)
                if live:
                    tasks.create_task(print_live(state, clock), name="live")
        except* _StopError:
            pass


def first_line(config: Config, bus: BusAddress | None) -> str:
    """Return what a reader of the log wants to know first: which program, on what, for which devices."""
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    devices = ", ".join([f"meter {config.meter.host}", *(f"{dtu.label} {dtu.host}" for dtu in config.dtus)])
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


def _start_services(tasks: asyncio.TaskGroup, config: Config, state: State, bus: BusAddress) -> None:
    clock = time.monotonic
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
        )
        tasks.create_task(inverter_service.run(), name=f"D-Bus {inverter.serial}")
    meter_service = MeterService(
        state,
        config.dbus.meter_role,
        config.dbus.meter_device_instance,
        bus,
        __version__,
        config.meter.host,
        METER_SHOWN_S,
        clock,
        name=config.dbus.meter_name,
    )
    tasks.create_task(meter_service.run(), name="D-Bus meter")


def inverter_blocks(known: tuple[KnownInverter, ...], dtu: OpenDtuConfig) -> str:
    """Return the `[[inverter]]` blocks of what a DTU knows, ready to paste."""
    belongs = "" if dtu.name == DEFAULT_DTU else f"opendtu = {json.dumps(dtu.name, ensure_ascii=False)}\n"
    return "\n".join(f'[[inverter]]\n{belongs}serial = "{inverter.serial}"  # {inverter.name}' for inverter in known)


async def _offer_inverters(dtu: OpenDtuConfig, poller: DtuPoller, state: State) -> None:
    with state.listen() as changed:
        while poller.known is None:
            await changed.wait()
            changed.clear()
    blocks = inverter_blocks(poller.known, dtu) or "none: add them there first"
    log.info("no inverter is listed, so nothing is set. The %s knows these:\n%s", dtu.label, blocks)
