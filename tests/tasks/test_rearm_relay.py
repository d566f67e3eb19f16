"""The relay's task with a simulated relay, on virtual time."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from opendtu_dcload.devices.shelly.shelly_relay import ShellyRelay
from opendtu_dcload.errors import ConfigError
from opendtu_dcload.model import DtuStatus, MeterReading, Plan, Reason, RelayOrder
from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.servers.shelly_server import Gen1Server
from opendtu_dcload.state import State
from opendtu_dcload.tasks.rearm_relay import RelayTask
from tests.doubles.clock import Clock
from tests.doubles.fake_device import Settings


@dataclass
class TimedRelay:
    server: Gen1Server
    state: State
    clock: Clock
    session: aiohttp.ClientSession
    order: RelayOrder = RelayOrder.CONNECT
    has_meter: bool = True
    has_dtu: bool = True
    has_plan: bool = True

    def task(self, *, is_dry: bool = False) -> RelayTask:
        relay = ShellyRelay(Settings(self.server.host), 0, self.session, self.clock)
        return RelayTask(relay, self.state, ["opendtu"], self.clock, is_dry=is_dry)

    async def play(self, task: RelayTask, seconds: int) -> None:
        """Let everybody who is well answer each second."""
        for _ in range(seconds):
            self.clock.now_s += 1
            now_s = self.clock.now_s
            self.server.dtu.advance(now_s - 1000.0)
            if self.has_meter:
                self.state.set_meter(MeterReading(now_s, 100.0))
            if self.has_dtu:
                self.state.set_dtu("opendtu", DtuStatus(now_s))
            if self.has_plan:
                self.state.set_plan(Plan(now_s, 0.0, 800.0, Reason.REGULATING, relay=self.order))
            await task.rearm()

    @property
    def is_on(self) -> bool:
        return self.server.relay.is_on


@pytest.fixture
async def rig() -> AsyncIterator[TimedRelay]:
    dtu = SimDtu(House([300.0], [InverterModel("1124a0000001", "HMS")]))
    server = Gen1Server(dtu, lambda: dtu.house.now_s, device="1pm", latency_s=0)
    server.feed_inverters()
    async with server, aiohttp.ClientSession() as session:
        yield TimedRelay(server, State(), Clock(1000.0), session)


async def test_while_all_is_well_it_stays_on(rig: TimedRelay):
    await rig.play(rig.task(), 900)
    assert rig.is_on
    assert rig.server.relay.remaining_s(rig.server.now_s) > 235


@pytest.mark.parametrize("gone", ["has_meter", "has_dtu", "has_plan"])
async def test_when_the_meter_the_dtu_or_the_control_falls_silent_it_opens_within_six_minutes(
    rig: TimedRelay, gone: str
):
    task = rig.task()
    await rig.play(task, 120)
    setattr(rig, gone, False)
    await rig.play(task, 235)
    assert rig.is_on
    await rig.play(task, 125)
    assert not rig.is_on
    setattr(rig, gone, True)
    await rig.play(task, 15)
    assert rig.is_on


async def test_when_a_guard_objects_it_is_left_to_its_timer(rig: TimedRelay):
    task = rig.task()
    await rig.play(task, 59)
    rig.order = RelayOrder.HOLD
    await rig.play(task, 235)
    assert rig.is_on
    await rig.play(task, 10)
    assert not rig.is_on


async def test_when_the_guard_demands_it_opens_at_once(rig: TimedRelay, caplog: pytest.LogCaptureFixture):
    task = rig.task()
    await rig.play(task, 5)
    rig.order = RelayOrder.OPEN
    await rig.play(task, 1)
    assert not rig.is_on
    assert [r.message for r in caplog.records if r.levelno == logging.WARNING] == ["relay open"]


async def test_one_that_somebody_opened_stays_open_until_the_limits_are_known_to_rule(rig: TimedRelay):
    task = rig.task()
    rig.order = RelayOrder.KEEP
    await rig.play(task, 100)
    assert not rig.is_on
    rig.order = RelayOrder.CONNECT
    await rig.play(task, 5)
    assert rig.is_on
    rig.server.relay.switch(rig.server.now_s, on=False)
    rig.order = RelayOrder.KEEP
    await rig.play(task, 100)
    assert not rig.is_on
    assert rig.state.relay is not None
    assert not rig.state.relay.is_on


async def test_one_that_opened_unseen_is_not_closed_before_the_limits_are_known_to_rule(rig: TimedRelay):
    task = rig.task()
    await rig.play(task, 60)
    rig.order = RelayOrder.KEEP
    rig.server.relay.switch(rig.server.now_s, on=False)
    for _ in range(65):  # whenever it is armed next
        await rig.play(task, 1)
        assert not rig.is_on


async def test_one_that_somebody_closed_gets_its_timer(rig: TimedRelay):
    task = rig.task()
    await rig.play(task, 5)
    rig.server.relay.switch(rig.server.now_s, on=True)
    await rig.play(task, 6)
    assert rig.server.relay.duration_s == 300


async def test_in_a_dry_run_it_is_only_read(rig: TimedRelay):
    task = rig.task(is_dry=True)
    await rig.play(task, 30)
    assert not rig.is_on
    assert rig.state.relay is not None


async def test_a_relay_with_dangerous_settings_ends_the_program_at_its_start(rig: TimedRelay):
    rig.server.power_on = "on"
    with pytest.raises(ConfigError, match="power-on"):
        await rig.play(rig.task(), 1)


async def test_settings_that_became_dangerous_while_it_was_away_only_keep_it_open(
    rig: TimedRelay, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    task = rig.task()
    await rig.play(task, 5)
    host = rig.server.host
    await rig.server.stop()
    await rig.play(task, 60)
    rig.server.power_on = "last"
    rig.server.relay.switch(rig.server.now_s, on=False)
    await rig.server.start()
    assert rig.server.host == host
    await rig.play(task, 60)
    assert not rig.is_on
    rig.server.power_on = "off"
    await rig.play(task, 20)
    assert rig.is_on
    told = [r.message for r in caplog.records]
    assert sum(m.startswith("relay lost") for m in told) == 1
    assert sum(m.startswith("relay back after") for m in told) == 1
