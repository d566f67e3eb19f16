"""`check --step` on the simulated devices behind real HTTP; their time moves only when the test program sleeps."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from opendtu_dcload.doctor.findings import Level
from opendtu_dcload.doctor.step.step_test import step_test
from opendtu_dcload.sim.plant.house import InverterModel
from opendtu_dcload.sim.servers.http_server import Faults
from tests.doctor.plant import plant
from tests.doctor.stepped import limits_posted_w, stepped
from tests.doctor.test_check_bus import config as on_bus
from tests.doctor.test_check_bus import named
from tests.doctor.told import notes, of, problems, silent
from tests.doubles.devices import SERIALS, Devices
from tests.doubles.message_bus import Daemon

pytestmark = pytest.mark.realtime


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
        assert devices.final_limits_w == [100.0, 300.0]
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
        assert devices.final_limits_w == [380.0]
    (problem,) = problems(findings)
    assert "did not follow its limit from 380 to 180 W: it gave 90 W before and 90 W after" in problem


async def test_the_house_of_a_kettle_is_too_restless():
    async with plant() as devices:
        devices.dtu.house.load_w = [500.0, 1500.0] * 3000
        findings = await stepped(devices)
        assert limits_posted_w(devices) == []
    assert all("too restless" in problem for problem in problems(findings))


# ---- what is refused --------------------------------------------------------------------------------------------


def limits_are_forgotten(plant: Devices) -> None:
    plant.dtu.boot()
    plant.clock.now_s = 20.0


def inverters_are_off(plant: Devices) -> None:
    for serial in SERIALS:
        plant.dtu.house.inverters[serial].receive_power(0.0, on=False)
    plant.clock.now_s = 20.0


def inverters_are_gone(plant: Devices) -> None:
    for serial in SERIALS:
        plant.dtu.house.inverters[serial].set_dc(0.0, on=False)
    plant.clock.now_s = 100.0


def password_is_wrong(plant: Devices) -> None:
    plant.opendtu.password = "another"


def clock_is_not_set(plant: Devices) -> None:
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


async def test_a_service_that_runs_is_not_disturbed(daemon: Daemon):
    findings = silent()
    async with named(daemon, f"dcload.opendtu_{SERIALS[0]}"):
        await step_test(on_bus(daemon), findings, lambda: 0.0, asyncio.sleep)
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
        await step_test(devices.parsed(), findings, devices.clock, sleep)
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
        await step_test(devices.parsed(), findings, devices.clock, sleep)
        devices.dtu.advance(devices.clock.now_s + 30)
        assert devices.final_limits_w[0] == 100.0
    assert "another controller sets" in problems(findings)[0]
    assert not any("does not see" in problem or "reversed" in problem for problem in problems(findings))


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
            await step_test(devices.parsed(), findings, devices.clock, sleep)
        devices.dtu.advance(devices.clock.now_s + 30)
        assert devices.final_limits_w == [home_w, 20.0]
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
        config = devices.parsed()
        await step_test(config, findings, devices.clock, sleep)
        devices.dtu.advance(devices.clock.now_s + 30)
        assert devices.final_limits_w[0] == 100.0
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
        await step_test(devices.parsed(), findings, devices.clock, sleep)
        devices.dtu.advance(devices.clock.now_s + 30)
        assert devices.final_limits_w[0] == 100.0
    assert any("set back to 100 W" in note for note in notes(findings))


async def test_a_dtu_that_stays_silent_leaves_the_rest_to_the_user():
    async with plant() as devices:

        async def sleep(duration_s: float) -> None:
            await devices.clock.sleep(duration_s)
            if devices.opendtu.posted:
                devices.opendtu.faults = Faults(drop=True)

        devices.serials = SERIALS[:1]
        findings = silent()
        await step_test(devices.parsed(), findings, devices.clock, sleep)
    assert "could not be set back to 100 W" in problems(findings)[0]
    assert "set it in OpenDTU" in problems(findings)[0]
