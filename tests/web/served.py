"""The status page of a plant that stands still, served at a free port of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from opendtu_dcload.config import parse_config
from opendtu_dcload.control.bookkeeping.books import local_date
from opendtu_dcload.lasting import lasting
from opendtu_dcload.model import (
    Alarm,
    BatteryStatus,
    Cause,
    CommandState,
    DtuStatus,
    InverterPlan,
    InverterStatus,
    LimitStatus,
    MeterInfo,
    MeterReading,
    PhaseReading,
    Plan,
    Reason,
    Severity,
)
from opendtu_dcload.state import State
from opendtu_dcload.tallies import CommandRecord, Outcome, Today
from opendtu_dcload.venus.gx.gx_controls import Controls, controls_of
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.web.history.history import utc_now
from opendtu_dcload.web.serving import serving
from tests.doubles.clock import Clock
from tests.doubles.ports import free_port

SERIALS = ("1124a0000001", "1124a0000002")
TOKEN = "a-token-of-these-tests"
PASSWORD = "s3cret-of-the-dtu"
CAP_W = 800.0


@dataclass
class Served:
    """Use `served` to get it."""

    port: int
    state: State
    clock: Clock
    controls: Controls | None
    folder: Path
    session: aiohttp.ClientSession = field(repr=False)
    wall: list[timedelta]
    """How far the time of day is from the right one."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.session.get(self.url(path), headers=headers) as answer:
            return answer.status, await answer.text()

    async def document(self, path: str = "/api/state") -> Any:
        status, text = await self.get(path)
        assert status == 200, text
        return json.loads(text)

    async def put(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        async with self.session.put(self.url("/api/set-points"), data=body, headers=headers) as answer:
            return answer.status, await answer.text()

    async def raw(self, sent: bytes) -> bytes:
        """Send bytes on a connection of their own and return all that comes until it ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            writer.write(sent)
            await writer.drain()
            return await reader.read()
        return b""


def table(port: int, **web: Any) -> dict[str, Any]:
    """Return a configuration with two inverters."""
    return {
        "meter": {"host": "192.0.2.1"},
        "opendtu": {"host": "192.0.2.2", "password": PASSWORD},
        "inverter": [{"serial": SERIALS[0], "name": "Garage"}, {"serial": SERIALS[1]}],
        "battery": {"min_voltage_v": 40.0},
        "control": {"max_feed_in_w": CAP_W},
        "dbus": {"enabled": False},
        "web": {"port": port, "listen": "127.0.0.1", "token": TOKEN} | web,
    }


def fill(state: State, now_s: float) -> None:
    """Let everything be known now."""
    phase = PhaseReading(100.0)
    state.set_meter_info(MeterInfo(vendor="Shelly", model="Pro 3EM", serial="a0dd6c112233"))
    state.set_meter(MeterReading(now_s, 123.4, (phase, PhaseReading(23.4), None)))
    state.set_dtu("opendtu", DtuStatus(now_s, serials=frozenset(SERIALS)))
    state.set_inverters("opendtu", {serial: _status(serial, now_s) for serial in SERIALS})
    limits = {serial: LimitStatus(serial, now_s, 50.0, 400.0, CommandState.OK) for serial in SERIALS}
    state.set_limits("opendtu", limits)
    state.set_battery(BatteryStatus(now_s, "com.victronenergy.battery.ttyO1", 54.5, 52.31, -8.1, -423.0, 21.5))
    plans = tuple(InverterPlan(serial, 200.0, is_on=True) for serial in SERIALS)
    state.set_plan(Plan(now_s, 400.0, CAP_W, Reason.REGULATING, plans, wait="saves commands"))
    record = CommandRecord(3, 1, "limit 200 W", is_limit=True, outcome=Outcome.ACKNOWLEDGED, at_s=now_s - 5)
    state.set_commands({SERIALS[0]: record})
    state.set_alarms((Alarm(Cause.INVERTER_WARM, SERIALS[1], Severity.WARNING, "Inverter hot: HMS 2", now_s - 60),))
    state.set_today(Today(12.3, 45.6, 78.9, local_date()), 350.0)


def _status(serial: str, now_s: float) -> InverterStatus:
    return InverterStatus(
        serial, f"HMS {serial[-1]}", now_s, now_s, reachable=True, ac_power_w=198.2, dc_power_w=210.0,
        dc_voltage_v=52.1, dc_current_a=4.03, temperature_c=31.5, yield_total_wh=1234.0,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def served(
    folder: Path, *, is_dry: bool = False, plant: dict[str, Any] | None = None, **web: Any
) -> AsyncIterator[Served]:
    """Serve the page of a plant whose values never grow old unless the test moves the clock.

    `plant` has the sections of its configuration that are others than in `table`.
    """
    port, clock, state = free_port(), Clock(1000.0), State()
    config = parse_config(table(port, **web) | (plant or {}))
    controls = controls_of(config, state, LocalSettings(None, clock))
    fill(state, clock())
    async with contextlib.AsyncExitStack() as stack:
        wall = [timedelta(0)]
        at_end = stack.enter_context(contextlib.ExitStack())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        tasks = serving(config, state, controls, folder, clock, at_end, is_dry=is_dry, wall=lambda: utc_now() + wall[0])
        await stack.enter_async_context(lasting(tasks))
        served = Served(port, state, clock, controls, folder, session, wall)
        await _listening(port)
        yield served


async def _listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
