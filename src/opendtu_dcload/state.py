"""The latest readings and the latest plan: one object, one writer per field, one notification."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from opendtu_dcload.model import DtuStatus, InverterStatus, LimitStatus, MeterInfo, MeterReading, Plan


class State:
    """What is known now. Readers take the fields as they are: every value in them is immutable.

    Writers: the meter poller (`set_meter*`), the DTU poller (`set_inverters`, `set_limits`, `set_dtu`), the control
    loop (`set_plan`).
    """

    def __init__(self) -> None:
        self.meter: MeterReading | None = None
        self.meter_info: MeterInfo | None = None
        self.inverters: Mapping[str, InverterStatus] = MappingProxyType({})
        """Every inverter the DTU knows, by serial."""
        self.limits: Mapping[str, LimitStatus] = MappingProxyType({})
        self.dtu: DtuStatus | None = None
        self.plan: Plan | None = None
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

    def set_meter_info(self, info: MeterInfo) -> None:
        """Keep what the meter says of itself."""
        self.meter_info = info
        self._notify()

    def set_meter(self, reading: MeterReading) -> None:
        """Keep a new meter reading."""
        self.meter = reading
        self._notify()

    def set_inverters(self, inverters: Mapping[str, InverterStatus]) -> None:
        """Keep the inverters' measured values."""
        self.inverters = MappingProxyType(dict(inverters))
        self._notify()

    def set_limits(self, limits: Mapping[str, LimitStatus]) -> None:
        """Keep what the DTU knows of the limits."""
        self.limits = MappingProxyType(dict(limits))
        self._notify()

    def set_dtu(self, dtu: DtuStatus) -> None:
        """Keep the DTU's own status."""
        self.dtu = dtu
        self._notify()

    def set_plan(self, plan: Plan) -> None:
        """Keep the latest decision."""
        self.plan = plan
        self._notify()

    def _notify(self) -> None:
        for changed in self._listeners:
            changed.set()
