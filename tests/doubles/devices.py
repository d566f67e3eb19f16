"""A simulated house with its devices behind real HTTP, and a configuration for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli

from opendtu_dcload.config import Config, parse_config
from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.servers.http_server import tick
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from tests.doubles.clock import Clock

SERIALS = ("1124a0000001", "1124a0000002")
PASSWORD = "s3cret-of-the-dtu"
MAC = "a0dd6c112233"
LOAD_W = 300.0
QUICK = "poll_interval_s = 1\n"


@dataclass
class Devices:
    """Use `simulated` to get them."""

    clock: Clock
    world: World
    dtus: list[OpenDtuServer]
    meter: Gen2Server
    serials: tuple[str, ...]
    dtu_settings: str = QUICK

    @property
    def house(self) -> House:
        return self.world.house

    @property
    def opendtu(self) -> OpenDtuServer:
        (server,) = self.dtus
        return server

    @property
    def dtu(self) -> SimDtu:
        return self.opendtu.dtu

    @property
    def limits_w(self) -> list[float]:
        """The limits that rule now."""
        return [inverter.limit_w for inverter in self.house.inverters.values()]

    @property
    def final_limits_w(self) -> list[float]:
        """The limits that will rule when all that was sent has arrived."""
        return [inverter.final_limit_w for inverter in self.house.inverters.values()]

    def text(
        self,
        *,
        meter: str = "",
        dtu: str = "",
        inverters: bool = True,
        floor_v: float = 40,
        control: str = "",
        more: str = "",
        bus: str = "",
        web: str = "enabled = false\n",
        has_shelly: bool = True,
        password: str = PASSWORD,
    ) -> str:
        """Return a config.toml; `more` are whole sections. The status page is off, for many tests run side by side."""
        several = len(self.dtus) > 1
        measured = f'host = "{self.meter.host}"' if has_shelly else 'source = "gx"'
        dtus = "".join(
            (f'[[opendtu]]\nname = "{server.dtu.name}"\n' if several else "[opendtu]\n")
            + f'host = "{server.host}"\npassword = "{password}"\n{self.dtu_settings}{dtu}'
            for server in self.dtus
        )
        blocks = "".join(
            f'[[inverter]]\nserial = "{serial}"\n'
            + (f'opendtu = "{self.world.dtu_of(serial).name}"\n' if several else "")
            + "min_power_w = 20\n"
            for serial in self.serials
        )
        return (
            f"[meter]\n{measured}\npoll_interval_s = 0.5\n{meter}{dtus}{blocks if inverters else ''}"
            f"[battery]\nmin_voltage_v = {floor_v}\n[control]\n{control}{more}[web]\n{web}[dbus]\n"
            + (f'bus = "{bus}"\n' if bus else "enabled = false\n")
        )

    def table(self, **changes: Any) -> dict[str, Any]:
        return tomli.loads(self.text(**changes))

    def parsed(self, **changes: Any) -> Config:
        return parse_config(self.table(**changes))

    def config(self, folder: Path, **changes: Any) -> Path:
        """Write a config.toml into the folder."""
        path = folder / "config.toml"
        path.write_text(self.text(**changes))
        return path


@contextlib.asynccontextmanager
async def simulated(
    dtus: Mapping[str, Sequence[str]] | None = None,
    *,
    clock: Clock | None = None,
    load_w: float = LOAD_W,
    limits_w: Sequence[float] = (),
    poll_interval_s: float = 1.0,
    password: str = PASSWORD,
    latency_s: float = 0.01,
    server: type[OpenDtuServer] = OpenDtuServer,
    **model: Any,
) -> AsyncIterator[Devices]:
    """Inverters of 400 W at DTUs of those names, told `limits_w`, in a house that draws `load_w` for ever.

    Time passes by itself unless the test has a clock that stands.
    """
    dtus = dtus or {"opendtu": SERIALS}
    serials = tuple(serial for part in dtus.values() for serial in part)
    models = [InverterModel(serial, f"HMS {serial[-1]}", **{"power_on_wait_s": 1.0} | model) for serial in serials]
    house = House([load_w], models, start_s=-400.0)
    world = World(
        house,
        [
            SimDtu(house, name=name, serials=part, poll_interval_s=poll_interval_s, loss=0.0)
            for name, part in dtus.items()
        ],
    )
    world.advance(-300.0)
    for serial, limit_w in zip(serials, limits_w, strict=False):
        world.dtu_of(serial).post_limit(serial, 0, limit_w)
    world.advance(0.0)
    clock = clock or Clock(runs=True)
    for dtu in world.dtus:
        dtu.counters.limits = 0
    servers = [server(dtu, clock, password=password, latency_s=latency_s) for dtu in world.dtus]
    meter = Gen2Server(world.dtus[0], clock, latency_s=latency_s)
    async with contextlib.AsyncExitStack() as stack:
        if clock.runs:
            await stack.enter_async_context(ticking(world, clock))
        for device in (*servers, meter):
            await stack.enter_async_context(device)
        yield Devices(clock, world, servers, meter, serials)


@contextlib.asynccontextmanager
async def ticking(plant: SimDtu | World, clock: Clock) -> AsyncIterator[None]:
    """Keep the plant moving through the body."""
    ticker = asyncio.create_task(tick(plant, clock))
    try:
        yield
    finally:
        ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticker
