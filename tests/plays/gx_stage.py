"""The stage of `gx_hours`: simulated devices, what a GX has on its bus, and the program as its own process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from asyncio.subprocess import Process
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dbus_next.message import Message

from opendtu_dcload.sim.demo.demo_plant import CAP_W, DTU_PASSWORD, LATENCY_S, MINIMUM_W, SERIALS, build
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.runs.trace import DEFAULT_TRACE, load_trace
from opendtu_dcload.sim.servers.http_server import Faults, tick
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from opendtu_dcload.venus.bus.bus_address import BusAddress
from opendtu_dcload.venus.bus.connection import connected
from tests.doubles.bus_client import CLIENT, Client, system_python
from tests.doubles.gx_services import (
    BATTERY_VALUES,
    GRID,
    SYSTEM,
    SYSTEM_VALUES,
    VEBUS,
    VEBUS_VALUES,
    Gx,
    SystemCalc,
    systemcalc,
)
from tests.doubles.localsettings_process import SettingsProcess
from tests.doubles.message_bus import Daemon
from tests.venus.services.alarm_on_bus import platform

PREFIX = "com.victronenergy"
MAC = "shelly_a0dd6c112233"
ACLOAD, AS_GRID = f"{PREFIX}.acload.{MAC}", f"{PREFIX}.grid.{MAC}"
SWITCH = f"{PREFIX}.switch.opendtu_dcload"
ALARM = f"{PREFIX}.digitalinput.opendtu_dcload"
DC_SYSTEM = f"{PREFIX}.dcsystem.opendtu"
INVERTERS = [f"{PREFIX}.dcload.opendtu_{serial}" for serial in SERIALS]
OURS = {ACLOAD, AS_GRID, SWITCH, ALARM, DC_SYSTEM, *INVERTERS}
PLATFORM = f"{PREFIX}.platform"
BATTERY = f"{PREFIX}.battery.socketcan_can0"
POLL_INTERVAL_S = 2.0
TRACE_FROM_S = 10 * 3600
"""The measured day from ten o'clock on: kettles, an oven, a washing machine."""
PLACES = "/Settings/Devices"


class Listener:
    """Hears every signal on the bus as a client of the GX does."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.moves: list[tuple[float, str, bool]] = []
        """(s, name, came) of each service that came or went."""
        self.sent: deque[tuple[float, str]] = deque(maxlen=50_000)
        self.shown: deque[tuple[float, str, str, Any]] = deque(maxlen=200_000)
        """(s, name, path, value) of each value that was signalled; None = invalid."""
        self._owners: dict[str, str] = {}

    async def run(self, address: BusAddress) -> None:
        rules = (
            "interface='com.victronenergy.BusItem'",
            f"sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0namespace='{PREFIX}'",
        )
        async with connected(address) as connection:
            await connection.follow_signals(rules, self._hear)
            await connection.wait_closed()

    def _hear(self, message: Message) -> None:
        now_s = time.monotonic()
        if message.member == "NameOwnerChanged":
            name, _, owner = message.body
            self.moves.append((now_s, name, bool(owner)))
            if owner:
                self.names.add(name)
                self._owners[owner] = name
            else:
                self.names.discard(name)
        elif message.member == "ItemsChanged" and message.signature == "a{sa{sv}}":
            name = self._owners.get(message.sender, message.sender)
            self.sent.append((now_s, name))
            for path, entry in message.body[0].items():
                if "Value" in entry:
                    value = entry["Value"].value
                    self.shown.append((now_s, name, path, None if value == [] else value))

    def moved(self, name: str, since_s: float) -> list[bool]:
        return [came for at_s, moved, came in self.moves if moved == name and at_s >= since_s]

    def told(self, name: str, path: str, since_s: float) -> list[Any]:
        return [value for at_s, n, p, value in self.shown if at_s >= since_s and (n, p) == (name, path)]

    def signals(self, since_s: float, until_s: float) -> Counter[str]:
        return Counter(name for at_s, name in self.sent if name in OURS and since_s <= at_s < until_s)


@dataclass
class Cost:
    """What the lives of the program cost together."""

    cpu_s: float = 0.0
    lived_s: float = 0.0
    rss_kb: list[tuple[int, int, float]] = field(default_factory=list)
    """(first, last, s) of each life: resident memory after half a minute and at its end, and how long it was."""
    highest_kb: int = 0

    async def follow(self, pid: int) -> None:
        """Look at a process until it is gone."""
        began_s, first_kb, last = time.monotonic(), 0, (0.0, 0, 0.0)
        with contextlib.suppress(OSError, IndexError):
            while True:
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # noqa: ASYNC240  no disk
                cpu_s = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
                rss_kb = int(stat[21]) * os.sysconf("SC_PAGE_SIZE") // 1024
                if rss_kb:  # a zombie has none
                    last = cpu_s, rss_kb, time.monotonic() - began_s
                    self.highest_kb = max(self.highest_kb, rss_kb)
                    if not first_kb and last[2] > 30:
                        first_kb = rss_kb
                elif stat[0] == "Z":
                    break
                await asyncio.sleep(0.5)
        self.cpu_s += last[0]
        self.lived_s += last[2]
        if first_kb:
            self.rss_kb.append((first_kb, last[1], last[2]))


@dataclass
class Stage:
    """Everything that runs, and what came of the promises."""

    folder: Path
    dtu: SimDtu
    opendtu: OpenDtuServer
    meter: Gen2Server
    daemon: Daemon
    client: Client
    localsettings: SettingsProcess
    gx: Gx
    system: SystemCalc
    listener: Listener
    parts: contextlib.AsyncExitStack
    began_s: float
    said: list[tuple[float, str]] = field(default_factory=list)
    cost: Cost = field(default_factory=Cost)
    kept: Counter[str] = field(default_factory=Counter)
    broken: dict[str, list[str]] = field(default_factory=dict)
    notifications: list[str] = field(default_factory=list)
    program: Process | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _platform: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    # Promises

    def promise(self, what: str, is_kept: bool, seen: object = "") -> None:
        """Note that something was promised, and whether it came so."""
        self.kept[what] += bool(is_kept)
        self.broken.setdefault(what, [])
        self.say(f"{'kept' if is_kept else 'NOT KEPT'}: {what}; {seen}")
        if not is_kept:
            self.broken[what].append(f"{self.now_s:.0f} s: {seen}")

    @property
    def now_s(self) -> float:
        return time.monotonic() - self.began_s

    def say(self, words: str) -> None:
        print(f"{self.now_s:6.0f} s  {words}", file=sys.stderr, flush=True)

    async def until(self, is_so: Callable[[], bool], within_s: float) -> float | None:
        """Return after how many seconds it is so, None when it is not in time."""
        began_s = time.monotonic()
        while not is_so():
            if time.monotonic() - began_s > within_s:
                return None
            await asyncio.sleep(0.05)
        return time.monotonic() - began_s

    async def until_shown(self, wanted: Mapping[tuple[str, str], object], within_s: float) -> dict[str, object]:
        """Wait until all is shown as wanted; return what is not in time."""
        began_s = time.monotonic()
        while True:
            wrong: dict[str, object] = {}
            for (name, path), value in wanted.items():
                if (shown := await self.shown(name, path)) != value:
                    wrong[f"{name} {path}"] = f"{shown}, not {value}"
            if not wrong or time.monotonic() - began_s > within_s:
                return wrong
            await asyncio.sleep(0.1)

    # The bus

    def has(self, *names: str) -> bool:
        return self.listener.names.issuperset(names)

    @property
    def meter_name(self) -> str:
        return AS_GRID if self.has(AS_GRID) else ACLOAD

    async def shown(self, name: str, path: str) -> Any:
        """Return a value; None = invalid, or not there."""
        async with self._asking:
            answer = await self.client.call(name, path, "GetValue")
        return None if "ok" not in answer or answer["ok"] == ["ai", []] else answer["ok"][1]

    async def items(self, name: str) -> dict[str, Any]:
        """Return all values of a service by path; of one that is not there none."""
        async with self._asking:
            answer = await self.client.call(name, "/", "GetItems")
        told = {path: entry["Value"] for path, entry in answer.get("ok", {}).items()}
        return {path: None if value == ["ai", []] else value[1] for path, value in told.items()}

    async def write(self, name: str, path: str, value: object) -> bool:
        """Write as a user of the GX; return whether it was taken."""
        kind = "s" if isinstance(value, str) else "i"
        async with self._asking:
            answer = await self.client.call(name, path, "SetValue", "v", [kind, value])
        return answer.get("ok") == ["i", 0]

    def setting(self, path: str) -> Any:
        return self.localsettings.values.get(f"/Settings/{path}")

    async def platform_comes(self) -> None:
        self.notifications = await self._platform.enter_async_context(platform(self.daemon))

    async def platform_leaves(self) -> None:
        await self._platform.aclose()

    # The program

    def config(self, *, meter: str = "", alarm_input: str = "auto") -> Path:
        path = self.folder / f"config-{alarm_input}{'-phase' if meter else ''}.toml"
        blocks = "".join(f'[[inverter]]\nserial = "{serial}"\nmin_power_w = {MINIMUM_W}\n' for serial in SERIALS)
        path.write_text(
            f'[meter]\nhost = "{self.meter.host}"\n{meter}[opendtu]\nhost = "{self.opendtu.host}"\n'
            f'password = "{DTU_PASSWORD}"\npoll_interval_s = {POLL_INTERVAL_S}\n{blocks}[battery]\nmin_voltage_v = 40\n'
            f"[control]\nmax_feed_in_w = {CAP_W}\n[web]\nenabled = false\n"
            f'[dbus]\nbus = "{self.daemon.address}"\nmeter_role = "grid"\n'
            f'allow_grid_role = true\nalarm_input = "{alarm_input}"\n'
        )
        path.chmod(0o600)
        return path

    async def spawn(self, config: Path, mark: str = "") -> Process:
        environ = {name: value for name, value in os.environ.items() if name != "DBUS_SESSION_BUS_ADDRESS"}
        argv = (sys.executable, "-m", "opendtu_dcload", "--config", str(config))
        process = await asyncio.create_subprocess_exec(*argv, stderr=subprocess.PIPE, env=environ)
        self._run(self._read(process, mark))
        return process

    async def start(self, config: Path | None = None) -> None:
        """Start the program; return when it has all its services."""
        self.program = await self.spawn(config or self.config())
        self._run(self.cost.follow(self.program.pid))
        program, wanted = self.program, {SWITCH, DC_SYSTEM, *INVERTERS}
        await self.until(lambda: self.has(self.meter_name, *wanted) or program.returncode is not None, 90)
        if not self.has(self.meter_name, *wanted):
            raise RuntimeError(f"the program has not come: {sorted(self.listener.names & OURS)}")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the program; return its exit status when its services have left too."""
        assert self.program is not None
        if self.program.returncode is None:
            self.program.send_signal(number)
        status = await asyncio.wait_for(self.program.wait(), 30)
        await self.until(lambda: not self.listener.names & OURS, 10)
        return status

    async def anew(self, config: Path | None = None) -> None:
        await self.stop()
        await self.start(config)

    def lines(self, since_s: float, *words: str) -> list[str]:
        return [line for at_s, line in self.said if at_s >= since_s and any(word in line for word in words)]

    async def _read(self, process: Process, mark: str) -> None:
        assert process.stderr
        async for raw in process.stderr:
            line = raw.decode(errors="replace").rstrip()
            self.said.append((time.monotonic(), line))
            self.say(f"{mark}{line}")

    def _run(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reset(self) -> None:
        """Bring everything back that a play may have taken away."""
        if self.program is not None and self.program.returncode is None:
            self.program.kill()
            await self.program.wait()
        for server in (self.opendtu, self.meter):
            server.faults = Faults()
            if not server.is_listening:
                await server.start()
        self.dtu.clock_set_after_s = 0.0
        self.localsettings.stop()
        self.localsettings.start()
        if GRID in self.gx._services:
            await self.gx.leave(GRID)
        if not self.has(PLATFORM):
            await self.platform_comes()
        await self.until(lambda: not self.listener.names & OURS, 10)
        await self.start()


@contextlib.contextmanager
def bus_daemon(folder: Path) -> Iterator[Daemon]:
    daemon = Daemon(folder)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


@contextlib.asynccontextmanager
async def bus_client(daemon: Daemon) -> AsyncIterator[Client]:
    process = await asyncio.create_subprocess_exec(
        system_python(), str(CLIENT), str(daemon.address), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    client = Client(process)

    async def forget() -> None:
        while True:
            await client.signals.get()

    tasks = [asyncio.create_task(client.read()), asyncio.create_task(forget())]
    await client.answer()
    try:
        yield client
    finally:
        process.kill()
        await process.wait()
        for task in tasks:
            task.cancel()


async def live(gx: Gx, dtu: SimDtu) -> None:
    """Let the battery show what the inverters draw from it."""
    while True:
        power_w = -dtu.house.dc_power_w - 120.0
        gx.set(BATTERY, {"/Dc/0/Power": power_w, "/Dc/0/Current": power_w / 52.4})
        await asyncio.sleep(1.0)


@contextlib.asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """Set everything up but the program."""
    dtu = build(load_trace(DEFAULT_TRACE)[TRACE_FROM_S:])
    dtu.poll_interval_s = POLL_INTERVAL_S
    began_s = time.monotonic()

    def clock() -> float:
        return time.monotonic() - began_s

    async with contextlib.AsyncExitStack() as parts:
        opendtu = await parts.enter_async_context(OpenDtuServer(dtu, clock, password=DTU_PASSWORD, latency_s=LATENCY_S))
        meter = await parts.enter_async_context(Gen2Server(dtu, clock, latency_s=LATENCY_S))
        daemon = parts.enter_context(bus_daemon(folder))
        client = await parts.enter_async_context(bus_client(daemon))
        listener, gx = Listener(), Gx(daemon.address)
        tasks = [asyncio.create_task(tick(dtu, clock)), asyncio.create_task(listener.run(daemon.address))]
        localsettings = SettingsProcess(system_python(), str(daemon.address), folder)
        parts.callback(localsettings.stop)
        localsettings.start()
        parts.push_async_callback(gx.end)
        await gx.join(BATTERY, BATTERY_VALUES)
        await gx.join(VEBUS, VEBUS_VALUES)
        followed = {"/Dc/Battery/BatteryService": BATTERY, "/ActiveBmsService": BATTERY}
        await gx.join(SYSTEM, {**SYSTEM_VALUES, **followed})
        tasks.append(asyncio.create_task(live(gx, dtu)))
        system = await parts.enter_async_context(systemcalc(daemon.address, interval_s=1.0))
        made = Stage(
            folder, dtu, opendtu, meter, daemon, client, localsettings, gx, system, listener, parts, began_s
        )  # fmt: skip
        try:
            await made.platform_comes()
            yield made
        finally:
            if made.program is not None and made.program.returncode is None:
                made.program.kill()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
