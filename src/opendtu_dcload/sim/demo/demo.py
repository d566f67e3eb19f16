"""The real controller against a simulated plant, everything in processes of its own, in real time.

A house plays a piece of a measured day. Between the controller and each device stands a front (see `front`) that can be
killed to make the device disappear, and started again. A private D-Bus stands for that of a GX.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import textwrap
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from opendtu_dcload.errors import ServiceError
from opendtu_dcload.sim.demo import demo_plant
from opendtu_dcload.sim.demo.child_processes import Line, child
from opendtu_dcload.sim.demo.demo_view import DemoView
from opendtu_dcload.sim.demo.verdict import in_words, verdict

TRACE = "ukdale_h1_2013-04-13"
WINDOW_START_S = 51800
"""Second of the measured day at which the demo begins."""
READY_TIMEOUT_S = 10.0
LINE_LATE_S = 2.5
MIN_VOLTAGE_V = 46.0

CONTROLLER = (sys.executable, "-m", "opendtu_dcload")

MAY_GO = {"meter front": "the meter", "dtu front": "OpenDTU", "bus": "the D-Bus"}
"""Parts that a user may take away and bring back while the demo runs."""

_WARNING = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b|Traceback \(most recent")


class DemoError(ServiceError):
    """A part of the demo does not start or does not stay."""


@dataclass(frozen=True, slots=True)
class Part:
    """A running process of the demo."""

    name: str
    process: Process
    argv: tuple[str, ...]


class Demo:
    """One run. `start` brings everything up inside the stack that it is given; leaving the stack ends it in order."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.view = DemoView()
        self._folder = folder
        self._stack = stack
        self.warnings = 0
        """Lines of level WARNING or above in the controller's log."""
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self.has_spoken = asyncio.Event()
        """Set with the controller's first line: before, it cannot be stopped in order."""
        self.backstage = ""
        """URL of the plant's own view of things."""
        self.page = ""
        """URL of the controller's status page."""
        self.bus: str | None = None
        """Address of the D-Bus; None = there is none."""
        self.parts: dict[str, Part] = {}

    async def start(self, bus: str, controller: Sequence[str]) -> None:
        """Start plant, fronts, bus and controller, in this order; they end in the opposite one.

        Raises:
            DemoError: one of them does not come up.
        """
        hosts = await self._start_plant()
        self.backstage = f"http://{hosts['backstage']}/_sim"
        meter = await self._start_front("meter", hosts["meter"])
        dtu = await self._start_front("dtu", hosts["dtu"], "--on-start", f"{self.backstage}/boot")
        self.bus = await self._start_bus() if bus == "auto" else bus if bus != "off" else None
        config = self._folder / "config.toml"
        port = _free_port()
        self.page = f"http://127.0.0.1:{port}/"
        text = config_text(meter, dtu, has_bus=self.bus is not None, page_port=port)
        config.write_text(text, encoding="utf-8")
        environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
        if self.bus is not None:
            environ["DBUS_SESSION_BUS_ADDRESS"] = self.bus
        argv = (*controller, "--config", str(config), "--live")
        await self._start("controller", argv, on_line=self._hear, environ=environ)

    def _hear(self, line: str) -> None:
        self._lines.put_nowait(line)
        self.has_spoken.set()

    async def _start(
        self, name: str, argv: tuple[str, ...], on_line: Line, environ: Mapping[str, str] | None = None
    ) -> Part:
        def on_stderr(line: str) -> None:
            self.warnings += name == "controller" and _WARNING.search(line) is not None
            self.view.log(f"[{name}] {line}")

        try:
            process = await self._stack.enter_async_context(child(argv, on_line, on_stderr, environ))
        except OSError as err:
            raise DemoError(f"{argv[0]} cannot be started: {err.strerror}; install it or mend its permissions") from err
        self.parts[name] = Part(name, process, argv)
        return self.parts[name]

    async def _start_and_hear(self, name: str, argv: tuple[str, ...]) -> str:
        """Start a process and return the first line it prints."""
        first: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def on_line(line: str) -> None:
            if not first.done():
                first.set_result(line)

        part = await self._start(name, argv, on_line)
        ended = asyncio.ensure_future(part.process.wait())
        await asyncio.wait((first, ended), timeout=READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not first.done():
            raise DemoError(f"the {name} does not come up: see its message above and start the demo again")
        return first.result()

    async def _start_plant(self) -> dict[str, str]:
        module = (sys.executable, "-m", "opendtu_dcload.sim.demo.demo_plant")
        line = await self._start_and_hear("plant", (*module, "--trace", TRACE, "--start", str(WINDOW_START_S)))
        return dict(json.loads(line))

    async def _start_front(self, device: str, to: str, *again: str) -> str:
        """Start a front on a free port and return its address.

        `Part.argv` brings it back at the same one, with the options `again`.
        """
        argv = (sys.executable, "-m", "opendtu_dcload.sim.servers.tcp_front", "--to", to, "--listen")
        name = f"{device} front"
        address = (await self._start_and_hear(name, (*argv, "127.0.0.1:0"))).split()[1]
        self.parts[name] = Part(name, self.parts[name].process, (*argv, address, *again))
        return address

    async def _start_bus(self) -> str | None:
        program = shutil.which("dbus-daemon")
        if program is None:
            print("dbus-daemon is not installed (apt-get install dbus): the demo goes on without D-Bus.", flush=True)
            return None
        address = f"unix:path={self._folder / 'bus'}"
        argv = (program, "--session", "--nofork", "--print-address", f"--address={address}")
        await self._start_and_hear("bus", argv)
        return address

    # While it runs -------------------------------------------------------------------------------------------------

    async def show(self, session: aiohttp.ClientSession) -> None:
        """Print the true load and the controller's own line each time the latter comes."""
        while True:
            try:
                line = await asyncio.wait_for(self._lines.get(), LINE_LATE_S)
            except TimeoutError:
                line = "(the controller is silent)"
            self.view.show(line, await fetch(session, f"{self.backstage}/live"))

    def explain(self) -> str:
        """Return what a user can do with the running demo."""
        pids = {name: part.process.pid for name, part in self.parts.items()}
        lines = [
            "A simulated house with three HMS-400 (400 W each) on a 48 V battery, an OpenDTU and a Shelly Pro 3EM.",
            (
                f"The cap max_feed_in_w is {demo_plant.CAP_W:.0f} W here, "
                "because the demo plant has three 400 W inverters."
            ),
            "Processes: " + ", ".join(f"{name} {pid}" for name, pid in pids.items()),
        ]
        for name, called in MAY_GO.items():
            if name in self.parts:
                lines += [
                    f"{f'Take {called} away:':22}kill {pids[name]}",
                    f"{'Bring it back:':22}{shlex.join(self.parts[name].argv)} &",
                ]
        lines.append(f"{'The status page:':22}{self.page}")
        lines.append(f"{'What really happens:':22}curl {self.backstage}/live")
        if self.bus is not None:
            names = (
                f"dcload.opendtu_{demo_plant.SERIALS[0]} /Dc/0/Power",
                f"acload.shelly_{demo_plant.METER_MAC.lower()} /Ac/Power",
            )
            lines.append("What a GX would see on its D-Bus:")
            lines += [
                f"  DBUS_SESSION_BUS_ADDRESS='{self.bus}' dbus-send --session --print-reply"
                f" --dest=com.victronenergy.{name} com.victronenergy.BusItem.GetValue"
                for name in names
            ]
        return "\n".join(lines)

    async def first_loss(self) -> str:
        """Wait until the controller or the plant ends by itself and return its name.

        The fronts and the bus may go: that is what they are there for.
        """
        waits = {
            asyncio.create_task(part.process.wait()): name for name, part in self.parts.items() if name not in MAY_GO
        }
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return waits[done.pop()]
        finally:
            for wait in waits:
                wait.cancel()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def config_text(meter: str, dtu: str, *, has_bus: bool, page_port: int) -> str:
    """Return the controller's configuration for the demo's plant."""
    sections = [
        f'[meter]\nhost = "{meter}"\n',
        f'[opendtu]\nhost = "{dtu}"\npassword = "{demo_plant.DTU_PASSWORD}"\n',
        f"poll_interval_s = {demo_plant.POLL_INTERVAL_S}\n",
        *(
            f'[[inverter]]\nserial = "{serial}"\nmin_power_w = {demo_plant.MINIMUM_W}\n'
            for serial in demo_plant.SERIALS
        ),
        f"[control]\ntarget_w = {demo_plant.TARGET_W}\nmax_feed_in_w = {demo_plant.CAP_W}\n",
        f"[battery]\nmin_voltage_v = {MIN_VOLTAGE_V}\n",
        f'[web]\nlisten = "127.0.0.1"\nport = {page_port}\n',
        '[dbus]\nbus = "session"\n' if has_bus else "[dbus]\nenabled = false\n",
    ]
    return "\n".join(sections)


async def fetch(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """Return a document of the plant's backstage.

    Raises:
        DemoError: it does not answer.
    """
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as response:
            return dict(await response.json())
    except (aiohttp.ClientError, TimeoutError) as err:
        raise DemoError("the simulated plant does not answer any more: start the demo again") from err


async def _play(duration_s: float | None, bus: str, controller: Sequence[str]) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="opendtu-dcload-demo-"))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        print("Starts a simulated house, its devices and the controller.", flush=True)
        demo = Demo(Path(folder), stack)
        await demo.start(bus, controller)
        print(demo.explain(), flush=True)
        lost = await _until_end(demo, session, stop, duration_s)
        if lost is not None:
            status = demo.parts[lost].process.returncode
            raise DemoError(f"the {lost} has ended by itself (exit status {status}): see its messages above")
        score = await fetch(session, f"{demo.backstage}/score")
    status = demo.parts["controller"].process.returncode
    if status != 0 and demo.has_spoken.is_set():
        raise DemoError(f"the controller did not stop orderly (exit status {status}): see its messages above")
    is_over = duration_s is not None and not stop.is_set()
    final = verdict(score, duration_s if is_over and duration_s else demo.view.played_s, demo.warnings)
    if demo.view.has_enough:
        demo.view.show_all()
        print(textwrap.fill(in_words(final), 80), demo.view.write_picture(), sep="\n", flush=True)
    if duration_s is None:
        return 0
    if not is_over:
        raise DemoError("interrupted before the duration was over: there is no score")
    print(json.dumps(final), flush=True)
    return 0 if final["ok"] else 1


async def _until_end(
    demo: Demo, session: aiohttp.ClientSession, stop: asyncio.Event, duration_s: float | None
) -> str | None:
    """Show what happens until the time is over or the user has seen enough; return the name of a part that is lost."""
    began = await fetch(session, f"{demo.backstage}/live")
    show = asyncio.create_task(demo.show(session))
    loss = asyncio.create_task(demo.first_loss())
    stopped = asyncio.create_task(stop.wait())
    tasks = (loss, stopped, show)
    begun = asyncio.create_task(demo.has_spoken.wait())
    left_s = None if duration_s is None else max(duration_s - began["at_s"], 0.0)
    try:
        done, _ = await asyncio.wait(tasks, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            await asyncio.wait((*tasks, begun), timeout=READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            done = {task for task in tasks if task.done()}
        if loss in done:
            return loss.result()
        if show in done:
            show.result()
        return None
    finally:
        for task in (*tasks, begun):
            task.cancel()
        await asyncio.gather(*tasks, begun, return_exceptions=True)


def run_demo(duration_s: float | None = None, bus: str = "auto", controller: Sequence[str] = CONTROLLER) -> int:
    """Run the demo until Ctrl-C or for a time and return the exit code.

    Args:
        duration_s: time in s after which it ends by itself and prints one line of JSON with the score; None = goes on.
        bus: `auto` starts a private dbus-daemon, `off` does without, anything else is the address of a running bus.
        controller: how the controller is started, without its options.
    """
    try:
        return asyncio.run(_play(duration_s, bus, controller))
    except DemoError as err:
        print(err, file=sys.stderr)
    return 1
