"""What rules at the inverters after the program has gone, and what its log claims: the whole program, real HTTP."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path

import pytest
from aiohttp import web

from opendtu_dcload.sim.plant import sim_dtu
from opendtu_dcload.sim.servers.http_server import Faults, Handler
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from tests.doubles.devices import SERIALS, Devices, simulated
from tests.doubles.until import until
from tests.program.process import running

pytestmark = pytest.mark.realtime

MINIMUM_W = 20.0
MINIMA_W = [MINIMUM_W, MINIMUM_W]


class LateDtu(OpenDtuServer):
    """Executes each command so many seconds after it came, whether or not anybody still waits for the answer."""

    late_s: Iterator[float] = repeat(0.0)
    told: Sequence[tuple[str, float | None]] = ()
    """Serials and limits of the commands that have come, executed or not."""

    def is_late(self, late_s: Iterable[float]) -> None:
        self.late_s = iter(late_s)
        self.told = []

    @property
    def told_minimum(self) -> list[str]:
        """Serials of those told to go to the minimum, which at the loads of this file is told at the end only."""
        return [serial for serial, limit_w in self.told if limit_w == MINIMUM_W]

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "POST":
            return await super().respond(request, handler)
        values = json.loads(str((await request.post())["data"]))
        self.told = [*self.told, (values["serial"], values.get("limit_value"))]
        return await asyncio.shield(asyncio.create_task(self._execute(next(self.late_s), request, handler)))

    async def _execute(self, late_s: float, request: web.Request, handler: Handler) -> web.StreamResponse:
        await asyncio.sleep(late_s)
        self.dtu.advance(self.clock())
        response = await self._answer(request, handler, self.faults)
        response.force_close()
        return response


@pytest.fixture
async def plant(request: pytest.FixtureRequest) -> AsyncIterator[Devices]:
    """Two inverters, each on a DTU of its own or both on one."""
    names: list[str] = getattr(request, "param", ["opendtu"])
    parts = [SERIALS] if len(names) == 1 else [[serial] for serial in SERIALS]
    async with simulated(dict(zip(names, parts, strict=True)), server=LateDtu) as devices:
        yield devices


def late(plant: Devices, number: int = 0) -> LateDtu:
    server = plant.dtus[number]
    assert isinstance(server, LateDtu)
    return server


@pytest.fixture
def _quick_radio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be time for acknowledgements, though the radio may still be kept by a command just before the end."""
    monkeypatch.setattr(sim_dtu, "COMMAND_WINDOW_S", 0.5)


async def regulating(plant: Devices) -> None:
    await until(lambda: abs(plant.house.grid_w) < 30)
    await until(lambda: all(b.limit_state == "Ok" for dtu in plant.world.dtus for b in dtu.believed.values()))


async def stopped(program: asyncio.subprocess.Process, number: signal.Signals = signal.SIGTERM) -> str:
    """Stop the program; return the last line of its log."""
    program.send_signal(number)
    _, log = await program.communicate()
    assert program.returncode == 0, log.decode()
    assert b"Traceback" not in log
    return log.decode().splitlines()[-1]


async def settled(plant: Devices) -> None:
    """Wait until each command has been executed and acknowledged, and rules."""
    await asyncio.sleep(4.0)  # the latest that a DTU of this file executes a command
    await until(lambda: all(b.limit_state != "Pending" for dtu in plant.world.dtus for b in dtu.believed.values()))
    await asyncio.sleep(max(inverter.model.dead_time_s for inverter in plant.house.inverters.values()) + 1)


@pytest.mark.usefixtures("_quick_radio")
async def test_at_the_end_the_log_says_what_the_inverters_have_acknowledged(plant: Devices, tmp_path: Path) -> None:
    async with running("--config", plant.config(tmp_path)) as program:
        await regulating(plant)
        last = await stopped(program)
        await settled(plant)
        assert last.endswith(f"stopping, inverters told minimum: acknowledged by {SERIALS[0]}, {SERIALS[1]}")
        assert plant.limits_w == MINIMA_W


@pytest.mark.parametrize(("late_s", "number"), [(0.5, signal.SIGHUP), (1.5, signal.SIGINT), (3.0, signal.SIGTERM)])
async def test_a_raise_that_the_dtu_executes_late_does_not_rule_at_the_end(
    plant: Devices, tmp_path: Path, late_s: float, number: signal.Signals
) -> None:
    dtu = late(plant)
    async with running("--config", plant.config(tmp_path)) as program:
        await regulating(plant)
        dtu.is_late(chain([late_s], repeat(0.0)))
        plant.house.load_w = [700.0]
        await until(lambda: bool(dtu.told))
        last = await stopped(program, number)
    await settled(plant)
    assert plant.limits_w == MINIMA_W
    assert "uncertain" not in last
    assert dtu.max_in_flight == 1


async def test_a_dtu_that_executes_everything_late_is_not_said_to_have_taken_anything(
    plant: Devices, tmp_path: Path
) -> None:
    dtu = late(plant)
    async with running("--config", plant.config(tmp_path)) as program:
        await regulating(plant)
        dtu.is_late(repeat(3.0))
        plant.house.load_w = [700.0]
        await until(lambda: bool(dtu.told))
        last = await stopped(program)
    await settled(plant)
    assert plant.limits_w == MINIMA_W
    assert all(f"{serial} (the DTU did not answer in time)" in last.partition("uncertain")[2] for serial in SERIALS)


async def test_a_raise_that_still_waits_for_its_turn_is_not_sent_any_more(plant: Devices, tmp_path: Path) -> None:
    dtu = late(plant)
    async with running("--config", plant.config(tmp_path)) as program:
        await regulating(plant)
        dtu.is_late(repeat(0.0))
        dtu.faults = Faults(delay_s=60.0)  # a reading hangs, and the raise behind it
        await until(lambda: dtu.in_flight == 0)
        await until(lambda: dtu.in_flight > 0)
        plant.house.load_w = [700.0]
        await asyncio.sleep(2.0)
        dtu.faults = Faults()
        posted = len(dtu.posted)
        await stopped(program)
    assert [values["limit_value"] for _, values in dtu.posted[posted:]] == MINIMA_W


async def test_a_dtu_that_hangs_is_told_twice_and_is_uncertain(plant: Devices, tmp_path: Path) -> None:
    dtu = late(plant)
    async with running("--config", plant.config(tmp_path)) as program:
        await regulating(plant)
        dtu.is_late(repeat(3600.0))
        last = await stopped(program)
    assert dtu.told_minimum == [*SERIALS, *SERIALS]
    assert "WARNING" in last
    assert all(serial in last.partition("uncertain for")[2] for serial in SERIALS)
    assert "acknowledged" not in last


async def test_a_dtu_that_refuses_is_not_said_to_have_taken_anything(plant: Devices, tmp_path: Path) -> None:
    async with running("--config", plant.config(tmp_path)) as program:
        await regulating(plant)
        plant.dtus[0].password = "another"
        last = await stopped(program)
    assert all(serial in last.partition("not taken for")[2] for serial in SERIALS)
    assert "acknowledged" not in last


@pytest.mark.usefixtures("_quick_radio")
async def test_a_dtu_that_was_overloaded_just_before_is_told_all_the_same(plant: Devices, tmp_path: Path) -> None:
    dtu = late(plant)
    async with running("--config", plant.config(tmp_path)) as program:
        await regulating(plant)
        dtu.faults = Faults(status=429)
        plant.house.load_w = [700.0]
        dtu.is_late(repeat(0.0))
        await until(lambda: bool(dtu.told))
        await asyncio.sleep(0.5)
        dtu.faults = Faults()
        last = await stopped(program)
    await settled(plant)
    assert plant.limits_w == MINIMA_W
    assert "acknowledged by" in last


@pytest.mark.usefixtures("_quick_radio")
@pytest.mark.parametrize("plant", [["left", "right"]], indirect=True)
async def test_a_dtu_that_hangs_does_not_keep_the_other_one_from_being_told(plant: Devices, tmp_path: Path) -> None:
    left, right = late(plant, 0), late(plant, 1)
    async with running("--config", plant.config(tmp_path)) as program:
        await regulating(plant)
        left.is_late(repeat(3600.0))
        right.is_late(repeat(0.0))
        last = await stopped(program)
    assert right.told_minimum == [SERIALS[1]]
    assert f"acknowledged by {SERIALS[1]}; uncertain for {SERIALS[0]} (" in last
    assert plant.limits_w[1] == MINIMA_W[1]


async def test_switching_off_is_only_said_to_be_taken(plant: Devices, tmp_path: Path) -> None:
    async with running("--config", plant.config(tmp_path, control='on_stop = "off"\n')) as program:
        await regulating(plant)
        last = await stopped(program)
    assert f"told off: taken by the DTU, not yet acknowledged by {SERIALS[0]}, {SERIALS[1]}" in last
    await until(lambda: not any(inverter.is_on for inverter in plant.house.inverters.values()))


async def test_who_is_stopped_before_the_dtu_has_answered_tells_the_inverters_what_an_earlier_life_did_not(
    plant: Devices, tmp_path: Path
) -> None:
    dtu = late(plant)
    dtu.faults = Faults(delay_s=60.0)
    async with running("--config", plant.config(tmp_path)) as program:
        await until(lambda: dtu.in_flight > 0)
        dtu.faults = Faults()
        last = await stopped(program)
    await settled(plant)
    assert "stopping, inverters told minimum" in last
    assert plant.limits_w == MINIMA_W
