"""What every service on the bus is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from opendtu_dcload import __version__
from opendtu_dcload.state import State
from opendtu_dcload.venus.bus.bus_address import BusAddress
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.venus.services.device import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceContext:
    """Where a service takes its values from, and where it shows them."""

    state: State
    bus: BusAddress
    clock: Callable[[], float]
    """Monotonic time in s."""
    settings: LocalSettings | None = None
    """Keeps what the user decides on the GX; None = nothing can be decided there."""
    version: str = __version__
    """Of this program."""

    def device(self, uid: str, kind: str, instance: int) -> Device | None:
        """Return what the user decides about a device, see `Device`; None = nothing."""
        return Device(self.settings, uid, kind, instance) if self.settings is not None else None
