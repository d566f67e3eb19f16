"""A fresh plant whose limits are above the cap, and where a step may go."""

from __future__ import annotations

from typing import Any

import pytest

from opendtu_dcload.doctor.findings import Findings, Level
from opendtu_dcload.doctor.step.step_answer import choose_limit
from opendtu_dcload.doctor.step.step_test import step_test
from opendtu_dcload.errors import ServiceError
from tests.doctor.plant import plant
from tests.doctor.stepped import UNIT, limits_posted_w
from tests.doctor.told import notes, of, problems, silent
from tests.doubles.devices import SERIALS, Devices

pytestmark = pytest.mark.realtime


# ---- a fresh plant, whose limits are above the cap ---------------------------------------------------------------


async def lowered(plant: Devices, sums_w: list[float | None], **changes: Any) -> Findings:
    findings = silent()
    await step_test(plant.parsed(**changes), findings, plant.clock, plant.clock.sleep, sums_w.append)
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
        assert devices.final_limits_w == [20.0, 20.0]
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
        assert devices.final_limits_w == [20.0, 10.0]
    async with plant(limits_w=(300.0, 100.0)) as devices:
        await lowered(devices, sums_w, control="max_feed_in_w = 400\n")
        assert devices.final_limits_w == [300.0, 100.0]
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
        config = devices.parsed(control="max_feed_in_w = 500\n")
        with pytest.raises(ServiceError):
            await step_test(config, silent(), devices.clock, devices.clock.sleep, disagree)
        assert limits_posted_w(devices) == []


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
