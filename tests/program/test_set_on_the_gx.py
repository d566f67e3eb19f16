"""The whole program beside a localsettings: what a user sets on the GX rules the simulated house, and is kept."""

from __future__ import annotations

import asyncio

import pytest

from opendtu_dcload.venus.gx import gx_control
from tests.doubles.bus_client import Client
from tests.doubles.devices import SERIALS
from tests.doubles.localsettings_process import SettingsProcess
from tests.doubles.until import until
from tests.program.in_process import METER, SWITCH, InProcess, shown, write

pytestmark = pytest.mark.realtime


async def test_each_control_rules_the_plant_and_outlives_the_program(
    plant: InProcess,
    client: Client,
    localsettings: SettingsProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gx_control, "QUIET_S", 0.05)
    monkeypatch.setattr(gx_control, "SWITCH_QUIET_S", 0.05)
    localsettings.start()
    async with plant.program():
        await until(lambda: plant.holds(10))
        assert await shown(client, SWITCH, "/PowerFeedInSoc") == 95
        await write(client, SWITCH, "/SwitchableOutput/target/Dimming", 180)
        await until(lambda: plant.holds(180))
        await write(client, METER, "/MaxFeedIn", 60)
        await until(lambda: sum(plant.limits_w) <= 60)
        await write(client, SWITCH, "/SwitchableOutput/max_feed_in/Dimming", 800)
        await write(client, SWITCH, f"/SwitchableOutput/opendtu_{SERIALS[0]}/State", 0)
        await until(lambda: plant.limits_w[0] == 0 and plant.holds(180))
        await write(client, SWITCH, "/SwitchableOutput/regulation/State", 0)
        await until(lambda: plant.limits_w == [0, 20])
        kept = {"GridTarget": 180, "Regulation": 0, f"Inverters/opendtu_{SERIALS[0]}": 0}
        await until(
            lambda: (
                kept.items()
                <= {
                    path.removeprefix("/Settings/OpenDtuDcload/"): v for path, v in localsettings.values.items()
                }.items()
            )
        )
    async with plant.program():
        while await shown(client, METER, "/Plan/Reason") != "switched off by the user":  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)
        assert plant.limits_w == [0, 20]
        await write(client, METER, "/Regulation", 1)
        await until(lambda: plant.holds(180))
        assert plant.limits_w[0] == 0
