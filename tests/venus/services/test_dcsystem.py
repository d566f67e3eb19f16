"""The sum of the inverters' DC power: never too high, never old, and not beside another one."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.model import CommandState, DtuStatus, InverterStatus, LimitStatus
from opendtu_dcload.state import State
from opendtu_dcload.venus.gx.service_watch import ServiceWatch
from opendtu_dcload.venus.services.context import ServiceContext
from opendtu_dcload.venus.services.dcsystem import BACK_S, NAME, DcSystemService, Mode, SummedInverter, sum_of
from tests.doubles.bus_client import Client
from tests.doubles.gx_services import Gx, systemcalc
from tests.doubles.until import until

A, B = "112400000001", "112400000002"
OTHER = "com.victronenergy.dcsystem.ttyUSB1"
FRESHNESS_S = DtuSettings(stale_after_s=35.0).freshness_s
SOURCES = (SummedInverter(A, "opendtu", 5.0, FRESHNESS_S), SummedInverter(B, "opendtu", 5.0, FRESHNESS_S))
STATUS = InverterStatus(
    A, "A", 100.0, 100.0, reachable=True,
    ac_power_w=190.0, dc_power_w=200.0, dc_voltage_v=50.0, dc_current_a=4.0, yield_total_wh=1000.0,
)  # fmt: skip
LIMIT = LimitStatus(A, 100.0, limit_pct=50.0, rated_w=400.0, state=CommandState.OK)


def told(state: State, at_s: float = 100.0, **statuses: InverterStatus) -> None:
    """Let the DTU tell what it measured at `at_s`."""
    both = {A: STATUS, B: replace(STATUS, serial=B, dc_power_w=100.0, ac_power_w=95.0, dc_voltage_v=40.0)}
    both |= {status.serial: status for status in statuses.values()}
    state.set_dtu("opendtu", DtuStatus(at_s=at_s))
    state.set_inverters("opendtu", {serial: replace(status, at_s=at_s) for serial, status in both.items()})


@pytest.fixture
def state():
    state = State()
    told(state)
    return state


def power_w(state: State, now_s: float = 100.0) -> float | None:
    total = sum_of(state, SOURCES, now_s)
    return None if total is None else total.power_w


def test_power_and_current_are_summed_and_the_voltage_is_the_mean(state):
    total = sum_of(state, SOURCES, 100.0)
    assert total is not None
    assert (total.power_w, total.current_a, total.voltage_v) == (300.0, 4.0 + 2.5, 45.0)


@pytest.mark.parametrize(
    ("limit_pct", "rated_w", "expected_w"),
    [
        (47.5, 400.0, 300.0),  # 190 W is what it gives
        (50.0, 400.0, 300.0),  # more than it gives: measured counts
        (23.75, 400.0, 200.0),  # half of what was measured, on both sides
        (2.0, 400.0, 100.0 + 200.0 * 8 / 190),
        (None, 400.0, 300.0),  # the DTU does not know it
        (23.75, None, 300.0),
    ],
)
def test_a_lower_limit_that_was_acknowledged_counts_before_it_is_measured(state, limit_pct, rated_w, expected_w):
    state.set_limits("opendtu", {A: replace(LIMIT, limit_pct=limit_pct, rated_w=rated_w)})
    assert power_w(state) == pytest.approx(expected_w)


def test_an_inverter_without_an_output_was_not_measured(state):
    told(state, one=replace(STATUS, ac_power_w=None))
    assert power_w(state) == 100.0


def test_a_dtu_without_an_answer_for_ten_seconds_ends_the_sum_though_the_data_are_younger(state):
    assert power_w(state, 110.0) == 300.0
    assert power_w(state, 110.1) is None


def test_a_dtu_that_is_polled_seldom_has_two_polls_before_the_sum_ends(state):
    slow = [replace(source, poll_interval_s=20.0) for source in SOURCES]
    assert sum_of(state, slow, 135.0) is not None
    assert sum_of(state, slow, 140.1) is None


def test_an_inverter_with_old_data_leaves_and_the_others_remain(state):
    told(state, 100.0)
    statuses = {**state.inverters, B: replace(state.inverters[B], at_s=140.0)}
    state.set_inverters("opendtu", statuses)
    for now_s, expected_w in ((135.0, 300.0), (135.1, 100.0)):
        state.set_dtu("opendtu", DtuStatus(at_s=now_s))
        assert power_w(state, now_s) == expected_w


@pytest.mark.parametrize("missing", [{"dc_power_w": None}, {"dc_voltage_v": None}, {"dc_voltage_v": 0.0}], ids=str)
def test_what_is_not_measured_is_not_made_up(state, missing):
    told(state, one=replace(STATUS, **missing))
    assert power_w(state) == 100.0
    told(state, one=replace(STATUS, **missing), two=replace(STATUS, serial=B, **missing))
    assert power_w(state) is None


def test_of_two_dtus_only_the_silent_one_leaves(state):
    state.set_dtu("roof", DtuStatus(at_s=120.0))
    state.set_inverters("roof", {B: replace(STATUS, serial=B, at_s=120.0)})
    total = sum_of(state, [SOURCES[0], replace(SOURCES[1], dtu="roof")], 120.0)
    assert total is not None
    assert total.power_w == 200.0


def test_an_inverter_that_cannot_be_reached_or_whose_dtu_has_no_time_is_not_summed(state):
    told(state, one=replace(STATUS, reachable=False))
    assert power_w(state) == 100.0
    state.set_dtu("opendtu", DtuStatus(at_s=100.0, is_clock_set=False))
    assert power_w(state) is None


# ---- on the bus -------------------------------------------------------------------------------------------------


class ShownSum:
    def __init__(self, state: State, service: DcSystemService) -> None:
        self.state = state
        self.service = service
        self.now_s = 100.0

    async def shown(self) -> None:
        await until(lambda: self.service.service.is_online)

    async def withdrawn(self, client: Client) -> None:
        await until(lambda: not self.service.service.is_online)
        assert (await client.call(NAME, "/", "Ping"))["error"] == "org.freedesktop.DBus.Error.ServiceUnknown"


@contextlib.asynccontextmanager
async def publishing(daemon, state: State, mode: Mode = "auto") -> AsyncIterator[ShownSum]:
    watch = ServiceWatch(daemon.address, retry_delays_s=(0.01,))
    context = ServiceContext(state=state, bus=daemon.address, clock=lambda: bus.now_s)
    service = DcSystemService(context, mode, SOURCES, watch, tick_s=0.01)
    bus = ShownSum(state, service)
    tasks = [asyncio.create_task(watch.run()), asyncio.create_task(service.run())]
    yield bus
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)


@pytest.fixture
async def stand_in(daemon):
    stand_in = Gx(daemon.address)
    yield stand_in
    await stand_in.end()


async def test_the_service_has_what_a_dc_system_shows(state, daemon, client):
    async with publishing(daemon, state) as bus:
        await bus.shown()
        items = (await client.call(NAME, "/", "GetItems"))["ok"]
    shown = {
        path: (*entry["Value"], entry["Text"][1]) for path, entry in items.items() if path.startswith(("/Dc", "/H"))
    }
    assert shown == {
        "/Dc/0/Voltage": ("d", 45.0, "45.00V"),
        "/Dc/0/Current": ("d", 6.5, "6.50A"),
        "/Dc/0/Power": ("d", 300.0, "300.0W"),
        "/History/EnergyIn": ("d", 2.0, "2.000kWh"),
        "/HardwareVersion": ("ai", [], "---"),
    }
    assert items["/DeviceInstance"]["Value"] == ["i", 133]
    assert items["/Connected"]["Value"] == ["i", 1]


async def test_it_appears_with_the_first_sum_and_not_before(daemon, client):
    state = State()
    async with publishing(daemon, state) as bus:
        await asyncio.sleep(0.05)
        await bus.withdrawn(client)
        told(state)
        await bus.shown()
        assert await client.get(NAME, "/Dc/0/Power") == ["d", 300.0]


async def test_the_service_leaves_with_its_sum_and_never_shows_an_invalid_one(state, daemon, client):
    async with publishing(daemon, state) as bus, systemcalc(daemon.address) as system:
        await bus.shown()
        await until(lambda: system.values["/Dc/System/Power"] == 300.0)
        bus.now_s = 110.1
        await bus.withdrawn(client)
        await until(lambda: system.values["/Dc/System/Power"] is None)
        assert 0.0 not in system.seen["/Dc/System/Power"], "the GX knows nothing, instead of something false"
        told(state, bus.now_s)
        await asyncio.sleep(0.05)
        assert not bus.service.service.is_online
        bus.now_s += BACK_S
        told(state, bus.now_s)
        await bus.shown()
        assert await client.get(NAME, "/Dc/0/Power") == ["d", 300.0]
        await until(lambda: system.values["/Dc/System/Power"] == 300.0)


async def test_a_dtu_that_answers_now_and_then_does_not_let_the_service_come_and_go(state, daemon):
    comings = 0
    async with publishing(daemon, state) as bus:
        await bus.shown()
        for second in range(0, 600, 4):
            bus.now_s += 4
            if second % 20 == 0:
                told(state, bus.now_s)
            was_online = bus.service.service.is_online
            await asyncio.sleep(0.012)
            comings += bus.service.service.is_online and not was_online
        assert comings == 0
        assert not bus.service.service.is_online


async def test_beside_another_dc_system_it_is_withdrawn_and_comes_back_when_that_goes(
    state, daemon, client, stand_in, caplog
):
    caplog.set_level(logging.INFO)
    async with publishing(daemon, state) as bus:
        await bus.shown()
        await stand_in.join(OTHER, {"/DeviceInstance": 1})
        await bus.withdrawn(client)
        await stand_in.leave(OTHER)
        await bus.shown()
    said = [record.message for record in caplog.records if record.name.endswith("dcsystem")]
    assert said == [
        f"the sum of the inverters is not published: {OTHER} is a DC system meter already",
        "the sum of the inverters is published: there is no other DC system meter any more",
    ]


async def test_auto_does_not_appear_where_another_one_was_first(state, daemon, client, stand_in):
    await stand_in.join(OTHER, {"/DeviceInstance": 1})
    async with publishing(daemon, state) as bus:
        await asyncio.sleep(0.05)
        await bus.withdrawn(client)


async def test_on_is_published_beside_another_one(state, daemon, client, stand_in):
    await stand_in.join(OTHER, {"/DeviceInstance": 1})
    async with publishing(daemon, state, "on") as bus:
        await bus.shown()
        assert await client.get(NAME, "/Dc/0/Power") == ["d", 300.0]


async def test_energy_waits_for_every_inverter_and_never_falls(daemon, client):
    state = State()
    told(state, one=replace(STATUS, yield_total_wh=None))
    async with publishing(daemon, state) as bus:
        await bus.shown()
        assert await client.get(NAME, "/History/EnergyIn") == ["ai", []]
        for yield_wh in (1000.0, 900.0):
            told(state, one=replace(STATUS, yield_total_wh=yield_wh))
            await until(lambda: bus.service.service.value("/History/EnergyIn") == 2.0)
        await asyncio.sleep(0.05)
        assert bus.service.service.value("/History/EnergyIn") == 2.0


async def test_it_comes_back_with_a_restarted_bus(state, daemon):
    async with publishing(daemon, state) as bus:
        await bus.shown()
        daemon.stop()
        await until(lambda: not bus.service.service.is_online)
        daemon.start()
        await bus.shown()
