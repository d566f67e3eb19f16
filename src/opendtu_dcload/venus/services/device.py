"""What every device on the bus has in common: identity, fresh values or none, counters that never turn back."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, NoReturn, TypeAlias, TypeVar

from opendtu_dcload.freshness import believed, fresh
from opendtu_dcload.lasting import Task, lasting
from opendtu_dcload.model import DtuStatus, InverterStatus, LimitStatus
from opendtu_dcload.state import State
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.item import Item, Value
from opendtu_dcload.venus.gx.device_instance import Place
from opendtu_dcload.venus.gx.localsettings import LocalSettings, Setting
from opendtu_dcload.venus.gx.write_limiter import WriteLimiter

PRODUCT_ID = 0xFFFF
"""The id of generic devices on Venus OS; every other one belongs to a product."""

PROCESS_NAME = "opendtu_dcload"

NAME_QUIET_S = 5.0
"""A name is written when it has rested for this long: it is typed letter by letter, and people restart a GX soon after
they have set it up."""

_TICK_S = 1.0


Reading = TypeVar("Reading")


class Counter:
    """An energy counter as VRM wants it: a device that reports 0 for a moment does not wreck the graphs."""

    def __init__(self) -> None:
        self._highest_wh = 0.0

    def kwh(self, energy_wh: float | None) -> float | None:
        """Return the energy in kWh, never less than before; None when the device gives none."""
        if energy_wh is None or not math.isfinite(energy_wh):
            return None
        self._highest_wh = max(self._highest_wh, energy_wh)
        return self._highest_wh / 1000


Freshness: TypeAlias = Callable[[DtuStatus | None], float]
"""The control's rule for one DTU: from its present status to the age in s up to which its inverters' values count."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What a DTU reports of one inverter, as far as the control believes it; see `reported_of`."""

    status: InverterStatus | None
    limit: LimitStatus | None


def reported_of(state: State, serial: str, dtu: str, freshness_s: Freshness, now_s: float) -> Reported:
    """Return the values of an inverter that count now; `dtu` is the name of its DTU in the state."""
    max_age_s = freshness_s(state.dtus.get(dtu))
    status = believed(state.inverters.get(serial), now_s, max_age_s)
    return Reported(status, fresh(state.limits.get(serial), now_s, max_age_s))


@dataclass(frozen=True, slots=True)
class Shown(Generic[Reading]):
    """How one number of a reading is shown."""

    unit: str
    digits: int
    read: Callable[[Reading], float | None]
    is_energy: bool = False
    """`read` gives Wh of a counter, which is shown in kWh."""
    meaning: str = ""
    """What it tells, for the manual's table."""


class Display(Generic[Reading]):
    """Numbers of one reading, by path. Without a reading they are all invalid."""

    def __init__(self, table: Mapping[str, Shown[Reading]], prefix: str = "") -> None:
        self._table = {f"{prefix}{path}": shown for path, shown in table.items()}
        self._counters = {path: Counter() for path, shown in self._table.items() if shown.is_energy}

    def add_to(self, service: BusService) -> None:
        """Add the items, without values yet."""
        for path, shown in self._table.items():
            service.add(path, Item(kind=float, unit=shown.unit, digits=shown.digits, meaning=shown.meaning))

    def values(self, reading: Reading | None) -> Mapping[str, float | None]:
        """Return what is shown of `reading`."""
        if reading is None:
            return dict.fromkeys(self._table)
        numbers = {path: shown.read(reading) for path, shown in self._table.items()}
        return numbers | {path: counter.kwh(numbers[path]) for path, counter in self._counters.items()}


def text(value: str | None = None, *, meaning: str) -> Item:
    """Return a read-only text."""
    return Item(kind=str, value=value, meaning=meaning)


def integer(value: int | None = None, *, meaning: str) -> Item:
    """Return a read-only integer."""
    return Item(kind=int, value=value, meaning=meaning)


class Device:
    """What the user decides about a device on the GX: its instance (in VRM) and its name."""

    def __init__(self, settings: LocalSettings, uid: str, kind: str, instance: int) -> None:
        """Ask nothing yet.

        Args:
            settings: keeps both.
            uid: unique among all devices of the GX, such as "opendtu_114181807700".
            kind: class of the service, such as "dcload", until the user chooses another one.
            instance: wanted when localsettings does not know the device yet.
        """
        self.changed = asyncio.Event()
        """Set when there is another instance or name."""
        self._settings = settings
        folder = f"/Settings/Devices/{uid}"
        place = Place(
            f"{folder}/ClassAndVrmInstance",
            f"{kind}:{instance}",
            WriteLimiter(NAME_QUIET_S),
            self.changed.set,
            lambda: settings.values_beside(self._place),
        )
        name = Setting(
            f"{folder}/CustomName",
            Item(kind=str, default=""),
            WriteLimiter(NAME_QUIET_S),
            self.changed.set,
        )
        self._place, self._name = settings.keep(place), settings.keep(name)

    async def asked(self) -> None:
        """Wait until localsettings has told instance and name, or is known to be absent; at most 2 s."""
        await self._settings.asked([self._place, self._name])

    def become(self, kind: str) -> None:
        """Let the device be of another class from now on."""
        self._settings.write(self._place, f"{kind}:{self.instance}")

    @property
    def instance(self) -> int:
        """The VRM instance as localsettings says."""
        return self._place.instance

    @property
    def kind(self) -> str:
        """Class of the service: the one that the user chose, or else the one wanted."""
        return self._place.kind

    @property
    def name(self) -> str:
        """The name that the user gave it on the GX, empty when there is none."""
        return str(self._name.value)

    def settle(self, service: BusService) -> None:
        """Let `service` come again if it has another instance now."""
        if self.instance != service.value("/DeviceInstance"):
            service.come_again({"/DeviceInstance": self.instance}, f"its device instance is now {self.instance}")

    def rename(self, name: str) -> str:
        """Keep a name that the user gave it; empty = back to its own."""
        self._settings.write(self._name, name)
        self.changed.set()
        return name


async def serve(
    service: BusService, values: Callable[[], Mapping[str, Value | None]], device: Device | None = None
) -> NoReturn:
    """Keep `service` on the bus with what `values` says, under the instance that the GX gave the device."""
    while True:
        await serve_until(service, values, device)


async def serve_until(
    service: BusService,
    values: Callable[[], Mapping[str, Value | None]],
    device: Device | None,
    tick_s: float = _TICK_S,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Do as `serve` until `is_over` is true at a tick; then leave the bus."""
    if device is not None:
        await device.asked()
        service.update({"/DeviceInstance": device.instance})
    service.update(values())

    async def show() -> None:
        name = f"instance of {service.name}"
        async with lasting([Task(name, _follow_device(service, values, device))] if device is not None else []):
            await follow(service, values, tick_s, is_over)

    await service.run_until(show)


async def _follow_device(
    service: BusService, values: Callable[[], Mapping[str, Value | None]], device: Device
) -> NoReturn:
    while True:
        await device.changed.wait()
        device.changed.clear()
        service.update(values())
        device.settle(service)


def add_identity(
    service: BusService,
    *,
    instance: int,
    version: str,
    connection: str,
    product: str,
    rename: Callable[[str], str] | None = None,
) -> None:
    """Add what every service must show from its first moment on, see the wiki page "dbus" of Venus OS.

    Args:
        service: gets the items.
        instance: VRM device instance.
        version: of this program.
        connection: how the device is reached, such as "OpenDTU 192.168.1.20".
        product: name shown when the device has none of its own.
        rename: takes the name that a user gives it; None = it cannot be given one.
    """
    service.add("/Mgmt/ProcessName", text(PROCESS_NAME, meaning="this program"))
    service.add("/Mgmt/ProcessVersion", text(version, meaning="its version"))
    service.add("/Mgmt/Connection", text(connection, meaning="how the device is reached"))
    service.add("/DeviceInstance", integer(instance, meaning="device instance in VRM"))
    product_id = Item(kind=int, value=PRODUCT_ID, text="0x{:X}".format, meaning="that of generic devices")
    service.add("/ProductId", product_id)
    service.add("/ProductName", text(product, meaning="what kind of device it is"))
    name = Item(kind=str, value="", on_write=rename, meaning="its name: that given on the GX, or its own")
    service.add("/CustomName", name)
    service.add("/FirmwareVersion", text(meaning="of the meter its own, else that of this program"))
    service.add("/HardwareVersion", text(meaning="of an inverter OpenDTU's version, of the meter its generation"))
    service.add("/Serial", text(meaning="serial number of an inverter, MAC address of the meter"))
    service.add("/Connected", integer(0, meaning="1 while there are values that count"))


async def follow(
    service: BusService,
    values: Callable[[], Mapping[str, Value | None]],
    tick_s: float = _TICK_S,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Show `values` on the bus each `tick_s`, in which a service may signal once, until `is_over` at one of them.

    What may not wait, as an alarm or what a user wrote, is shown by whoever learns of it.
    """
    while not is_over():
        service.update(values())
        await asyncio.sleep(tick_s)


async def wait_until(state: State, is_known: Callable[[], bool], tick_s: float | None = None) -> None:
    """Wait until `is_known` after some change of `state`, or when `tick_s` have passed without one."""
    with state.listen() as changed:
        while not is_known():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(tick_s):
                    await changed.wait()
            changed.clear()
