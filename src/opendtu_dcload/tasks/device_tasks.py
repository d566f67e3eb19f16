"""The tasks that read the devices of a configuration, and the one that keeps its relay armed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import aiohttp

from opendtu_dcload.config import Config
from opendtu_dcload.control.from_config import dtu_silent_s
from opendtu_dcload.devices.http import Clock
from opendtu_dcload.devices.meter import make_meter
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.devices.shelly.shelly_meter import ShellyMeter
from opendtu_dcload.devices.shelly.shelly_relay import ShellyRelay
from opendtu_dcload.lasting import Task
from opendtu_dcload.state import State
from opendtu_dcload.tasks.follow_push import PushFollower
from opendtu_dcload.tasks.poll_dtu import DtuPoller
from opendtu_dcload.tasks.poll_meter import poll_meter, poll_solar
from opendtu_dcload.tasks.rearm_relay import RelayTask
from opendtu_dcload.tasks.suggest_inverters import offer_inverters
from opendtu_dcload.venus.gx.service_watch import ServiceWatch


def reading(
    config: Config,
    state: State,
    session: aiohttp.ClientSession,
    watch: ServiceWatch | None,
    dtus: Mapping[str, OpenDtu],
    clock: Clock,
) -> Iterator[Task]:
    """Yield what reads the devices.

    Args:
        config: all settings.
        state: where everything that is read goes to.
        session: opened and closed by the caller.
        watch: looks at the GX's bus; None = there is none to look at.
        dtus: the clients of all DTUs, by name.
        clock: monotonic time in s.
    """
    meter = make_meter(config.meter, session, watch, clock)
    interval_s, lost_after_s = config.meter.poll_interval_s, config.control.meter_hold_s
    yield Task("meter", poll_meter(meter, state, clock, interval_s=interval_s, lost_after_s=lost_after_s))
    yield from asking(config, state, dtus, clock)
    if config.solar is not None:
        solar = ShellyMeter(config.solar, session, clock, section="solar")
        yield Task("solar", poll_solar(solar, state, clock, interval_s=config.solar.poll_interval_s))


def asking(config: Config, state: State, dtus: Mapping[str, OpenDtu], clock: Clock) -> Iterator[Task]:
    """Yield what asks the DTUs."""
    for dtu in config.dtus:
        poller = DtuPoller(dtu, dtus[dtu.name], state, config.serials_of(dtu), dtu_silent_s(dtu), clock)
        yield Task(f"DTU {dtu.name}", poller.run())
        if config.is_read_only:
            yield Task(f"offer {dtu.name}", offer_inverters(dtu, poller, state), may_end=True)
        else:
            yield Task(f"push {dtu.name}", PushFollower(dtu.label, dtus[dtu.name], poller, clock).run())


def arming(
    config: Config, state: State, session: aiohttp.ClientSession, clock: Clock, *, is_dry: bool
) -> Iterator[Task]:
    """Yield what keeps the relay armed, which it only reads when `is_dry`."""
    if config.relay is not None:
        relay = ShellyRelay(config.relay, config.relay.output, session, clock)
        task = RelayTask(relay, state, [dtu.name for dtu in config.dtus], clock, is_dry=is_dry or config.is_read_only)
        yield Task("relay", task.run())
