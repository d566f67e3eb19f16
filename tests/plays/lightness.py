"""Measures what the program takes of a GX, and for what: CPU against a bare loop, side by side in one run.

`make lightness` runs it for some minutes; `python -m tests.plays.lightness --seconds 60` for less. Each program is a
process of its own with everything on, beside simulated devices behind HTTP and what a GX has on its bus; the base asks
the same meter once a second and the same OpenDTU 1200 times an hour with nothing but aiohttp.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from opendtu_dcload.sim.runs.trace import DEFAULT_TRACE, load_trace
from tests.doubles.bus_client import system_python
from tests.doubles.devices import Devices, simulated
from tests.doubles.gx_services import BATTERY, BATTERY_VALUES, SYSTEM, SYSTEM_VALUES, Gx
from tests.doubles.localsettings_process import SettingsProcess
from tests.doubles.ports import free_port
from tests.doubles.until import until
from tests.plays.gx_stage import TRACE_FROM_S, bus_daemon

FEW, MANY = 3, 10
METER_EVERY_S, DTU_EVERY_S = 1.0, 3.0
SETTLED_S = 20.0
"""What a process takes to start is not counted."""
INVERTER_W = 400.0


async def bare(meter: str, dtu: str) -> None:
    """Ask a meter and an OpenDTU for ever, and do nothing with their answers."""
    async with aiohttp.ClientSession() as session:

        async def ask(url: str, every_s: float) -> None:
            while True:
                async with session.get(url) as answer:
                    await answer.json()
                await asyncio.sleep(every_s)

        async with asyncio.TaskGroup() as asking:
            asking.create_task(ask(f"http://{meter}/rpc/EM.GetStatus?id=0", METER_EVERY_S))
            asking.create_task(ask(f"http://{dtu}/api/limit/status", DTU_EVERY_S))


@dataclass(frozen=True)
class Kind:
    """What a program has to do."""

    inverters: int = FEW
    has_bus: bool = True
    has_page: bool = True


EVERYTHING, MANY_INVERTERS, NO_PAGE, NOTHING_SHOWN = (
    Kind(),
    Kind(MANY),
    Kind(has_page=False),
    Kind(has_bus=False, has_page=False),
)


def config(devices: Devices, bus: object, kind: Kind = EVERYTHING) -> str:
    """Return a config.toml with the usual intervals."""
    blocks = "".join(f'[[inverter]]\nserial = "{serial}"\nmin_power_w = 20\n' for serial in devices.serials)
    cap_w = INVERTER_W * len(devices.serials)
    return (
        f'[meter]\nhost = "{devices.meter.host}"\n[opendtu]\nhost = "{devices.opendtu.host}"\n'
        f'password = "s3cret-of-the-dtu"\n{blocks}[battery]\nmin_voltage_v = 40\n[control]\nmax_feed_in_w = {cap_w}\n'
        f"[web]\nenabled = {str(kind.has_page).lower()}\nport = {free_port()}\n"
        f'[dbus]\nenabled = {str(kind.has_bus).lower()}\nbus = "{bus}"\n'
    )


@contextlib.asynccontextmanager
async def plant(kind: Kind, folder: Path) -> AsyncIterator[tuple[Devices, Process]]:
    """Run a plant, and the program that regulates it beside a GX's services."""
    serials = [f"1124a00000{number:02}" for number in range(1, kind.inverters + 1)]
    with bus_daemon(folder) as daemon:
        async with simulated({"opendtu": serials}, poll_interval_s=5.0, latency_s=0.05) as devices:
            load_w = load_trace(DEFAULT_TRACE)[TRACE_FROM_S:]
            start_s = int(devices.clock() - devices.house.start_s)
            devices.house.load_w = [load_w[0]] * start_s + [w * kind.inverters / FEW for w in load_w]
            gx = Gx(daemon.address)
            for name, values in ((BATTERY, BATTERY_VALUES), (SYSTEM, SYSTEM_VALUES)):
                await gx.join(name, values)
            settings = SettingsProcess(system_python(), str(daemon.address), folder)
            settings.start()
            file = folder / "config.toml"
            file.write_text(config(devices, daemon.address, kind))
            file.chmod(0o600)
            program = await started("-m", "opendtu_dcload", "--config", str(file))
            try:
                await until(lambda: devices.dtu.counters.limits > 0)
                yield devices, program
            finally:
                program.terminate()
                await program.wait()
                settings.stop()
                await gx.end()


async def started(*arguments: str) -> Process:
    """Return a Python of its own."""
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=asyncio.subprocess.DEVNULL)


def cpu_s(process: Process) -> float:
    """Return what a process has used."""
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


async def measured(seconds: float) -> list[str]:
    """Return the table."""
    kinds = (EVERYTHING, MANY_INVERTERS, NO_PAGE, NOTHING_SHOWN)
    async with contextlib.AsyncExitStack() as parts:
        folders = [Path(parts.enter_context(tempfile.TemporaryDirectory())) for _ in kinds]
        plants = [await parts.enter_async_context(plant(*each)) for each in zip(kinds, folders, strict=True)]
        devices, _ = plants[0]
        base = await started("-m", "tests.plays.lightness", "--bare", devices.meter.host, devices.opendtu.host)
        parts.callback(base.terminate)
        await asyncio.sleep(SETTLED_S)
        processes = [base, *(program for _, program in plants)]
        before_s = [cpu_s(process) for process in processes]
        limits = [devices.dtu.counters.limits for devices, _ in plants]
        await asyncio.sleep(seconds)
        used_s = [cpu_s(process) - before for process, before in zip(processes, before_s, strict=True)]
        limits = [devices.dtu.counters.limits - before for (devices, _), before in zip(plants, limits, strict=True)]
    base_ms, few_ms, many_ms, pageless_ms, plain_ms = (1000 * used / seconds for used in used_s)
    few_per_h, many_per_h, *_ = (count * 3600 / seconds for count in limits)
    return [
        f"processor time in {seconds:.0f} s, side by side: ms for each second (10 ms are 1 % of a core)",
        f"bare loop      {base_ms:6.2f}",
        f"{FEW:2} inverters   {few_ms:6.2f}   {few_ms / base_ms:4.1f} x the bare loop, {few_per_h:.0f} limits/h",
        f"{MANY:2} inverters   {many_ms:6.2f}   {many_ms / few_ms:4.1f} x {FEW} inverters, {many_per_h:.0f} limits/h",
        f"What {FEW} inverters take it for:",
        f"asking and deciding {plain_ms:6.2f}   {plain_ms / base_ms:4.1f} x the bare loop",
        f"the D-Bus           {pageless_ms - plain_ms:6.2f}",
        f"the status page     {few_ms - pageless_ms:6.2f}",
    ]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.plays.lightness", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--bare", nargs=2, metavar=("METER", "DTU"), help="be the base")
    arguments = parser.parse_args()
    if arguments.bare:
        asyncio.run(bare(*arguments.bare))
    else:
        print("\n".join(asyncio.run(measured(arguments.seconds))))


if __name__ == "__main__":
    main()
