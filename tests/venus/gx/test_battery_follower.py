"""Which battery is followed, what is believed of it, and what remains when it hangs or goes."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

import pytest

from opendtu_dcload.control.protection.battery_guard import believed
from opendtu_dcload.errors import BusError
from opendtu_dcload.model import BatteryStatus, InverterStatus, MultiplusStatus
from opendtu_dcload.state import State
from opendtu_dcload.venus.bus.item import Value
from opendtu_dcload.venus.gx.battery_follower import FORGOTTEN_S, SLOW_S, BatteryFollower
from opendtu_dcload.venus.gx.service_watch import ServiceWatch
from tests.doubles.gx_services import BATTERY, BATTERY_VALUES, SETTINGS, SYSTEM, SYSTEM_VALUES, VEBUS, gx
from tests.doubles.until import until

QUICK_S = 0.5
OTHER = "com.victronenergy.battery.socketcan_can0"
FULL = BatteryStatus(
    at_s=100.0,
    service=BATTERY,
    soc_pct=63.0,
    voltage_v=52.4,
    current_a=-6.2,
    power_w=-325.0,
    temperature_c=19.5,
    min_cell_voltage_v=3.27,
    max_discharge_current_a=100.0,
    may_discharge=True,
    ess_minimum_soc_pct=15.0,
)


class FollowedBattery:
    """A follower, the state it fills, and the time it is told."""

    def __init__(self, watch: ServiceWatch) -> None:
        self.state = State()
        self.now_s = 100.0
        self.follower = BatteryFollower(self.state, watch, lambda: self.now_s, every_s=0.01)

    @property
    def battery(self) -> BatteryStatus:
        assert self.state.battery is not None
        return self.state.battery

    async def shows(self, **values: object) -> None:
        await until(
            lambda: (
                self.state.battery is not None
                and all(getattr(self.state.battery, name) == value for name, value in values.items())
            )
        )


@pytest.fixture
async def plant(daemon):
    async with following(daemon) as plant:
        yield plant


@contextlib.asynccontextmanager
async def following(daemon) -> AsyncIterator[FollowedBattery]:
    watch = ServiceWatch(daemon.address, answer_timeout_s=QUICK_S, retry_delays_s=(0.01,))
    plant = FollowedBattery(watch)
    tasks = [asyncio.create_task(watch.run()), asyncio.create_task(plant.follower.run())]
    await watch.wait_ready()
    yield plant
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)


async def test_everything_is_read_from_the_service_that_systemcalc_names(daemon, plant):
    async with gx(daemon.address):
        await until(lambda: plant.state.battery is not None and plant.state.multiplus is not None)
        assert plant.battery == FULL
        assert plant.state.multiplus == MultiplusStatus(100.0, VEBUS, dc_power_w=0.0, ess_target_w=50.0)


async def test_of_two_batteries_the_active_one_is_followed_and_a_new_choice_at_once(daemon, plant):
    async with gx(daemon.address) as stand_in:
        await stand_in.join(OTHER, {**BATTERY_VALUES, "/Soc": 20.0})
        await plant.shows(soc_pct=63.0)
        stand_in.set(SYSTEM, {"/Dc/Battery/BatteryService": OTHER, "/ActiveBmsService": OTHER})
        await plant.shows(soc_pct=20.0, service=OTHER)


async def test_beside_a_shunt_the_limits_come_from_the_bms_and_the_alarms_from_both(daemon, plant):
    shunt = {"/Soc": 55.0, "/Dc/0/Voltage": 51.9, "/Alarms/LowSoc": 2}
    async with gx(daemon.address) as stand_in:
        await stand_in.join(OTHER, shunt)
        stand_in.set(BATTERY, {"/Alarms/HighTemperature": 2, "/Alarms/LowVoltage": 1})
        stand_in.set(SYSTEM, {"/Dc/Battery/BatteryService": OTHER})
        await plant.shows(service=OTHER)
        assert (plant.battery.soc_pct, plant.battery.voltage_v) == (55.0, 51.9)
        assert (plant.battery.min_cell_voltage_v, plant.battery.max_discharge_current_a) == (3.27, 100.0)
        assert plant.battery.temperature_c is None
        assert plant.battery.alarms == ("/Alarms/LowSoc", "/Alarms/HighTemperature")


async def test_alarms_and_the_minimum_of_ess_follow_within_seconds(daemon, plant):
    async with gx(daemon.address) as stand_in:
        await plant.shows(alarms=(), ess_minimum_soc_pct=15.0)
        stand_in.set(BATTERY, {"/Alarms/LowVoltage": 2})
        stand_in.set(SETTINGS, {"/Settings/CGwacs/BatteryLife/MinimumSocLimit": 30.0})
        plant.now_s += SLOW_S
        await plant.shows(alarms=("/Alarms/LowVoltage",), ess_minimum_soc_pct=30.0)
        await stand_in.leave(SETTINGS)
        plant.now_s += SLOW_S
        await plant.shows(at_s=plant.now_s)
        assert plant.battery.ess_minimum_soc_pct == 30.0


async def test_invalid_values_wrong_types_and_nonsense_are_unknown_and_the_rest_holds(daemon, plant):
    wrong: dict[str, Value | None] = {
        "/Soc": "63",
        "/Dc/0/Current": 1e9,
        "/Dc/0/Power": None,
        "/Io/AllowToDischarge": 7,
    }
    wrong |= {"/Alarms/LowSoc": "2"}
    async with gx(daemon.address, battery=False) as stand_in:
        await stand_in.join(BATTERY, {**BATTERY_VALUES, **wrong})
        stand_in.set(SYSTEM, {"/Dc/Battery/BatteryService": BATTERY, "/ActiveBmsService": BATTERY})
        await plant.shows(service=BATTERY)
        assert plant.battery == replace(FULL, soc_pct=None, current_a=None, power_w=None, may_discharge=None)


@pytest.mark.parametrize("named", [None, "com.victronenergy.battery.gone", "not a name", ""])
async def test_a_name_that_leads_nowhere_is_no_battery(daemon, plant, named):
    async with gx(daemon.address, battery=False) as stand_in:
        await stand_in.join(BATTERY, BATTERY_VALUES)
        stand_in.set(SYSTEM, {"/Dc/Battery/BatteryService": named, "/ActiveBmsService": named})
        for plant.now_s in (101.0, 102.0, 103.0):
            await until(lambda: plant.state.multiplus is not None and plant.state.multiplus.at_s == plant.now_s)
        assert plant.state.battery is None


async def test_without_venus_os_there_is_neither_battery_nor_multiplus(plant):
    for _ in range(20):
        await asyncio.sleep(0)
    assert plant.state.battery is None
    assert plant.state.multiplus is None


async def test_a_battery_that_hangs_keeps_its_last_values_with_their_age_and_hinders_nobody(daemon, plant, caplog):
    caplog.set_level(logging.INFO)
    async with gx(daemon.address) as stand_in:
        await plant.shows(soc_pct=63.0)
        await stand_in.fall_silent(BATTERY)
        plant.now_s = 130.0
        await until(lambda: "battery lost" in caplog.text)
        await until(lambda: plant.state.multiplus is not None and plant.state.multiplus.at_s == 130.0)
        assert plant.battery == FULL
        await stand_in.leave(BATTERY)
        await stand_in.join(BATTERY, {**BATTERY_VALUES, "/Soc": 61.0})
        await plant.shows(soc_pct=61.0, at_s=130.0)
        await until(lambda: "battery back" in caplog.text)
        said = [record.message for record in caplog.records if record.message.startswith("battery")]
    assert said[0] == f"battery: {BATTERY}"
    assert said[-2].startswith(f"battery lost: {BATTERY}: no answer to GetValue in 0.5 s")
    assert said[-1] == "battery back after 30 s"


async def test_a_battery_that_was_taken_away_is_forgotten_after_ten_minutes(daemon, plant):
    async with gx(daemon.address) as stand_in:
        await plant.shows(soc_pct=63.0)
        await stand_in.leave(BATTERY)
        stand_in.set(SYSTEM, {"/Dc/Battery/BatteryService": None, "/ActiveBmsService": None})
        plant.now_s += FORGOTTEN_S
        await until(lambda: plant.state.multiplus is not None and plant.state.multiplus.at_s == plant.now_s)
        assert plant.battery == FULL
        plant.now_s += 1
        await until(lambda: plant.state.battery is None)


async def test_a_systemcalc_that_is_killed_leaves_the_last_values_and_is_followed_again(daemon, plant, caplog):
    caplog.set_level(logging.INFO)
    async with gx(daemon.address) as stand_in:
        await plant.shows(soc_pct=63.0)
        await stand_in.leave(SYSTEM)
        await until(lambda: "battery lost" in caplog.text)
        plant.now_s += 30.0
        stand_in.set(BATTERY, {"/Soc": 61.0})
        assert plant.battery == FULL
        await stand_in.join(SYSTEM, SYSTEM_VALUES)
        await plant.shows(soc_pct=61.0, at_s=130.0)
    assert caplog.text.count("battery back after 30 s") == 1


async def test_a_lost_bus_leaves_the_last_values_and_all_comes_back(daemon, plant):
    async with gx(daemon.address):
        await plant.shows(soc_pct=63.0)
        daemon.stop()
        plant.now_s = 110.0
        daemon.start()
        await plant.shows(soc_pct=63.0, at_s=110.0)


@pytest.mark.parametrize(
    ("service", "path", "value"),
    [
        (SETTINGS, "/Settings/CGwacs/Hub4Mode", 3),
        (SETTINGS, "/Settings/CGwacs/AcPowerSetPoint", None),
        (VEBUS, "/Hub4/AssistantId", None),
    ],
)
async def test_where_ess_does_not_regulate_there_is_no_target(daemon, plant, service, path, value):
    async with gx(daemon.address) as stand_in:
        stand_in.set(service, {path: value, **({"/Dc/0/Power": -700.0} if service == VEBUS else {})})
        await until(lambda: plant.state.multiplus is not None and plant.state.multiplus.ess_target_w is None)
        stand_in.set(VEBUS, {"/Dc/0/Power": 120.0})
        await until(lambda: plant.state.multiplus.dc_power_w == 120.0)
        assert plant.state.multiplus.ess_target_w is None


class Refusing:
    """A watch: the battery never answers, its BMS refuses when it is told to."""

    def __init__(self) -> None:
        self.names = frozenset({SYSTEM, BATTERY, OTHER})
        self.refusal: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()

    async def read_all(self, service: str, paths: Iterable[str]) -> dict[str, object]:
        if service == SYSTEM:
            return {path: OTHER if "Bms" in path else BATTERY for path in paths}
        return await (self.refusal if service == OTHER else asyncio.get_running_loop().create_future())


async def test_a_service_that_refuses_at_the_moment_of_the_end_does_not_prevent_it():
    watch = Refusing()
    follower = BatteryFollower(State(), watch, lambda: 0.0, every_s=60.0)  # type: ignore[arg-type]  # all of it that is used
    task = asyncio.create_task(follower.read_battery())
    for _ in range(5):
        await asyncio.sleep(0)
    watch.refusal.set_exception(BusError("refused"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


DRAWING = InverterStatus("112400000001", "A", 0.0, 0.0, reachable=True, dc_power_w=0.0)


def draw(plant: FollowedBattery, dc_power_w: float) -> None:
    """Let the inverter be measured now."""
    measured = replace(DRAWING, answered_at_s=plant.now_s, at_s=plant.now_s, dc_power_w=dc_power_w)
    plant.state.set_inverters("dtu", {DRAWING.serial: measured})


async def pass_by(plant: FollowedBattery, seconds: int, dc_power_w: float) -> None:
    for _ in range(0, seconds, 10):
        plant.now_s += 10
        draw(plant, dc_power_w)
        await plant.shows(at_s=plant.now_s)


async def test_a_battery_that_does_not_show_what_the_inverters_draw_is_frozen_and_said_so(daemon, plant, caplog):
    caplog.set_level(logging.INFO)
    async with gx(daemon.address) as stand_in:
        await plant.shows(soc_pct=63.0)
        await pass_by(plant, 30, 100.0)
        await pass_by(plant, 20, 300.0)
        assert not plant.battery.is_frozen
        await pass_by(plant, 20, 300.0)
        assert plant.battery.is_frozen
        assert believed(plant.now_s, plant.battery) is None
        stand_in.set(BATTERY, {"/Dc/0/Voltage": 52.3})
        await plant.shows(is_frozen=False)
    said = [record.message for record in caplog.records if "frozen" in record.message or "again" in record.message]
    assert said == [
        f"battery frozen: {BATTERY} answers, but its voltage, current and power stand still",
        "battery moves again",
    ]


@pytest.mark.long
async def test_a_battery_that_stands_still_for_hours_under_a_constant_load_is_believed(daemon, plant):
    async with gx(daemon.address):
        await plant.shows(soc_pct=63.0)
        await pass_by(plant, 7200, 300.0)
        await pass_by(plant, 120, 440.0)
        assert not plant.battery.is_frozen


@pytest.mark.parametrize(("path", "value"), [("/Dc/0/Voltage", 52.3), ("/Dc/0/Current", -9.9), ("/Dc/0/Power", -520.0)])
async def test_one_value_that_moves_is_enough_for_a_battery(daemon, plant, path, value):
    async with gx(daemon.address) as stand_in:
        await plant.shows(soc_pct=63.0)
        await pass_by(plant, 60, 100.0)
        stand_in.set(BATTERY, {path: value})
        await pass_by(plant, 40, 400.0)
        assert not plant.battery.is_frozen


async def test_the_state_of_charge_and_limits_that_move_do_not_excuse_a_frozen_battery(daemon, plant):
    async with gx(daemon.address) as stand_in:
        await plant.shows(soc_pct=63.0)
        await pass_by(plant, 30, 100.0)
        stand_in.set(BATTERY, {"/Soc": 62.0, "/Info/MaxDischargeCurrent": 90.0})
        await pass_by(plant, 60, 400.0)
        assert plant.battery.is_frozen
