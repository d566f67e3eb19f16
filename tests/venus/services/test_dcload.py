"""What an inverter looks like on the bus, seen by dbus-python."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.model import (
    Alarm,
    Cause,
    CommandState,
    DtuStatus,
    InverterPlan,
    InverterStatus,
    LimitStatus,
    Plan,
    Reason,
    Severity,
)
from opendtu_dcload.state import State
from opendtu_dcload.tallies import CommandRecord, Link, Outcome
from opendtu_dcload.venus.bus.bus_address import BusAddress, UnixAddress
from opendtu_dcload.venus.gx.gx_control import Control
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.venus.services.context import ServiceContext
from opendtu_dcload.venus.services.dcload import InverterService, ShownInverter
from tests.doubles.until import until

SERIAL = "114181807700"
INVERTER = ShownInverter(
    serial=SERIAL,
    instance=134,
    dtu="opendtu",
    dtu_host="192.168.1.20",
    freshness_s=DtuSettings(stale_after_s=30.0).freshness_s,
)
NAME = f"com.victronenergy.dcload.opendtu_{SERIAL}"
STATUS = InverterStatus(
    serial=SERIAL,
    name="Cellar left",
    answered_at_s=100.0,
    at_s=98.0,
    reachable=True,
    ac_power_w=207.3,
    ac_voltage_v=231.0,
    dc_power_w=218.5,
    dc_voltage_v=51.23,
    dc_current_a=4.265,
    temperature_c=38.4,
    yield_total_wh=123_456.0,
)
LIMIT = LimitStatus(serial=SERIAL, at_s=99.0, limit_pct=52.5, rated_w=400.0, state=CommandState.OK)
PLAN = Plan(
    at_s=100.0,
    setpoint_w=500.0,
    cap_w=800.0,
    reason=Reason.REGULATING,
    inverters=(
        InverterPlan(serial="999999999999", limit_w=290.0, is_on=True),
        InverterPlan(serial=SERIAL, limit_w=210.0, is_on=True),
    ),
)
COMMANDS = CommandRecord(sent=17, failed=2, last="limit 210 W", is_limit=True, outcome=Outcome.ACKNOWLEDGED, at_s=97.0)
MEASURED = ["/Dc/0/Voltage", "/Dc/0/Current", "/Dc/0/Power", "/Dc/0/Temperature", "/History/EnergyIn", "/Ac/Power"]


class InverterOnBus:
    """A state and a clock to turn by hand."""

    def __init__(self, bus: BusAddress) -> None:
        self.now_s = 100.0
        self.state = State()
        self.context = ServiceContext(state=self.state, bus=bus, clock=lambda: self.now_s, version="1.2.3")
        self.service = InverterService(self.context, INVERTER, name_wait_s=0.01)

    def learn(self) -> None:
        self.state.set_dtu("opendtu", DtuStatus(at_s=100.0, firmware="v25.2.3"))
        self.state.set_limits("opendtu", {SERIAL: LIMIT})
        self.state.set_plan(PLAN)
        self.state.set_inverters("opendtu", {SERIAL: STATUS})
        self.state.set_commands({SERIAL: COMMANDS})
        self.state.set_link(SERIAL, Link(reconnects=3))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.service.run())
        await until(lambda: self.service.service.is_online)
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def house(daemon):
    return InverterOnBus(daemon.address)


@pytest.fixture
def quiet():
    """A house without a bus, for what needs none."""
    house = InverterOnBus(UnixAddress("/nowhere"))
    house.learn()
    return house


async def test_everything_is_shown_with_its_type_and_text(house, client):
    house.learn()
    async with house.running():
        items = (await client.call(NAME, "/", "GetItems"))["ok"]
    assert {path: (*entry["Value"], entry["Text"][1]) for path, entry in items.items()} == {
        "/Mgmt/ProcessName": ("s", "opendtu_dcload", "opendtu_dcload"),
        "/Mgmt/ProcessVersion": ("s", "1.2.3", "1.2.3"),
        "/Mgmt/Connection": ("s", "OpenDTU 192.168.1.20", "OpenDTU 192.168.1.20"),
        "/DeviceInstance": ("i", 134, "134"),
        "/ProductId": ("i", 65535, "0xFFFF"),
        "/ProductName": ("s", "Hoymiles inverter via OpenDTU", "Hoymiles inverter via OpenDTU"),
        "/CustomName": ("s", "Cellar left", "Cellar left"),
        "/FirmwareVersion": ("s", "1.2.3", "1.2.3"),
        "/HardwareVersion": ("s", "OpenDTU v25.2.3", "OpenDTU v25.2.3"),
        "/Serial": ("s", SERIAL, SERIAL),
        "/Connected": ("i", 1, "1"),
        "/Settings/MonitorMode": ("i", 7, "7"),
        "/Reason": ("s", "regulating", "regulating"),
        "/Dc/0/Voltage": ("d", 51.23, "51.23V"),
        "/Dc/0/Current": ("d", 4.26, "4.26A"),
        "/Dc/0/Power": ("d", 218.5, "218.5W"),
        "/Dc/0/Temperature": ("d", 38.4, "38.4C"),
        "/Dc/1/Voltage": ("d", 210.0, "210W"),
        "/History/EnergyIn": ("d", 123.456, "123.456kWh"),
        "/Ac/Power": ("d", 207.3, "207.3W"),
        "/Ac/Limit": ("d", 210.0, "210W"),
        "/Alarms/HighTemperature": ("i", 0, "0"),
        "/Alarms/LowVoltage": ("i", 0, "0"),
        "/Alarms/HighVoltage": ("i", 0, "0"),
        "/Health/LastCommand": ("s", "limit 210 W", "limit 210 W"),
        "/Health/LastResult": ("s", "acknowledged by the inverter", "acknowledged by the inverter"),
        "/Health/Commands": ("i", 17, "17"),
        "/Health/CommandsFailed": ("i", 2, "2"),
        "/Health/Reconnects": ("i", 3, "3"),
        "/Health/Restarts": ("i", 0, "0"),
        "/Health/Age": ("i", 0, "0s"),
    }


async def test_without_a_dtu_the_service_appears_with_invalid_values(house, client):
    async with house.running():
        items = (await client.call(NAME, "/", "GetItems"))["ok"]
    for path in [*MEASURED, "/Dc/1/Voltage", "/Ac/Limit", "/Reason"]:
        assert items[path] == {"Value": ["ai", []], "Text": ["s", "---"]}
    assert items["/Connected"]["Value"] == ["i", 0]
    assert items["/CustomName"]["Value"] == ["s", ""]


async def test_a_change_of_state_reaches_the_bus_in_one_signal(house, client):
    async with house.running():
        house.learn()
        changed = (await client.signal())["body"][0]
    assert {"/CustomName", "/Dc/0/Power", "/Ac/Limit", "/Reason", "/Connected"} <= set(changed)


async def test_old_values_become_invalid_instead_of_frozen(house, client):
    house.learn()
    async with house.running():
        await client.get(NAME, "/Dc/0/Power")
        house.now_s = 128.1  # the inverter's data are older than 30 s, limit and plan are not
        house.state.set_limits("opendtu", {SERIAL: LIMIT})
        await until(lambda: house.service.service.value("/Dc/0/Power") is None)
        for path in MEASURED:
            assert await client.get(NAME, path) == ["ai", []]
        assert await client.get(NAME, "/Connected") == ["i", 0]
        assert await client.get(NAME, "/CustomName") == ["s", "Cellar left"]
        assert await client.get(NAME, "/Ac/Limit") == ["d", 210.0]
        assert await client.get(NAME, "/Dc/1/Voltage") == ["ai", []], "nobody knows whether it does what it is told"


async def test_the_service_waits_for_the_name_the_dtu_gives(house, client):
    house.service._name_wait_s = 20.0
    task = asyncio.create_task(house.service.run())
    house.state.set_dtu("opendtu", DtuStatus(at_s=100.0))
    await asyncio.sleep(0.02)
    assert not house.service.service.is_online
    house.learn()
    await until(lambda: house.service.service.is_online)
    assert await client.get(NAME, "/CustomName") == ["s", "Cellar left"]
    task.cancel()


def test_an_old_limit_is_not_shown(quiet):
    quiet.now_s = 129.5
    assert quiet.service.values()["/Ac/Limit"] is None


@pytest.mark.parametrize("age_s", [10.5, 86_400.0])
def test_an_old_plan_is_not_shown(quiet, age_s):
    quiet.state.set_plan(replace(PLAN, at_s=quiet.now_s - age_s))
    assert quiet.service.values()["/Dc/1/Voltage"] is None
    assert quiet.service.values()["/Reason"] is None


def test_while_the_dtus_clock_is_not_set_nothing_it_tells_counts_as_in_the_control(quiet):
    quiet.state.set_dtu("opendtu", DtuStatus(at_s=100.0, is_clock_set=False))
    shown = quiet.service.values()
    assert {path: shown[path] for path in [*MEASURED, "/Ac/Limit", "/Dc/1/Voltage"] if shown[path] is not None} == {}
    assert shown["/Connected"] == 0


def test_the_auxiliary_voltage_can_be_left_out():
    house = InverterOnBus(UnixAddress("/nowhere"))
    house.learn()
    plain = InverterService(house.context, INVERTER, aux_voltage=False)
    assert "/Dc/1/Voltage" not in plain.service._items
    assert "/Dc/1/Voltage" not in plain.values()


def test_a_limit_the_dtu_does_not_know_is_not_shown(quiet):
    for limit in (replace(LIMIT, limit_pct=None), replace(LIMIT, rated_w=None)):
        quiet.state.set_limits("opendtu", {SERIAL: limit})
        assert quiet.service.values()["/Ac/Limit"] is None


def test_an_inverter_that_is_off_is_asked_for_zero_and_says_why(quiet):
    mine = InverterPlan(serial=SERIAL, limit_w=40.0, is_on=False, note="too hot")
    quiet.state.set_plan(replace(PLAN, inverters=(mine,)))
    assert quiet.service.values()["/Dc/1/Voltage"] == 0.0
    assert quiet.service.values()["/Reason"] == "regulating (too hot)"


def test_an_inverter_the_plan_does_not_mention_has_no_set_value(quiet):
    quiet.state.set_plan(replace(PLAN, inverters=()))
    assert quiet.service.values()["/Dc/1/Voltage"] is None
    assert quiet.service.values()["/Reason"] == "regulating"


def test_an_unreachable_inverter_is_not_connected_and_shows_nothing(quiet):
    quiet.state.set_inverters("opendtu", {SERIAL: replace(STATUS, reachable=False)})
    shown = quiet.service.values()
    assert shown["/Connected"] == 0
    assert {shown[path] for path in [*MEASURED, "/Dc/1/Voltage"]} == {None}


def test_the_energy_does_not_fall_to_zero_for_a_moment(quiet):
    quiet.service.values()
    quiet.state.set_inverters("opendtu", {SERIAL: replace(STATUS, yield_total_wh=0.0)})
    assert quiet.service.values()["/History/EnergyIn"] == 123.456


def test_a_configured_name_replaces_the_dtus():
    house = InverterOnBus(UnixAddress("/nowhere"))
    named = InverterService(house.context, replace(INVERTER, name="Mine"))
    assert named.values()["/CustomName"] == "Mine"
    house.learn()
    assert named.values()["/CustomName"] == "Mine"


@pytest.mark.parametrize(
    ("outcome", "told", "shown"),
    [
        (Outcome.WAITING, CommandState.OK, "waits for the DTU"),
        (Outcome.DECLINED, CommandState.OK, "declined by the DTU"),
        (Outcome.UNANSWERED, CommandState.OK, "no answer from the DTU"),
        (Outcome.TAKEN, CommandState.PENDING, "waits for the inverter"),
        (Outcome.TAKEN, CommandState.FAILURE, "not answered by the inverter"),
        (Outcome.TAKEN, CommandState.UNKNOWN, "taken by the DTU"),
        (Outcome.TAKEN, CommandState.OK, "taken by the DTU"),
        (Outcome.ACKNOWLEDGED, CommandState.OK, "acknowledged by the inverter"),
        (Outcome.IGNORED, CommandState.OK, "taken by the DTU, without effect"),
    ],
)
def test_the_result_of_the_last_command_is_what_is_known_of_it(quiet, outcome, told, shown):
    quiet.state.set_commands({SERIAL: replace(COMMANDS, outcome=outcome)})
    quiet.state.set_limits("opendtu", {SERIAL: replace(LIMIT, state=told)})
    assert quiet.service.values()["/Health/LastResult"] == shown


def test_what_the_dtu_says_of_an_earlier_command_is_not_the_result_of_the_last_one(quiet):
    quiet.state.set_commands({SERIAL: replace(COMMANDS, at_s=LIMIT.at_s, outcome=Outcome.TAKEN)})
    assert quiet.service.values()["/Health/LastResult"] == "taken by the DTU"


def test_an_inverter_that_was_never_commanded_has_no_last_command(quiet):
    quiet.state.set_commands({})
    assert quiet.service.values()["/Health/LastCommand"] is None
    assert quiet.service.values()["/Health/LastResult"] is None
    assert quiet.service.values()["/Health/Commands"] == 0


def test_a_warning_of_this_inverter_is_shown_where_the_gx_looks_for_it(quiet):
    hot = Alarm(Cause.INVERTER_WARM, SERIAL, Severity.WARNING, "Inverter hot: Cellar left", 90.0)
    quiet.state.set_alarms((replace(hot, cause=Cause.VOLTAGE_LOW, subject="999999999999"), hot))
    values = quiet.service.values()
    assert [values[f"/Alarms/{name}"] for name in ("HighTemperature", "LowVoltage", "HighVoltage")] == [1, 0, 0]
    quiet.state.set_alarms(())
    assert quiet.service.values()["/Alarms/HighTemperature"] == 0


def test_muted_the_inverter_raises_no_warning(quiet):
    hot = Alarm(Cause.INVERTER_WARM, SERIAL, Severity.WARNING, "Inverter hot: Cellar left", 90.0)
    quiet.state.set_alarms((hot,))
    settings = LocalSettings(UnixAddress("/nowhere"), lambda: quiet.now_s)
    quiet.service._alarm_switch = Control.switch(settings, "/Settings/OpenDtuDcload/Alarms", "Alarms")
    assert quiet.service.values()["/Alarms/HighTemperature"] == 1
    settings.write(quiet.service._alarm_switch.setting, 0)
    assert quiet.service.values()["/Alarms/HighTemperature"] == 0
