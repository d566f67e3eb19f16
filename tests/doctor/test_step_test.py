"""`check --step` on the simulated devices behind real HTTP; their time moves only when the test program sleeps."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload import cli
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.doctor.findings import Findings, Level
from opendtu_dcload.doctor.step_answer import StepAnswer, answer_of, choose_limit, verdict
from opendtu_dcload.doctor.step_test import step_test
from opendtu_dcload.errors import ServiceError
from opendtu_dcload.sim.plant.house import InverterModel
from opendtu_dcload.sim.servers.http_server import Faults
from tests.doctor.plant import SERIALS, Plant, notes, of, plant, problems, silent
from tests.doctor.terminal import at_terminal
from tests.doctor.test_check_bus import config as on_bus
from tests.doctor.test_check_bus import named
from tests.venus.conftest import Daemon

pytestmark = pytest.mark.realtime

UNIT = InverterParameters(SERIALS[0], 20.0, 400.0, 400.0, dead_time_s=2, credit_s=8, raise_spacing_s=5, refresh_s=210)


async def stepped(plant: Plant, **changes: Any) -> Findings:
    findings = silent()
    await step_test(plant.config(**changes), findings, plant.clock, plant.clock.sleep)
    return findings


def limits_posted_w(plant: Plant) -> list[tuple[str, float]]:
    return [(fields["serial"], fields["limit_value"]) for path, fields in plant.opendtu.posted]


# ---- what is found ----------------------------------------------------------------------------------------------


async def test_a_sound_plant_answers_and_is_left_as_it_was_found():
    async with plant(limits_w=(100.0, 300.0)) as devices:
        findings = await stepped(devices)
        assert limits_posted_w(devices) == [
            (SERIALS[0], 300.0),
            (SERIALS[0], 100.0),
            (SERIALS[1], 100.0),
            (SERIALS[1], 300.0),
        ]
        assert devices.limits_w() == [100.0, 300.0]
        counters = devices.dtu.counters
    assert counters.persistent == counters.raised_or_repeated_while_pending == 0
    assert len(of(findings, Level.OK)) == len(findings.found) == 2
    for finding in findings.found:
        match = re.search(r"dead time ([\d.]+) s and ([\d.]+) s, .* gain ([\d.]+)", finding.text)
        assert match is not None, finding.text
        # the radio's 0.15 s, the inverter's 2 s +- 30 %, and the meter's mean of the last second, read each half second
        assert all(1.5 <= float(match[side]) <= 4.5 for side in (1, 2))
        assert float(match[3]) == pytest.approx(0.985, abs=0.08)


async def test_a_meter_with_the_wrong_sign_is_found():
    async with plant() as devices:
        devices.meter.meter.sign = -1
        findings = await stepped(devices)
    assert len(problems(findings)) == 2
    assert all("sign is reversed: set meter.invert" in problem for problem in problems(findings))


async def test_a_meter_in_front_of_the_inverters_is_found():
    async with plant() as devices:
        devices.meter.meter.sees_inverters = False
        findings = await stepped(devices)
    assert len(problems(findings)) == 2
    assert all("does not see this inverter" in problem for problem in problems(findings))
    assert all("the meter shows 0%" in problem for problem in problems(findings))


async def test_a_meter_on_another_phase_is_found():
    async with plant() as devices:
        findings = await stepped(devices, meter='channel = "b"\n')
    assert all("meter.channel" in problem for problem in problems(findings))
    assert len(problems(findings)) == 2


async def test_inputs_that_are_not_connected_are_noted():
    async with plant(limits_w=(380.0, 20.0), inputs=2, connected_inputs=1) as devices:
        findings = await stepped(devices)
    assert problems(findings) == []
    assert all("DC inputs" in note for note in notes(findings))
    assert len(notes(findings)) == 2


class Panel(InverterModel):
    """An inverter on a panel that gives 90 W, whatever its limit."""

    def steady_w(self, limit_w: float) -> float:
        return min(limit_w, 90.0)


async def test_an_inverter_that_does_not_follow_is_not_blamed_on_the_meter():
    async with plant(limits_w=(380.0,), count=1) as devices:
        devices.dtu.house.inverters[SERIALS[0]].model = Panel(SERIALS[0], "roof")
        devices.clock.now_s = 30.0
        findings = await stepped(devices)
        devices.dtu.advance(devices.clock.now_s + 30)
        assert devices.limits_w() == [380.0]
    (problem,) = problems(findings)
    assert "did not follow its limit from 380 to 180 W: it gave 90 W before and 90 W after" in problem


async def test_the_house_of_a_kettle_is_too_restless():
    async with plant() as devices:
        devices.dtu.house.load_w = [500.0, 1500.0] * 3000
        findings = await stepped(devices)
        assert limits_posted_w(devices) == []
    assert all("too restless" in problem for problem in problems(findings))


# ---- what is refused --------------------------------------------------------------------------------------------


def limits_are_forgotten(plant: Plant) -> None:
    plant.dtu.boot()
    plant.clock.now_s = 20.0


def inverters_are_off(plant: Plant) -> None:
    for serial in SERIALS:
        plant.dtu.house.inverters[serial].receive_power(0.0, on=False)
    plant.clock.now_s = 20.0


def inverters_are_gone(plant: Plant) -> None:
    for serial in SERIALS:
        plant.dtu.house.inverters[serial].set_dc(0.0, on=False)
    plant.clock.now_s = 100.0


def password_is_wrong(plant: Plant) -> None:
    plant.opendtu.password = "another"


def clock_is_not_set(plant: Plant) -> None:
    plant.dtu.clock_set_after_s = 1e6


@pytest.mark.parametrize(
    ("spoil", "changes", "expected"),
    [
        (lambda _: None, {"floor_v": 60}, "is below battery.min_voltage_v = 60"),
        (lambda _: None, {"control": "max_feed_in_w = 150\n"}, "more than control.max_feed_in_w = 150"),
        (lambda _: None, {"control": "max_feed_in_w = 210\n"}, ""),
        (limits_are_forgotten, {}, "does not know its rated power or its limit"),
        (inverters_are_off, {}, "gives no power"),
        (inverters_are_gone, {}, "no fresh values"),
        (password_is_wrong, {}, "opendtu.password"),
        (clock_is_not_set, {}, "no fresh values"),
    ],
)
async def test_what_must_not_be_tested_is_refused_and_nothing_is_set(
    spoil: Any, changes: dict[str, Any], expected: str
):
    async with plant() as devices:
        spoil(devices)
        findings = await stepped(devices, **changes)
        posted = limits_posted_w(devices)
    if expected:
        assert posted == []
        assert len(problems(findings)) == 2
        assert all(expected in problem for problem in problems(findings))
    else:
        assert sorted({limit_w for _, limit_w in posted}) == [20.0, 100.0]


async def test_a_service_that_runs_is_not_disturbed(bus: Daemon):
    findings = silent()
    async with named(bus, f"dcload.opendtu_{SERIALS[0]}"):
        await step_test(on_bus(bus), findings, lambda: 0.0, asyncio.sleep)
    (problem,) = problems(findings)
    assert "the service runs" in problem


async def test_without_an_inverter_there_is_nothing_to_test():
    async with plant() as devices:
        devices.serials = ()
        findings = await stepped(devices)
    assert "no inverter is listed" in problems(findings)[0]


async def test_another_controller_ends_the_test_and_keeps_its_limit_no_longer_than_ours():
    async with plant() as devices:

        async def sleep(duration_s: float) -> None:
            await devices.clock.sleep(duration_s)
            if len(devices.opendtu.posted) == 1 and devices.dtu.believed[SERIALS[0]].limit_pct == 75:
                devices.dtu.post_limit(SERIALS[0], 0, 250.0)

        findings = silent()
        devices.serials = SERIALS[:1]
        await step_test(devices.config(), findings, devices.clock, sleep)
        assert limits_posted_w(devices)[-1] == (SERIALS[0], 100.0)
    assert "another controller sets the limit" in problems(findings)[0]


@pytest.mark.parametrize("leg", [1, 2], ids=["there", "back"])
@pytest.mark.parametrize("after_s", [1.0, 4.0, 7.0])
async def test_somebody_who_levels_out_the_step_with_another_inverter_is_not_taken_for_a_blind_meter(
    leg: int, after_s: float
):
    async with plant(limits_w=(100.0, 300.0)) as devices:
        posted_at_s: list[float] = []

        async def sleep(duration_s: float) -> None:
            await devices.clock.sleep(duration_s)
            if len(devices.opendtu.posted) == leg and not posted_at_s:
                posted_at_s.append(devices.clock.now_s)
            if len(posted_at_s) == 1 and devices.clock.now_s >= posted_at_s[0] + after_s:
                posted_at_s.append(devices.clock.now_s)
                devices.dtu.post_limit(SERIALS[1], 0, 100.0 if leg == 1 else 300.0)

        devices.dtu.post_limit(SERIALS[1], 0, 300.0 if leg == 1 else 100.0)
        devices.dtu.advance(10.0)
        devices.clock.now_s = 10.0
        findings = silent()
        await step_test(devices.config(), findings, devices.clock, sleep)
        devices.dtu.advance(devices.clock.now_s + 30)
        assert devices.limits_w()[0] == 100.0
    assert "another controller sets" in problems(findings)[0]
    assert not any("does not see" in problem or "reversed" in problem for problem in problems(findings))


# ---- a fresh plant, whose limits are above the cap ---------------------------------------------------------------


async def lowered(plant: Plant, sums_w: list[float | None], **changes: Any) -> Findings:
    findings = silent()
    await step_test(plant.config(**changes), findings, plant.clock, plant.clock.sleep, sums_w.append)
    return findings


async def test_limits_above_the_cap_are_lowered_first_after_asking():
    sums_w: list[float | None] = []
    async with plant(limits_w=(400.0, 400.0)) as devices:
        findings = await lowered(devices, sums_w, control="max_feed_in_w = 500\n")
        assert limits_posted_w(devices) == [
            (SERIALS[0], 20.0),
            (SERIALS[1], 20.0),
            (SERIALS[0], 220.0),
            (SERIALS[0], 20.0),
            (SERIALS[1], 220.0),
            (SERIALS[1], 20.0),
        ]
        assert devices.limits_w() == [20.0, 20.0]
        counters = devices.dtu.counters
    assert sums_w == [800.0]
    assert counters.persistent == counters.raised_or_repeated_while_pending == 0
    assert notes(findings) == [
        f"inverter {serial} is set to its minimum of 20 W, which it keeps: " for serial in SERIALS
    ]
    assert len(of(findings, Level.OK)) == 2


async def test_an_inverter_that_is_low_already_is_not_raised_and_none_is_lowered_below_the_cap():
    sums_w: list[float | None] = []
    async with plant(limits_w=(400.0, 10.0)) as devices:
        await lowered(devices, sums_w, control="max_feed_in_w = 300\n")
        assert limits_posted_w(devices)[:1] == [(SERIALS[0], 20.0)]
        assert devices.limits_w() == [20.0, 10.0]
    async with plant(limits_w=(300.0, 100.0)) as devices:
        await lowered(devices, sums_w, control="max_feed_in_w = 400\n")
        assert devices.limits_w() == [300.0, 100.0]
    assert sums_w == [410.0, None]


async def test_an_inverter_that_does_not_take_its_minimum_ends_it_before_any_step():
    async with plant(limits_w=(400.0, 400.0)) as devices:
        devices.dtu.commands_enabled = False
        findings = await lowered(devices, [], control="max_feed_in_w = 500\n")
        assert limits_posted_w(devices) == [(SERIALS[0], 20.0)]
    assert ["did not take the limit of 20 W" in problem for problem in problems(findings)] == [True]


async def test_who_does_not_agree_finds_everything_as_it_was():
    def disagree(_: float | None) -> None:
        raise ServiceError("nothing was set")

    async with plant(limits_w=(400.0, 400.0)) as devices:
        config = devices.config(control="max_feed_in_w = 500\n")
        with pytest.raises(ServiceError):
            await step_test(config, silent(), devices.clock, devices.clock.sleep, disagree)
        assert limits_posted_w(devices) == []


# ---- it is set back whatever happens ----------------------------------------------------------------------------


@pytest.mark.parametrize("after_s", [0.0, 0.5, 2.5, 4.0, 6.0])
@pytest.mark.parametrize("home_w", [100.0, 300.0], ids=["up", "down"])
async def test_interrupted_at_any_time_it_is_set_back(home_w: float, after_s: float):
    async with plant(limits_w=(home_w, 20.0)) as devices:
        posted_at_s: float | None = None

        async def sleep(duration_s: float) -> None:
            nonlocal posted_at_s
            await devices.clock.sleep(duration_s)
            if devices.opendtu.posted and posted_at_s is None:
                posted_at_s = devices.clock.now_s
            if posted_at_s is not None and devices.clock.now_s >= posted_at_s + after_s:
                posted_at_s = 1e9
                raise asyncio.CancelledError

        findings = silent()
        with pytest.raises(asyncio.CancelledError):
            await step_test(devices.config(), findings, devices.clock, sleep)
        devices.dtu.advance(devices.clock.now_s + 30)
        assert devices.limits_w() == [home_w, 20.0]
        assert devices.dtu.counters.raised_or_repeated_while_pending == 0
    assert any(f"set back to {home_w:.0f} W" in note for note in notes(findings))


async def test_a_meter_that_falls_silent_ends_the_test_and_it_is_set_back():
    async with plant() as devices:

        async def sleep(duration_s: float) -> None:
            await devices.clock.sleep(duration_s)
            if devices.opendtu.posted and devices.meter.is_listening:
                await devices.meter.stop()

        devices.serials = SERIALS[:1]
        findings = silent()
        config = devices.config()
        await step_test(config, findings, devices.clock, sleep)
        devices.dtu.advance(devices.clock.now_s + 30)
        assert devices.limits_w()[0] == 100.0
    assert "meter.host" in problems(findings)[0]


async def test_a_dtu_that_swallows_commands_is_told():
    async with plant() as devices:
        devices.dtu.commands_enabled = False
        findings = await stepped(devices)
    assert all("did not take the limit" in problem for problem in problems(findings))


async def test_a_dtu_that_falls_silent_for_seconds_is_asked_again_to_set_back():
    async with plant() as devices:
        silent_until_s: float | None = None

        async def sleep(duration_s: float) -> None:
            nonlocal silent_until_s
            await devices.clock.sleep(duration_s)
            if devices.opendtu.posted and silent_until_s is None:
                silent_until_s = devices.clock.now_s + 5
                devices.opendtu.faults = Faults(drop=True)
            elif silent_until_s is not None and devices.clock.now_s >= silent_until_s:
                devices.opendtu.faults = Faults()

        devices.serials = SERIALS[:1]
        findings = silent()
        await step_test(devices.config(), findings, devices.clock, sleep)
        devices.dtu.advance(devices.clock.now_s + 30)
        assert devices.limits_w()[0] == 100.0
    assert any("set back to 100 W" in note for note in notes(findings))


async def test_a_dtu_that_stays_silent_leaves_the_rest_to_the_user():
    async with plant() as devices:

        async def sleep(duration_s: float) -> None:
            await devices.clock.sleep(duration_s)
            if devices.opendtu.posted:
                devices.opendtu.faults = Faults(drop=True)

        devices.serials = SERIALS[:1]
        findings = silent()
        await step_test(devices.config(), findings, devices.clock, sleep)
    assert "could not be set back to 100 W" in problems(findings)[0]
    assert "set it in OpenDTU" in problems(findings)[0]


# ---- pure -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("home_w", "room_w", "expected"),
    [
        (400.0, 0.0, 200.0),
        (180.0, 500.0, 20.0),
        (100.0, 500.0, 300.0),
        (100.0, 160.0, 260.0),
        (120.0, 90.0, 20.0),
        (90.0, 100.0, 190.0),
        (20.0, 79.0, None),
        (99.0, 0.0, None),
    ],
)
def test_step_goes_down_where_it_can_and_never_above_the_cap(home_w: float, room_w: float, expected: float | None):
    assert choose_limit(home_w, UNIT, room_w) == expected


def test_delay_is_measured_between_readings():
    readings = [(10.0 + second, 500.0 if second < 4 else 300.0) for second in range(1, 9)]
    answer = answer_of(500.0, readings, 10.0, 200.0, UNIT)
    assert answer.share == 1.0
    assert answer.half_s == pytest.approx(3.5)
    assert answer.dead_time_s == pytest.approx(3.5 - 1.0)  # 200 W at 25 % of 400 W per second: half after 1 s


def answer(share: float) -> StepAnswer:
    return StepAnswer(200.0, share, 3.0, 2.0)


@pytest.mark.parametrize(
    ("there", "back", "level", "words"),
    [
        (0.98, 1.0, Level.OK, "gain 0.99"),
        (0.5, 0.5, Level.NOTE, "DC inputs"),
        (1.6, 1.5, Level.NOTE, "repeat"),
        (0.0, 0.1, Level.PROBLEM, "does not see"),
        (-1.0, -0.9, Level.PROBLEM, "reversed"),
        (1.6, 0.4, Level.NOTE, "moved too much"),
        (-1.0, 1.0, Level.NOTE, "moved too much"),
    ],
)
def test_step_and_way_back_are_judged_together(there: float, back: float, level: Level, words: str):
    found = verdict("inverter", answer(there), answer(back))
    assert found.level is level
    assert words in f"{found.text}: {found.advice}"


# ---- the command ------------------------------------------------------------------------------------------------


def test_without_a_terminal_it_asks_for_yes_and_sets_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "config.toml"
    path.write_text('[meter]\nhost = "127.0.0.1:1"\n[opendtu]\nhost = "127.0.0.1:1"\n')
    assert cli.main(["check", "--step", "--config", str(path)]) == 2
    assert "--yes" in capsys.readouterr().err


PROGRAM = """
import sys
from opendtu_dcload import cli
from opendtu_dcload.doctor import check, step_test
check.WATCHED_S, step_test.TAIL_S = 0, float(sys.argv[1])
sys.exit(cli.main(sys.argv[2:]))
"""
HASTE = 5
"""So much quicker than a clock the plant moves."""


@contextlib.asynccontextmanager
async def moving(plant: Plant) -> AsyncIterator[None]:
    async def move() -> None:
        while True:
            await plant.clock.sleep(0.02 * HASTE)
            plant.dtu.advance(plant.clock.now_s)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(move())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_at_a_terminal_it_says_that_limits_above_the_cap_are_lowered_and_takes_a_german_no_and_yes(
    tmp_path: Path,
):
    question = "Nothing else may command them meanwhile. Go on? [y/N]"
    async with plant(count=1, limits_w=(400.0,)) as devices, moving(devices):
        path = devices.file(tmp_path, control="max_feed_in_w = 300\n")
        arguments = ("0.6", "check", "--step", "--config", path)
        async with at_terminal(*arguments, program=PROGRAM) as terminal:
            await terminal.hear("Their limits allow 400 W together, more than control.max_feed_in_w = 300")
            await terminal.answer(question, "vielleicht", "nein")
            assert await terminal.end() == 1
            assert '"vielleicht" is neither yes nor no' in terminal.said
            assert "nothing was set" in terminal.said
            assert devices.opendtu.posted == []
        async with at_terminal(*arguments, program=PROGRAM) as terminal:
            await terminal.answer(question, "ja")
            assert await terminal.end() == 0
            assert "ok       inverter 1124a0000001: of a step of 200 W the meter shows" in terminal.said
        assert devices.limits_w() == [20.0]


async def test_ctrl_d_and_a_closed_terminal_at_the_question_set_nothing(tmp_path: Path):
    async with plant(count=1) as devices, moving(devices):
        async with at_terminal(
            "0.6", "check", "--step", "--config", devices.file(tmp_path), program=PROGRAM
        ) as terminal:
            await terminal.hear("Go on? [y/N]")
            terminal.type(b"\x04")
            assert await terminal.end() == 1
            assert "Traceback" not in terminal.said
        assert devices.opendtu.posted == []


async def test_without_a_bus_the_service_on_this_machine_is_seen_and_not_disturbed(tmp_path: Path):
    async with plant(count=1) as devices, moving(devices):
        path = devices.file(tmp_path)
        service = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "opendtu_dcload", "--config", str(path), stderr=PIPE
        )
        while not devices.opendtu.posted:  # noqa: ASYNC110  another process brings it about
            await asyncio.sleep(0.02)
        process = await start(devices, tmp_path)
        out, err = await process.communicate()
        service.terminate()
        _, log = await service.communicate()
    assert (process.returncode, err) == (1, b"")
    assert b"problem  the service runs (on this machine), so no step was made: stop it" in out
    assert b"note     this program runs already (on this machine): do not start it twice" in out
    assert b"another controller sets limits" not in out
    assert b"another controller" not in log


async def start(plant: Plant, folder: Path, *, tail_s: float = 0.6) -> asyncio.subprocess.Process:
    arguments = (str(tail_s), "check", "--step", "--yes", "--config", str(plant.file(folder)))
    return await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, *arguments, stdout=PIPE, stderr=PIPE)


async def test_the_command_makes_the_step_and_says_what_it_found(tmp_path: Path):
    async with plant(count=1) as devices, moving(devices):
        process = await start(devices, tmp_path)
        out, err = await process.communicate()
        assert devices.limits_w() == [100.0]
    assert (process.returncode, err) == (0, b"")
    assert b"ok       inverter 1124a0000001: of a step of 200 W the meter shows" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
async def test_a_signal_ends_the_command_with_the_inverter_set_back(tmp_path: Path, number: signal.Signals):
    async with plant(count=1) as devices, moving(devices):
        process = await start(devices, tmp_path, tail_s=30.0)  # or it may be over before the signal
        while process.returncode is None and not devices.opendtu.posted:  # noqa: ASYNC110  another process does it
            await asyncio.sleep(0.02)
        process.send_signal(number)
        out, err = await process.communicate()
        devices.dtu.advance(devices.clock.now_s + 30)
        assert devices.limits_w() == [100.0]
    assert process.returncode == 1
    assert b"set back to 100 W" in out
    assert b"Traceback" not in err
