"""What other services of a GX tell: battery, MultiPlus, grid meter, platform, localsettings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from dbus_next.constants import MessageType
from dbus_next.message import Message

from opendtu_dcload.errors import BusError, ConfigError, DeviceError
from opendtu_dcload.model import BatteryStatus, MultiplusStatus
from opendtu_dcload.state import State
from opendtu_dcload.venus.bus.bus_address import UnixAddress
from opendtu_dcload.venus.bus.busitem import INTERFACE
from opendtu_dcload.venus.bus.item import Item
from opendtu_dcload.venus.gx.battery_follower import BatteryFollower
from opendtu_dcload.venus.gx.device_instance import Place
from opendtu_dcload.venus.gx.gx_meter import GxMeter
from opendtu_dcload.venus.gx.localsettings import SERVICE, LocalSettings, Setting
from opendtu_dcload.venus.gx.notification import Platform
from opendtu_dcload.venus.gx.service_watch import ServiceWatch
from opendtu_dcload.venus.gx.write_limiter import WriteLimiter
from tests.doubles.clock import Clock
from tests.doubles.gx_services import (
    BATTERY,
    BATTERY_VALUES,
    GRID,
    GRID_VALUES,
    SETTINGS,
    SETTINGS_VALUES,
    SYSTEM,
    SYSTEM_VALUES,
    VEBUS,
    VEBUS_VALUES,
)
from tests.fuzz.any_bus import AnyBus, ImpossibleError, as_bus_lines, received
from tests.fuzz.target import Target, as_lines, check_number, check_refusal, check_text, parsed, run

_NOWHERE = UnixAddress("/nowhere")


def _gx() -> list[bytes]:
    phases = {f"/Ac/L{phase}/{what}": 230.0 for phase in (1, 2, 3) for what in ("Power", "Voltage", "Current")}
    more = {"/Ac/Energy/Forward": 1234.5, "/Ac/Energy/Reverse": 0.1, "/Ac/Frequency": 50.0}
    battery = {BATTERY: BATTERY_VALUES, SYSTEM: SYSTEM_VALUES, SETTINGS: SETTINGS_VALUES}
    platform: dict[str, object] = {"/Notifications/Inject": ""}
    return [
        as_bus_lines(battery),
        as_bus_lines({**battery, VEBUS: VEBUS_VALUES}),
        as_bus_lines({GRID: {**GRID_VALUES, **phases, **more}}),
        as_bus_lines({SYSTEM: {**SYSTEM_VALUES, "/Ac/Grid/L1/Power": 380.5, "/Ac/Grid/L2/Power": -12}}),
        as_bus_lines({"com.victronenergy.platform": platform}),
    ]


def _play_gx(data: bytes) -> bool:
    return run(_read_gx(AnyBus(data)))


async def _read_gx(bus: AnyBus) -> bool:
    battery: BatteryStatus | None = None
    clock = Clock(1000.0)
    watch = ServiceWatch(_NOWHERE)
    await watch.start(bus.connection())
    follower = BatteryFollower(State(), watch, clock)
    try:
        service, battery = await follower.read_battery()
        check_text(service)
        if battery is not None:
            _check_battery(battery)
        await follower._battery.update(follower.read_battery)
    except BusError as err:
        check_refusal(err)
    try:
        service, multiplus = await follower.read_multiplus()
        check_text(service)
        if multiplus is not None:
            _check_multiplus(multiplus)
        await follower._multiplus.update(follower.read_multiplus)
    except BusError as err:
        check_refusal(err)
    has_meter = await _read_meter(GxMeter(watch, clock))
    platform = Platform(watch)
    assert isinstance(await platform._ask(), bool)
    assert isinstance(await platform.notify("battery low"), bool)
    return battery is not None or has_meter


async def _read_meter(meter: GxMeter) -> bool:
    try:
        check_text((await meter.identify()).model)
        for _ in range(2):  # all is asked for when the power is that of before
            reading = await meter.read()
            check_number(reading.power_w, -3e6, 3e6)
            assert reading.power_w is not None
            check_number(reading.energy_import_wh, 0, 1e12)
            check_number(reading.energy_export_wh, 0, 1e12)
            check_number(reading.frequency_hz, 0, 1000)
            for phase in filter(None, reading.phases):
                check_number(phase.power_w, -1e6, 1e6)
                check_number(phase.voltage_v, 0, 1000)
                check_number(phase.current_a, -10_000, 10_000)
    except (ConfigError, DeviceError) as err:
        check_refusal(err)
        return False
    return True


def _check_battery(battery: BatteryStatus) -> None:
    check_number(battery.soc_pct, 0, 100)
    check_number(battery.voltage_v, 0, 1000)
    check_number(battery.current_a, -10_000, 10_000)
    check_number(battery.power_w, -1e6, 1e6)
    check_number(battery.temperature_c, -60, 150)
    check_number(battery.min_cell_voltage_v, 0, 10)
    check_number(battery.max_discharge_current_a, 0, 10_000)
    check_number(battery.ess_minimum_soc_pct, 0, 100)
    assert battery.may_discharge in {None, True, False}
    for path in battery.alarms:
        check_text(path)


def _check_multiplus(multiplus: MultiplusStatus) -> None:
    check_number(multiplus.dc_power_w, -1e6, 1e6)
    check_number(multiplus.ess_target_w, -1e6, 1e6)


# localsettings

_FOLDER = "/Settings/OpenDtuDcload"
_PLACE, _NAME = "/Settings/Devices/opendtu_1/ClassAndVrmInstance", "/Settings/Devices/opendtu_1/CustomName"
_OTHER_PLACE = "/Settings/Devices/opendtu_2/ClassAndVrmInstance"
_FEED_IN, _SHARE = f"{_FOLDER}/MaxFeedIn", f"{_FOLDER}/Share"


def _settings() -> list[bytes]:
    kept: dict[str, Any] = {_FEED_IN: 400, _SHARE: 0.5, _PLACE: "dcload:140", _OTHER_PLACE: "dcload:135", _NAME: "Roof"}
    entries = [{"path": path, "error": 0, "value": value} for path, value in kept.items()]
    added = {f"{SERVICE} / AddSettings": {"signature": "aa{sv}", "body": [entries]}}
    defaults = {f"{SERVICE} {path} GetDefault": value for path, value in {_FEED_IN: 800, _PLACE: "dcload:134"}.items()}
    taken = {f"{SERVICE} {path} SetValue": {"signature": "i", "body": [0]} for path in kept}
    signals: dict[str, Any] = {
        f"signal {path} PropertiesChanged": {"signature": "a{sv}", "body": [{"Value": value, "Text": "x"}]}
        for path, value in {_FEED_IN: 200, _PLACE: "acload:7"}.items()
    }
    signals["signal / ItemsChanged"] = {"signature": "a{sa{sv}}", "body": [{_SHARE: {"Value": 0.25}}]}
    return [as_lines({**added, **defaults, **taken}), as_lines({**added, **taken, **signals})]


def _play_settings(data: bytes) -> bool:
    return run(_keep(AnyBus(data)))


async def _keep(bus: AnyBus) -> bool:
    clock = Clock(1000.0)
    settings = LocalSettings(_NOWHERE, clock)
    kept = [settings.keep(setting) for setting in _of_every_kind(settings)]
    connection = bus.connection()
    await settings._start(connection)
    for _ in range(2):
        try:
            await settings._ask(connection)
            await settings._write_due(connection)
        except BusError as err:
            check_refusal(err)
            settings._miss(connection, err)
        _check_settings(kept)
        for signal in _signals(bus):
            bus.deliver(signal)
            _check_settings(kept)
        settings.write(kept[0], 300)
        clock.now_s += 1000.0
    await settings._write_rest()
    _check_settings(kept)
    return any(setting.kept is not None for setting in kept)


def _of_every_kind(settings: LocalSettings) -> Iterator[Setting]:
    """Yield settings of every kind."""

    def limiter() -> WriteLimiter:
        return WriteLimiter(10.0)

    yield Setting(_FEED_IN, Item(kind=int, minimum=0, maximum=800, default=800), limiter())
    yield Setting(_SHARE, Item(kind=float, minimum=0.0, maximum=1.0, default=1.0), limiter())
    yield Setting(_NAME, Item(kind=str, default=""), limiter())
    for path, default in ((_PLACE, "dcload:134"), (_OTHER_PLACE, "dcload:135")):
        place = Place(path, default, limiter(), lambda: None, list)
        place._taken = lambda place=place: settings.values_beside(place)  # type: ignore[misc]  # bound as in a device
        yield place


def _signals(bus: AnyBus) -> Iterator[Message]:
    for head, body in bus.lines.items():
        kind, path, member = (*head.split(" "), "", "")[:3]
        if kind != "signal":
            continue
        with contextlib.suppress(ImpossibleError):
            yield received(
                MessageType.SIGNAL, parsed(body), path=path, interface=INTERFACE, member=member, sender=":1.5"
            )


def _check_settings(kept: list[Setting]) -> None:
    for setting in kept:
        assert isinstance(setting.value, setting.shape.kind), setting.path
        assert setting.shape.is_in_range(setting.value), (setting.path, setting.value)
        if isinstance(setting.value, str):
            check_text(setting.value)
        if isinstance(setting, Place):
            check_number(setting.instance, 0, 2**31 - 1)
            check_text(setting.kind)


TARGETS = (
    Target("gx", _play_gx, _gx, share=5),
    Target("localsettings", _play_settings, _settings, share=5),
)
