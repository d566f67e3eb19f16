"""What the doctor finds on a GX, and how it uses the GX's own grid meter."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.config import Config, load_config, parse_config
from opendtu_dcload.doctor.checks.check import check
from opendtu_dcload.doctor.checks.check_gx import check_gx
from opendtu_dcload.doctor.findings import Finding, Level
from opendtu_dcload.doctor.init.first_config import FirstConfig, Given
from opendtu_dcload.doctor.search.meter_options import gx_option
from opendtu_dcload.doctor.step.step_test import step_test
from tests.config.correct_config import table
from tests.doctor.plant import plant
from tests.doctor.told import notes, of, problems, silent
from tests.doubles.clock import Clock
from tests.doubles.devices import PASSWORD, Devices
from tests.doubles.gx_services import BATTERY, GRID, GRID_VALUES, SETTINGS, Gx, gx
from tests.doubles.message_bus import Daemon


def config(daemon: Daemon, source: str = "shelly", **control: float) -> Config:
    wanted = table(dbus={"bus": str(daemon.address)}, control=control)
    return parse_config(wanted if source == "shelly" else {**wanted, "meter": {"source": source}})


async def found(settings: Config) -> list[Finding]:
    findings = silent()
    await check_gx(settings, findings)
    return findings.found


BATTERY_FOUND = Finding(Level.OK, f"battery of the GX: {BATTERY}, SoC 63 %")


@pytest.mark.parametrize(
    ("target_w", "level", "words"),
    [
        (10, Level.PROBLEM, "set control.target_w above 50"),
        (50, Level.NOTE, "ESS comes first"),
        (80, Level.NOTE, "ESS comes first"),
    ],
)
async def test_ess_on_the_same_meter_is_told_and_a_target_below_its_own_is_a_problem(
    daemon: Daemon, target_w: float, level: Level, words: str
):
    async with gx(daemon.address):
        battery, ess = await found(config(daemon, target_w=target_w))
    assert battery == BATTERY_FOUND
    assert ess.level is level
    assert f"ESS holds the grid at 50 W, this program at {target_w} W" in ess.text
    assert words in f"{ess.text} {ess.advice}"


async def test_without_ess_nothing_is_said_of_it(daemon: Daemon):
    async with gx(daemon.address) as stand_in:
        stand_in.set(SETTINGS, {"/Settings/CGwacs/Hub4Mode": 3})
        assert await found(config(daemon)) == [BATTERY_FOUND]


async def test_init_offers_the_grid_meter_of_the_gx_where_there_is_one(daemon: Daemon, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", str(daemon.address))
    assert await gx_option() is None
    async with gx(daemon.address, battery=False, vebus=False) as stand_in:
        assert await gx_option() is None
        await stand_in.join(GRID, {**GRID_VALUES, "/Ac/Power": -88.0})
        option = await gx_option()
    assert option is not None
    assert option.settings == {"source": "gx"}
    assert option.text == f"the grid meter of the GX ({GRID}): grid 88 W export"


async def test_the_meter_of_the_gx_is_read_or_missed(daemon: Daemon):
    async with gx(daemon.address, battery=False, vebus=False) as stand_in:
        assert await found(config(daemon, "gx")) == [
            Finding(
                Level.PROBLEM,
                "grid meter of the GX: com.victronenergy.system has no power now, look at it on the GX",
            )
        ]
        await stand_in.join(GRID, {**GRID_VALUES, "/Ac/Power": -88.0})
        assert await found(config(daemon, "gx")) == [Finding(Level.OK, f"grid 88 W export, read from {GRID}")]


async def test_a_bus_without_venus_os_or_no_bus_matters_only_where_the_meter_is_read_there(daemon: Daemon):
    assert await found(config(daemon)) == []
    daemon.stop()
    assert await found(config(daemon)) == []
    (missed,) = await found(config(daemon, "gx"))
    assert missed.level is Level.PROBLEM
    assert missed.text.startswith('meter.source is "gx", but: no connection to unix:path=')
    assert await found(parse_config(table(dbus={"enabled": False}))) == []


class Shown(Clock):
    """A clock whose sleep also lets the GX show what the house draws."""

    def __init__(self, stand_in: Gx, devices: Devices) -> None:
        super().__init__()
        self.stand_in = stand_in
        self.devices = devices

    async def sleep(self, duration_s: float) -> None:
        await super().sleep(duration_s)
        self.devices.dtu.advance(self.now_s)
        self.stand_in.set(GRID, {"/Ac/Power": self.devices.dtu.house.grid_w})


async def test_check_and_step_read_the_gxs_meter_where_there_is_no_shelly(daemon: Daemon):
    async with gx(daemon.address, battery=False, vebus=False) as stand_in, plant(count=1) as devices:
        await stand_in.join(GRID, GRID_VALUES)
        await devices.meter.stop()
        clock = Shown(stand_in, devices)
        devices.opendtu.clock = clock
        settings = devices.parsed(bus=str(daemon.address), has_shelly=False)
        findings = silent()
        await check(settings, findings, clock.sleep)
        await step_test(settings, findings, clock, clock.sleep)
        assert devices.final_limits_w == [100.0]
    assert problems(findings) == []
    told = [finding.text for finding in of(findings, Level.OK)]
    assert any(f"read from {GRID}" in text for text in told)
    assert "of a step of 200 W the meter shows" in told[-1]


@pytest.mark.parametrize("has_bus", [True, False])
async def test_init_takes_the_gxs_meter_instead_of_a_shelly(daemon: Daemon, monkeypatch: Any, has_bus: bool):
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", str(daemon.address) if has_bus else "unix:path=/nobody")
    answers = {"Battery": "40", "Admin password": PASSWORD}

    def ask(question: str) -> str:
        return next((answer for words, answer in answers.items() if question.startswith(words)), "")

    findings = silent()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.toml")
        async with gx(daemon.address) as stand_in, plant() as devices:
            await stand_in.join(GRID, GRID_VALUES)
            await FirstConfig(path, Given("gx", devices.opendtu.host), ask, ask, findings).write()
        written = await asyncio.to_thread(load_config, path)
    assert (written.meter.source, written.meter.host, written.dbus.enabled) == ("gx", "", True)
    told = [finding.text for finding in findings.found]
    assert any(f"grid 412 W import, read from {GRID}" in text for text in told) is has_bus
    assert any('meter.source is "gx", but' in text for text in problems(findings)) is not has_bus
    assert not any("dbus.enabled is set to false" in note for note in notes(findings))
