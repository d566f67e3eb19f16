"""Two DTUs behind real HTTP: the whole program, and the control loop alone, while one of them hangs."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from opendtu_dcload.config import OpenDtuConfig
from opendtu_dcload.control import loop as control_loop
from opendtu_dcload.control.commands import leave
from opendtu_dcload.control.commands import sender as command_sender
from opendtu_dcload.control.commands.command_policy import Reboot, Restart
from opendtu_dcload.control.decision import Decision, Seen
from opendtu_dcload.control.loop import ControlLoop
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.model import CommandState, DtuStatus, InverterStatus, LimitStatus, MeterReading
from opendtu_dcload.sim.servers.http_server import Faults
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.state import State
from opendtu_dcload.tallies import Link, Outcome, Today
from opendtu_dcload.tasks.poll_dtu import DtuPoller
from tests.doubles.devices import PASSWORD, Devices, simulated
from tests.doubles.until import until
from tests.program.process import run, running

pytestmark = pytest.mark.realtime

LEFT, RIGHT = ("1124a0000001", "1124a0000002"), ("1124a0000003", "1124a0000004")
SERIALS = {"left": LEFT, "right": RIGHT}
HANGS = Faults(delay_s=600.0)


class Two:
    """Devices with two DTUs, each with two inverters that have been told 20 W."""

    def __init__(self, devices: Devices) -> None:
        self.devices = devices
        self.house = devices.house
        self.left, self.right = devices.dtus

    def config(self, folder: Path, *, inverters: bool = True) -> Path:
        return self.devices.config(folder, dtu="timeout_s = 2\n", control="max_feed_in_w = 1600\n", inverters=inverters)


@pytest.fixture
async def two() -> AsyncIterator[Two]:
    async with simulated(SERIALS, load_w=150.0, limits_w=[20.0] * 4) as devices:
        yield Two(devices)


# ---- the whole program


async def test_while_one_dtu_hangs_the_other_one_regulates_on(two: Two, tmp_path: Path) -> None:
    async with running("--config", two.config(tmp_path)) as program:
        await until(lambda: abs(two.house.grid_w - 10) < 30)
        assert two.left.posted or two.right.posted
        two.left.faults = HANGS
        assert program.stderr
        log = ""
        while "DTU left lost" not in log:
            log += (await program.stderr.readline()).decode()
        held_w = sum(two.house.inverters[s].output_w for s in LEFT)
        two.house.load_w = [held_w + 400.0]
        await until(lambda: abs(two.house.grid_w - 10) < 30)
        two.left.faults = Faults()
        while "DTU left back" not in log:
            log += (await program.stderr.readline()).decode()
        counters = [dtu.counters for dtu in (two.left.dtu, two.right.dtu)]
        repeated = [counter.raised_or_repeated_while_pending for counter in counters]  # at the end it may be
        program.terminate()
        _, rest = await program.communicate()
        assert program.returncode == 0, rest
    log += rest.decode()
    assert re.search(r"DTU left 127\.0\.0\.1:\d+, DTU right 127\.0\.0\.1:\d+", log)
    assert "DTU right" not in "".join(line for line in log.splitlines() if "lost" in line)
    assert two.left.max_in_flight == two.right.max_in_flight == 1
    assert [counter.persistent for counter in counters] == repeated == [0, 0]
    await until(lambda: {i.limit_w for i in two.house.inverters.values()} == {20.0})


async def test_check_looks_at_each(two: Two, tmp_path: Path) -> None:
    path = two.config(tmp_path)
    code, out, err = await run("check", "--config", path)
    assert (code, err) == (0, "")
    two.right.password = "another"
    block = f'serial = "{LEFT[0]}"\nopendtu = '
    path.write_text(path.read_text().replace(f'{block}"left"', f'{block}"right"'))
    bad_code, bad_out, _ = await run("check", "--config", path)
    for words in ("OpenDTU left accepts", "OpenDTU right accepts", *(f"inverter {s} 'HMS" for s in LEFT + RIGHT)):
        assert words in out
    problems = [line for line in bad_out.splitlines() if line.startswith("problem")]
    assert bad_code == 1
    assert len(problems) == 2, problems
    assert two.right.host in problems[0]
    assert f"inverter {LEFT[0]} is not known to the DTU right" in problems[1]


async def test_without_an_inverter_the_blocks_of_each_name_their_dtu(two: Two, tmp_path: Path) -> None:
    _, out, _ = await run("check", "--config", two.config(tmp_path, inverters=False))
    for name, serials in SERIALS.items():
        for serial in serials:
            assert f'[[inverter]]\nopendtu = "{name}"\nserial = "{serial}"  # HMS {serial[-1]}\n' in out


# ---- the loop alone


class LoopAlone:
    """The loop, and what it sees set by hand."""

    def __init__(self, two: Two, session: aiohttp.ClientSession) -> None:
        config = two.devices.parsed(dtu="timeout_s = 30\n")  # what hangs does so until the end
        self.now_s = 100.0
        self.state = State()
        dtus = {dtu.name: OpenDtu(dtu, session, config.serials_of(dtu)) for dtu in config.dtus}
        self.loop = ControlLoop(config, self.state, dtus, lambda: self.now_s)

    def see(self, *, limit_pct: float | None = None, grid_w: float = 10.0) -> None:
        """A second later; while limits are unknown each inverter is to be told its minimum."""
        self.now_s += 1.0
        now_s = self.now_s
        for name, serials in SERIALS.items():
            self.state.set_dtu(name, DtuStatus(now_s, serials=frozenset(serials)))
            self.state.set_limits(name, {s: LimitStatus(s, now_s, limit_pct, 400.0, CommandState.OK) for s in serials})
            self.state.set_inverters(
                name, {s: InverterStatus(s, s, now_s, now_s, True, 20.0, dc_voltage_v=50.0) for s in serials}
            )
        self.state.set_meter(MeterReading(now_s, grid_w))

    async def answered(self, *names: str) -> None:
        """Wait until DTUs have answered: what is seen meanwhile would be of the seconds that they took."""
        await until(lambda: not any(self.loop._senders[name].is_busy for name in names))

    async def decided(self) -> None:
        """Wait until the loop has looked at what was seen last."""
        await until(lambda: self.state.plan is not None and self.state.plan.at_s == self.now_s)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.loop.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def rig(two: Two, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LoopAlone]:
    for module in (control_loop, command_sender):
        monkeypatch.setattr(module, "LONGEST_COMMAND_S", 0.05)
    monkeypatch.setattr(leave, "LEAVE_S", 3.0)
    async with aiohttp.ClientSession() as session:
        yield LoopAlone(two, session)


def limits_w(server: OpenDtuServer) -> list[float]:
    return [float(values["limit_value"]) for path, values in server.posted if path == "limit/config"]


async def test_a_dtu_that_hangs_delays_no_command_to_the_other(two: Two, rig: LoopAlone) -> None:
    two.left.faults = HANGS
    rig.see()
    async with rig.running():
        await until(lambda: limits_w(two.right) == [20, 20])
        await rig.answered("right")
        while len(limits_w(two.right)) < 3:
            rig.see(limit_pct=5.0, grid_w=600.0)
            await rig.decided()
        assert limits_w(two.right)[2] > 100
        assert two.left.in_flight == 1, "one POST that still hangs"
    assert two.left.max_in_flight == two.right.max_in_flight == 1
    assert two.left.posted == []


@pytest.mark.parametrize("longest_s", [0.05, 60.0], ids=["it took long", "it was quick"])
async def test_what_is_left_of_a_decision_is_not_sent_once_there_is_a_newer_one(
    two: Two, rig: LoopAlone, monkeypatch: pytest.MonkeyPatch, longest_s: float
) -> None:
    monkeypatch.setattr(command_sender, "LONGEST_COMMAND_S", longest_s)
    two.left.faults = Faults(delay_s=1.0)
    rig.see()
    async with rig.running():
        await until(lambda: two.left.in_flight == 1)
        sending = rig.loop._senders["left"]._sending
        rig.see()
        await rig.decided()
        assert sending is not None
        await sending
        assert len(two.left.posted) == 1
        rig.see()
        await until(lambda: len(two.left.posted) == 2)
    assert two.left.max_in_flight == 1
    assert {values["serial"] for _, values in two.left.posted} == set(LEFT)


async def test_leaving_does_not_wait_for_a_dtu_that_hangs_before_it_tells_the_other(
    two: Two, rig: LoopAlone, caplog: pytest.LogCaptureFixture
) -> None:
    two.left.faults = HANGS
    rig.see()
    async with rig.running():
        await until(lambda: len(two.right.posted) == 2)
    await rig.loop.leave()
    assert len(two.right.posted) == 4
    assert two.left.posted == []
    (told,) = [record.getMessage() for record in caplog.records if "stopping" in record.getMessage()]
    assert f"uncertain for {LEFT[0]} (" in told


async def test_last_resorts_reach_the_dtu_and_say_so(
    two: Two, rig: LoopAlone, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    decide = rig.loop._controller.decide

    def with_last_resorts(seen: Seen) -> Decision:
        plan, (restarts, reboots) = decide(seen).plan, due.pop() if due else ((), ())
        return Decision(plan, restarts, reboots)

    due = [((Restart(LEFT[0], 1),), (Reboot("right", 2),))]
    monkeypatch.setattr(rig.loop._controller, "decide", with_last_resorts)
    rig.see()
    async with rig.running():
        await until(lambda: bool(two.left.posted and two.right.posted))
        rig.see()
        await rig.decided()
    assert two.left.posted == [("power/config", {"serial": LEFT[0], "restart": True})]
    assert two.right.posted == [("maintenance/reboot", {"reboot": True})]
    assert [rig.state.commands[s].restarts for s in (LEFT[0], "right")] == [1, 1]
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sorted(told) == [
        "DTU right reaches no inverter: reboot number 2 since the start",
        f"inverter {LEFT[0]} does not obey: restart number 1 since the start",
    ]


# ---- what is counted


def outcome(rig: LoopAlone, serial: str) -> Outcome | None:
    record = rig.state.commands.get(serial)
    return None if record is None else record.outcome


async def test_what_came_of_each_command_is_counted(two: Two, rig: LoopAlone) -> None:
    two.left.faults = Faults(drop=True)
    outcomes = {LEFT[0]: Outcome.UNANSWERED, **dict.fromkeys(RIGHT, Outcome.ACKNOWLEDGED)}
    rig.see()
    async with rig.running():
        await until(lambda: len(two.right.posted) == 2)
        while any(outcome(rig, serial) is not wanted for serial, wanted in outcomes.items()):
            await rig.answered("left", "right")
            rig.see(limit_pct=5.0, grid_w=0.0)
            await rig.decided()
        commands = rig.state.commands
    assert [(commands[serial].sent, commands[serial].failed) for serial in RIGHT] == [(1, 0), (1, 0)]
    assert commands[RIGHT[0]].last == "limit 20 W"
    assert commands[LEFT[0]].failed == commands[LEFT[0]].sent


async def test_energy_counts_as_avoidable_only_while_there_is_room_under_the_cap(rig: LoopAlone) -> None:
    async def seconds(grid_w: float) -> Today:
        for _ in range(5):
            rig.see(limit_pct=5.0, grid_w=grid_w)
            await rig.decided()
        return rig.state.today

    async with rig.running():
        await seconds(0.0)
        exported = await seconds(-720.0)
        assert exported.exported_wh == pytest.approx(1.0)
        assert exported.avoidable_wh == 0.0
        imported = await seconds(7200.0)
        assert imported.exported_wh == pytest.approx(1.0)
        # the file's default cap is 800 W, and each of the four gives 20 W
        assert imported.avoidable_wh == pytest.approx(720 * 5 / 3600)


async def test_an_alarm_is_one_line_in_the_log_and_another_one_when_it_is_over(
    rig: LoopAlone, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with rig.running():
        for temperature_c, seconds in ((70.0, 40), (40.0, 70)):
            for _ in range(seconds):
                rig.see(limit_pct=5.0)
                hot = replace(rig.state.inverters[LEFT[0]], temperature_c=temperature_c)
                rig.state.set_inverters("left", {**rig.state.inverters, LEFT[0]: hot})
                await rig.decided()
    told = [record.getMessage() for record in caplog.records if "nverter hot" in record.getMessage()]
    assert told == [f"warning: Inverter hot: {LEFT[0]}", f"warning over: Inverter hot: {LEFT[0]}"]


async def test_failures_and_returns_of_dtu_and_inverter_are_counted(two: Two) -> None:
    state = State()
    config = OpenDtuConfig(name="left", host=two.left.host, password=SecretStr(PASSWORD), poll_interval_s=1.0)
    async with aiohttp.ClientSession() as session:
        poller = DtuPoller(config, OpenDtu(config, session, LEFT), state, LEFT, 0.0, time.monotonic)
        task = asyncio.create_task(poller.run())
        await until(lambda: all(s in state.inverters and state.inverters[s].reachable for s in LEFT))
        assert state.links == {}
        two.left.dtu.reachable_threshold = -1
        await until(lambda: not any(status.reachable for status in state.inverters.values()))
        two.left.dtu.reachable_threshold = 2
        await until(lambda: len(state.links) == 2)
        assert state.links == dict.fromkeys(LEFT, Link(0, 1))
        two.left.faults = Faults(drop=True)
        await until(lambda: "DTU left" in state.links)
        two.left.faults = Faults()
        await until(lambda: state.links["DTU left"].reconnects > 0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert state.links["DTU left"].reconnects == 1
    assert state.links["DTU left"].failures >= 1


async def test_an_acknowledgement_is_looked_for_before_the_next_poll(two: Two) -> None:
    state, serial, started_s = State(), LEFT[0], time.monotonic()

    def clock() -> float:
        return min(time.monotonic() - started_s, 50.0)  # never 60, when the next poll would be

    config = OpenDtuConfig(name="left", host=two.left.host, password=SecretStr(PASSWORD), poll_interval_s=60.0)
    async with aiohttp.ClientSession() as session:
        dtu = OpenDtu(config, session, LEFT, clock)
        task = asyncio.create_task(DtuPoller(config, dtu, state, LEFT, 15.0, clock).run())
        await until(lambda: serial in state.limits and serial in state.inverters)
        before_pct = state.limits[serial].limit_pct
        await dtu.set_limit(serial, 123.0, minimum_w=20.0, rated_w=None)
        await until(lambda: state.limits[serial].limit_pct != before_pct)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
