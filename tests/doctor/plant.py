"""A plant behind real HTTP whose time a test moves, and a configuration for it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli

from opendtu_dcload.config import Config, parse_config
from opendtu_dcload.doctor.findings import Finding, Findings, Level
from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from tests.doubles.clock import Clock

SERIALS = ("1124a0000001", "1124a0000002")
PASSWORD = "s3cret-of-the-dtu"
MAC = "a0dd6c112233"


def silent() -> Findings:
    return Findings(lambda _finding: None)


def of(findings: Findings, level: Level) -> list[Finding]:
    return [finding for finding in findings.found if finding.level is level]


def problems(findings: Findings) -> list[str]:
    return [f"{finding.text}: {finding.advice}" for finding in of(findings, Level.PROBLEM)]


def notes(findings: Findings) -> list[str]:
    return [f"{finding.text}: {finding.advice}" for finding in of(findings, Level.NOTE)]


@dataclass
class Plant:
    clock: Clock
    dtu: SimDtu
    opendtu: OpenDtuServer
    meter: Gen2Server
    serials: tuple[str, ...] = SERIALS

    def text(
        self,
        *,
        control: str = "",
        dtu: str = "",
        meter: str = "",
        bus: str = "",
        floor_v: float = 40,
        has_shelly: bool = True,
    ) -> str:
        blocks = "".join(f'[[inverter]]\nserial = "{serial}"\nmin_power_w = 20\n' for serial in self.serials)
        measured = f'host = "{self.meter.host}"' if has_shelly else 'source = "gx"'
        return (
            f"[meter]\n{measured}\npoll_interval_s = 0.5\n{meter}"
            f'[opendtu]\nhost = "{self.opendtu.host}"\npassword = "{PASSWORD}"\n{dtu}'
            f"{blocks}[battery]\nmin_voltage_v = {floor_v}\n[control]\n{control}[dbus]\n"
            + (f'bus = "{bus}"\n' if bus else "enabled = false\n")
        )

    def config(self, **changes: Any) -> Config:
        return parse_config(tomli.loads(self.text(**changes)))

    def file(self, folder: Path, **changes: Any) -> Path:
        path = folder / "config.toml"
        path.write_text(self.text(**changes))
        return path

    def limits_w(self) -> list[float]:
        return [inverter.final_limit_w for inverter in self.dtu.house.inverters.values()]


@contextlib.asynccontextmanager
async def plant(
    *,
    load_w: float = 700.0,
    limits_w: tuple[float, ...] = (100.0, 100.0),
    count: int = 2,
    poll_interval_s: float = 5.0,
    password: str = PASSWORD,
    **model: Any,
) -> AsyncIterator[Plant]:
    """Inverters of 400 W that have been told `limits_w`, in a house that draws `load_w` for ever."""
    serials = tuple(f"1124a00000{number:02d}" for number in range(1, count + 1))
    models = [InverterModel(serial, f"HMS {serial[-1]}", **model) for serial in serials]
    dtu = SimDtu(House([load_w], models, start_s=-400.0), poll_interval_s=poll_interval_s, loss=0.0)
    dtu.advance(-300.0)
    for serial, limit_w in zip(serials, limits_w, strict=False):
        dtu.post_limit(serial, 0, limit_w)
    dtu.advance(0.0)
    dtu.counters.limits = 0
    clock = Clock()
    opendtu = OpenDtuServer(dtu, clock, password=password, latency_s=0.0)
    meter = Gen2Server(dtu, clock, latency_s=0.0)
    async with opendtu, meter:
        yield Plant(clock, dtu, opendtu, meter, serials)
