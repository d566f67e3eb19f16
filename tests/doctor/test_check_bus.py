"""What `check` finds on a real bus."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.config import Config, parse_config
from opendtu_dcload.doctor.checks.check_bus import check_bus
from opendtu_dcload.doctor.findings import Findings, Level
from opendtu_dcload.model import MeterInfo
from opendtu_dcload.venus.bus.connection import connected
from opendtu_dcload.venus.gx.service_watch import PREFIX
from tests.config.correct_config import table
from tests.doctor.told import notes, problems, silent
from tests.doubles.devices import MAC, SERIALS
from tests.doubles.message_bus import CONFIG, Daemon

METER = MeterInfo(vendor="Shelly", model="SPEM-003CEBEU", serial=MAC)


def config(daemon: Daemon, **dbus: Any) -> Config:
    return parse_config(table(dbus={"bus": str(daemon.address), **dbus}, inverter=[{"serial": SERIALS[0]}]))


@contextlib.asynccontextmanager
async def named(daemon: Daemon, *names: str) -> AsyncIterator[None]:
    async with connected(daemon.address) as connection:
        for name in names:
            await connection.request_name(f"{PREFIX}.{name}")
        yield


async def look(settings: Config) -> tuple[bool | None, Findings]:
    findings = silent()
    return await check_bus(settings, METER, findings), findings


async def test_on_a_gx_that_is_ready_everything_is_well(daemon: Daemon):
    async with named(daemon, "system", "settings", "acload.shelly_0123456789ab"):
        is_running, findings = await look(config(daemon))
    assert is_running is False
    assert {finding.level for finding in findings.found} == {Level.OK}
    assert len(findings.found) == 5


async def test_trying_for_a_name_leaves_the_bus_as_it_was(daemon: Daemon):
    await look(config(daemon))
    async with named(daemon, f"dcload.opendtu_{SERIALS[0]}"), connected(daemon.address) as connection:
        await connection.request_name(PREFIX)


async def test_a_bus_without_the_services_of_a_gx_is_noted(daemon: Daemon):
    _, findings = await look(config(daemon))
    assert problems(findings) == []
    assert [note.split()[0] for note in notes(findings)] == [f"{PREFIX}.system", f"{PREFIX}.settings"]


@pytest.mark.parametrize("name", [f"dcload.opendtu_{SERIALS[0]}", f"acload.shelly_{MAC}"])
async def test_our_own_service_is_recognised(daemon: Daemon, name: str):
    async with named(daemon, name):
        is_running, findings = await look(config(daemon))
    assert is_running is True
    assert any("runs already" in note and name in note for note in notes(findings))


@pytest.mark.parametrize("name", ["dcload.http_134", "acload.http_59"])
async def test_the_original_on_the_same_bus_is_a_problem(daemon: Daemon, name: str):
    async with named(daemon, name):
        _, findings = await look(config(daemon))
    assert f"original dbus-opendtu runs ({PREFIX}.{name})" in problems(findings)[0]


async def test_no_bus_is_a_problem_with_a_way_out(daemon: Daemon):
    daemon.stop()
    is_running, findings = await look(config(daemon))
    assert is_running is None
    assert "dbus.enabled = false" in problems(findings)[0]


async def test_a_bus_that_is_not_wanted_is_not_asked(daemon: Daemon):
    daemon.stop()
    is_running, findings = await look(config(daemon, enabled=False))
    assert is_running is None
    assert problems(findings) == []


async def test_a_policy_that_forbids_our_names_is_a_problem(daemon: Daemon):
    daemon.stop()
    forbidding = CONFIG.replace('<deny own="com.victronenergy.forbidden"/>', f'<deny own_prefix="{PREFIX}"/>')
    Path(daemon.address.path).with_name("bus.conf").write_text(forbidding.format(path=daemon.address.path))
    daemon.start()
    _, findings = await look(config(daemon))
    assert "/etc/dbus-1/system.d" in problems(findings)[0]
