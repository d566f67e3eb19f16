"""A window played by real processes over HTTP on loopback, on a clock that Debian's faketime accelerates."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opendtu_dcload.sim.demo.child_processes import child
from tests.agreement.windows import Window

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
ON_DTU = ("on battery",)
"""Controllers that are a part of the OpenDTU, and need no process beside it."""
LATE_S = 0.1
"""Accelerated time. A plant of whose ticks more than one in a hundred is later had not the processor that it wants."""


class AgreementError(Exception):
    """A process has ended before its time."""


@dataclass(frozen=True, slots=True)
class Real:
    """What came of one run."""

    waste_wh: float
    commands: float
    meter_requests: int
    lag_p99_s: float
    """Accelerated time by which the plant's ticks of 0.1 s were late, all but the worst hundredth of them."""
    lag_max_s: float
    waited_pct: float
    """How long plant and controller together stood in the queue for a processor, in % of the run's real time."""

    @property
    def is_starved(self) -> bool:
        """Whether the machine was too busy for this run to mean anything."""
        return self.lag_p99_s > LATE_S


async def real_run(window: Window, controller: str, speed: float) -> Real:
    """Play a window and return what it cost.

    Raises:
        AgreementError: a process has ended by itself.
    """
    environ = {**os.environ, "PYTHONUNBUFFERED": "1", "LD_PRELOAD": str(FAKETIME), "FAKETIME": f"+0 x{speed:g}"}
    lines: asyncio.Queue[str] = asyncio.Queue()
    said: list[str] = []
    begun_s = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="agreement-"))
        module = (sys.executable, "-m", "tests.agreement.plant_process", window.name, controller)
        processes = [await stack.enter_async_context(child(module, lines.put_nowait, said.append, environ))]
        setup = await _next_line(lines, processes, said)
        if controller not in ON_DTU:
            argv = _controller(controller, setup, Path(folder))
            processes.append(await stack.enter_async_context(child(argv, said.append, said.append, environ)))
        values = json.loads(await _next_line(lines, processes, said))
        waited_s = sum(_waited_s(process.pid) for process in processes)
        waited_pct = 100 * waited_s / (time.monotonic() - begun_s)
    return Real(**values, waited_pct=waited_pct)


async def _next_line(lines: asyncio.Queue[str], processes: list[asyncio.subprocess.Process], said: list[str]) -> str:
    line = asyncio.create_task(lines.get(), name="the plant's next line")
    ends = [asyncio.create_task(process.wait(), name="a process ends") for process in processes]
    await asyncio.wait((line, *ends), return_when=asyncio.FIRST_COMPLETED)
    for task in (*ends, *([] if line.done() else [line])):
        task.cancel()
    if not line.done() or line.cancelled():
        raise AgreementError("a process has ended before its time: " + " | ".join(said[-20:]))
    return line.result()


def _waited_s(pid: int) -> float:
    """Return how long a process stood in the queue for a processor until now."""
    _, waited_ns, _ = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()
    return int(waited_ns) / 1e9


def _controller(name: str, setup: str, folder: Path) -> tuple[str, ...]:
    if name != "ours":
        return (sys.executable, "-m", "tests.agreement.peer_process", name, setup)
    config = folder / "config.toml"
    config.write_text(config_text(json.loads(setup)), encoding="utf-8")
    return (sys.executable, "-m", "opendtu_dcload", "--config", str(config))


def config_text(setup: Mapping[str, Any]) -> str:
    """Return the configuration that `bench` gives the service for the same plant."""
    units = setup["units"]
    cap_w = sum(unit["maximum_w"] for unit in units)
    dtus = {host: f"dtu{number}" for number, host in enumerate(dict.fromkeys(unit["dtu"] for unit in units))}
    return "\n".join(
        [
            f'[meter]\nhost = "{setup["meter"]}"',
            *(
                f'[[opendtu]]\nname = "{name}"\nhost = "{host}"\npassword = "{setup["password"]}"'
                for host, name in dtus.items()
            ),
            *(
                f'[[inverter]]\nserial = "{unit["serial"]}"\nopendtu = "{dtus[unit["dtu"]]}"\n'
                f"min_power_w = {unit['minimum_w']}"
                for unit in units
            ),
            f"[battery]\nmin_voltage_v = 40.0\n[control]\nmax_feed_in_w = {cap_w}\n",
            "[dbus]\nenabled = false\n[web]\nenabled = false\n",
        ]
    )
