"""What `check` finds on a GX."""

from typing import Any

import pytest

from opendtu_dcload.check_gx import GxFinding, look_at_gx
from opendtu_dcload.config import Config, parse_config
from tests.settings import table

from .system_stand_in import BATTERY, GRID, GRID_VALUES, SETTINGS, gx


def config(daemon: Any, source: str = "shelly", **control: float) -> Config:
    wanted = table(dbus={"bus": str(daemon.address)}, control=control)
    return parse_config(wanted if source == "shelly" else {**wanted, "meter": {"source": source}})


BATTERY_FOUND = GxFinding("ok", f"battery of the GX: {BATTERY}, SoC 63 %")


@pytest.mark.parametrize(
    ("target_w", "level", "advice"),
    [
        (10, "problem", "set control.target_w above 50"),
        (50, "note", "ESS comes first"),
        (80, "note", "ESS comes first"),
    ],
)
async def test_ess_on_the_same_meter_is_told_and_a_target_below_its_own_is_a_problem(daemon, target_w, level, advice):
    async with gx(daemon.address):
        battery, ess = await look_at_gx(config(daemon, target_w=target_w))
    assert battery == BATTERY_FOUND
    assert ess.level == level
    assert f"ESS holds the grid at 50 W, this program at {target_w} W" in ess.text
    assert advice in ess.text


async def test_without_ess_nothing_is_said_of_it(daemon):
    async with gx(daemon.address) as stand_in:
        stand_in.set(SETTINGS, {"/Settings/CGwacs/Hub4Mode": 3})
        assert await look_at_gx(config(daemon)) == [BATTERY_FOUND]


async def test_the_meter_of_the_gx_is_read_or_missed(daemon):
    async with gx(daemon.address, battery=False, vebus=False) as stand_in:
        (missed,) = await look_at_gx(config(daemon, "gx"))
        assert missed == (
            "problem",
            "grid meter of the GX: com.victronenergy.system has no power now, look at it on the GX",
        )
        await stand_in.join(GRID, {**GRID_VALUES, "/Ac/Power": -88.0})
        assert await look_at_gx(config(daemon, "gx")) == [GxFinding("ok", f"grid 88 W export, read from {GRID}")]


async def test_a_bus_without_venus_os_or_no_bus_matters_only_where_the_meter_is_read_there(daemon):
    assert await look_at_gx(config(daemon)) == []
    daemon.stop()
    assert await look_at_gx(config(daemon)) == []
    (missed,) = await look_at_gx(config(daemon, "gx"))
    assert missed.level == "problem"
    assert missed.text.startswith('meter.source is "gx", but: no connection to unix:path=')
    assert await look_at_gx(parse_config(table(dbus={"enabled": False}))) == []
