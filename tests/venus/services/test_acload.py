"""What the grid meter looks like on the bus, seen by dbus-python."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from opendtu_dcload.model import MeterInfo, MeterReading, PhaseReading, Plan, Reason
from opendtu_dcload.state import State
from opendtu_dcload.venus.bus.bus_address import BusAddress, UnixAddress
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.venus.gx.service_watch import ServiceWatch
from opendtu_dcload.venus.services.acload import MeterService, Role
from opendtu_dcload.venus.services.context import ServiceContext
from tests.doubles.bus_client import owned

NAME = "com.victronenergy.acload.shelly_34945470a1b2"
INFO = MeterInfo(
    vendor="Shelly",
    model="SPEM-003CEBEU",
    serial="34945470a1b2",
    hardware="generation 2",
    firmware="1.4.4",
    name="Grid",
)
PHASES = (
    PhaseReading(power_w=-310.04, voltage_v=231.1, current_a=1.42, energy_import_wh=1000.0, energy_export_wh=10.0),
    PhaseReading(power_w=120.0, voltage_v=230.0, current_a=0.6, energy_import_wh=2000.0, energy_export_wh=20.0),
    PhaseReading(power_w=15.0),
)
METER = MeterReading(
    at_s=100.0,
    power_w=-175.04,
    phases=PHASES,
    energy_import_wh=3000.0,
    energy_export_wh=30.0,
    frequency_hz=49.98,
)
PLAN = Plan(at_s=100.0, setpoint_w=500.4, cap_w=800.0, reason=Reason.FEED_IN_CAP)


def meter_service(
    state: State,
    bus: BusAddress,
    clock: Callable[[], float],
    role: Role = "acload",
    watch: ServiceWatch | None = None,
    settings: LocalSettings | None = None,
) -> MeterService:
    context = ServiceContext(state=state, bus=bus, clock=clock, settings=settings, version="1.2.3")
    return MeterService(context, "192.168.1.21", role=role, watch=watch, tick_s=0.01)


@contextlib.asynccontextmanager
async def running(service: MeterService) -> AsyncIterator[None]:
    task = asyncio.create_task(service.run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def state():
    state = State()
    state.set_meter_info(INFO)
    state.set_meter(METER)
    state.set_plan(PLAN)
    return state


@pytest.fixture
def values(state):
    """Return what is shown, at a time."""

    def at(time_s):
        now_s.append(time_s)
        return service.values()

    now_s = [100.0]
    service = meter_service(state, UnixAddress("/nowhere"), lambda: now_s[-1])
    return at


async def test_everything_is_shown_with_its_type_and_text(state, daemon, client):
    async with running(meter_service(state, daemon.address, lambda: 101.0)):
        await owned(client, NAME)
        items = (await client.call(NAME, "/", "GetItems"))["ok"]
    shown = {path: (*entry["Value"], entry["Text"][1]) for path, entry in items.items()}
    invalid: tuple[str, list[Any], str] = ("ai", [], "---")
    assert shown == {
        "/Mgmt/ProcessName": ("s", "opendtu_dcload", "opendtu_dcload"),
        "/Mgmt/ProcessVersion": ("s", "1.2.3", "1.2.3"),
        "/Mgmt/Connection": ("s", "Shelly 192.168.1.21", "Shelly 192.168.1.21"),
        "/DeviceInstance": ("i", 59, "59"),
        "/ProductId": ("i", 65535, "0xFFFF"),
        "/ProductName": ("s", "Shelly SPEM-003CEBEU", "Shelly SPEM-003CEBEU"),
        "/CustomName": ("s", "Grid", "Grid"),
        "/FirmwareVersion": ("s", "1.4.4", "1.4.4"),
        "/HardwareVersion": ("s", "generation 2", "generation 2"),
        "/Serial": ("s", "34945470a1b2", "34945470a1b2"),
        "/Connected": ("i", 1, "1"),
        "/Role": ("s", "acload", "acload"),
        "/AllowedRoles": ("as", ["acload"], "acload"),
        "/Position": ("i", 1, "1"),
        "/IsGenericEnergyMeter": ("i", 1, "1"),
        "/NrOfPhases": ("i", 3, "3"),
        "/Plan/Reason": ("s", "feed-in cap reached", "feed-in cap reached"),
        "/Plan/SetPoint": ("d", 500.0, "500W"),
        "/Plan/Cap": ("d", 800.0, "800W"),
        "/Ac/Power": ("d", -175.0, "-175.0W"),
        "/Ac/Voltage": invalid,
        "/Ac/Current": invalid,
        "/Ac/Frequency": ("d", 49.98, "49.98Hz"),
        "/Ac/Energy/Forward": ("d", 3.0, "3.000kWh"),
        "/Ac/Energy/Reverse": ("d", 0.03, "0.030kWh"),
        "/Ac/L1/Power": ("d", -310.0, "-310.0W"),
        "/Ac/L1/Voltage": ("d", 231.1, "231.1V"),
        "/Ac/L1/Current": ("d", 1.42, "1.42A"),
        "/Ac/L1/Energy/Forward": ("d", 1.0, "1.000kWh"),
        "/Ac/L1/Energy/Reverse": ("d", 0.01, "0.010kWh"),
        "/Ac/L2/Power": ("d", 120.0, "120.0W"),
        "/Ac/L2/Voltage": ("d", 230.0, "230.0V"),
        "/Ac/L2/Current": ("d", 0.6, "0.60A"),
        "/Ac/L2/Energy/Forward": ("d", 2.0, "2.000kWh"),
        "/Ac/L2/Energy/Reverse": ("d", 0.02, "0.020kWh"),
        "/Ac/L3/Power": ("d", 15.0, "15.0W"),
        "/Ac/L3/Voltage": invalid,
        "/Ac/L3/Current": invalid,
        "/Ac/L3/Energy/Forward": invalid,
        "/Ac/L3/Energy/Reverse": invalid,
    }


async def test_the_name_waits_for_the_mac_address(daemon, client):
    state = State()
    async with running(meter_service(state, daemon.address, lambda: 100.0)):
        state.set_meter(METER)
        await asyncio.sleep(0.02)
        assert "error" in await client.call(NAME, "/", "Ping")
        state.set_meter_info(INFO)
        await owned(client, NAME)
        assert await client.get(NAME, "/Ac/Power") == ["d", -175.0]


async def test_a_new_reading_reaches_the_bus(state, daemon, client):
    async with running(meter_service(state, daemon.address, lambda: 101.0)):
        await owned(client, NAME)
        state.set_meter(replace(METER, power_w=25.0))
        assert (await client.signal())["body"][0] == {"/Ac/Power": {"Value": ["d", 25.0], "Text": ["s", "25.0W"]}}


def test_old_readings_become_invalid_instead_of_frozen(values):
    late = values(115.1)
    assert {path for path, value in late.items() if value is not None} == {
        "/CustomName",
        "/FirmwareVersion",
        "/Connected",
    }
    assert late["/Connected"] == 0
    assert values(115.0)["/Ac/Power"] == -175.04


def test_a_single_phase_meter_shows_its_voltage_for_the_whole(state, values):
    state.set_meter(replace(METER, phases=(None, PHASES[1], None)))
    shown = values(100.0)
    assert (shown["/Ac/Voltage"], shown["/Ac/Current"]) == (230.0, 0.6)
    assert shown["/Ac/L1/Power"] is None
    assert shown["/Ac/L2/Power"] == 120.0


@pytest.mark.parametrize(
    ("present", "count"),
    [("", None), ("1", 1), ("12", 2), ("123", 3), ("2", None), ("3", None), ("13", None), ("23", None)],
)
def test_the_gx_is_told_a_number_of_phases_only_when_it_shows_no_empty_one_for_it(state, values, present, count):
    first, second, third = (phase if str(number) in present else None for number, phase in enumerate(PHASES, start=1))
    state.set_meter(replace(METER, phases=(first, second, third)))
    assert values(100.0)["/NrOfPhases"] == count


def test_energies_neither_fall_nor_touch_zero(state, values):
    values(100.0)
    state.set_meter(
        replace(
            METER,
            energy_import_wh=0.0,
            energy_export_wh=29.0,
            phases=(replace(PHASES[0], energy_import_wh=999.0), PHASES[1], PHASES[2]),
        )
    )
    shown = values(100.0)
    assert shown["/Ac/Energy/Forward"] == 3.0
    assert shown["/Ac/Energy/Reverse"] == 0.03
    assert shown["/Ac/L1/Energy/Forward"] == 1.0


def test_a_mac_address_with_separators_still_makes_a_name(state):
    service = meter_service(state, UnixAddress("/nowhere"), lambda: 100.0)
    assert service.build(replace(INFO, serial="34:94:54:70:A1:B2")).name == NAME


def test_a_configured_name_replaces_the_meters(state):
    context = ServiceContext(state=state, bus=UnixAddress("/nowhere"), clock=lambda: 100.0)
    named = MeterService(context, "shelly", name="Mine")
    assert named.values()["/CustomName"] == "Mine"
