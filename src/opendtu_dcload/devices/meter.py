"""The grid meter, whatever it is: what the program asks of one, and which kinds there are.

A further kind is a file of its own, a line in `KINDS`, and its word at `meter.source` in the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import aiohttp

from opendtu_dcload.config import MeterConfig
from opendtu_dcload.devices.http import Clock
from opendtu_dcload.devices.shelly.shelly_meter import ShellyMeter
from opendtu_dcload.errors import ConfigError
from opendtu_dcload.model import MeterInfo, MeterReading
from opendtu_dcload.venus.gx.gx_meter import GxMeter
from opendtu_dcload.venus.gx.service_watch import ServiceWatch


class Meter(Protocol):
    """What measures the grid."""

    @property
    def vendor(self) -> str:
        """Return what messages call it before it has told its model, such as "Shelly"."""

    @property
    def has_refresh(self) -> bool:
        """Whether its values change by a clock of its own, which requests do well to follow."""

    async def identify(self) -> MeterInfo:
        """Return what it says of itself; raises DeviceError, or ConfigError where the configuration does not fit."""

    async def read(self) -> MeterReading:
        """Return what it measures now; raises as `identify`."""


Maker = Callable[[MeterConfig, aiohttp.ClientSession, ServiceWatch | None, Clock], Meter]

KINDS: Mapping[str, Maker] = {
    "shelly": lambda config, session, _watch, clock: ShellyMeter(config, session, clock),
    "gx": lambda _config, _session, watch, clock: GxMeter(_on_bus(watch), clock),
}


def make_meter(config: MeterConfig, session: aiohttp.ClientSession, watch: ServiceWatch | None, clock: Clock) -> Meter:
    """Return the grid meter of a configuration; nothing is asked of it yet.

    Args:
        config: which kind it is, and how it is reached.
        session: opened and closed by the caller.
        watch: looks at the GX's bus; None = there is none to look at.
        clock: monotonic time in s.

    Raises:
        ConfigError: it is read from the bus, and there is none.
    """
    return KINDS[config.source](config, session, watch, clock)


def _on_bus(watch: ServiceWatch | None) -> ServiceWatch:
    if watch is None:
        raise ConfigError(['meter.source: "gx" is read from the D-Bus, and dbus.enabled is false; change one of them'])
    return watch
