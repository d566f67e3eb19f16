"""A day of the service and of simulated devices as processes, over real HTTP and a real bus, in an hour or so.

Debian's libfaketime lets time pass faster for both: it multiplies the clocks and shortens what asyncio waits in epoll.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, Self

from opendtu_dcload.sim.demo.demo import config_text
from opendtu_dcload.sim.demo.demo_plant import METER_MAC, SERIALS
from opendtu_dcload.sim.runs.trace import DEFAULT_TRACE, load_trace
from tests.doubles.message_bus import Daemon
from tests.doubles.ports import free_port
from tests.program.process import on_bus
from tests.soak.books import OPEN_SHARE, apart, told_wrong
from tests.soak.growth import MOST, resident_kb
from tests.soak.month import BrokenPromiseError

HOUR_S = 3600.0
DAY_H = 24
SHOWN_WITHIN_S = 90.0
"""As in `books`; so long is looked at the house before what the devices and the bus show is compared with it."""
LOOKS = 10
HANDLES_MORE = 2
"""A look may fall into a request of its own connection."""
ENDS_WITHIN_S = 20.0
RAM = Path("/dev/shm")
LIBRARIES = "lib*/**/faketime/libfaketime.so.1"
SWITCH = "switch.opendtu_dcload"
ACLOAD = f"acload.shelly_{METER_MAC.lower()}"
MUST_NOT = re.compile(r"^(ERROR|CRITICAL)\b|Traceback \(most recent|never retrieved|never awaited")


def accelerated(factor: float) -> dict[str, str]:
    """Return the environment of a process for which time passes faster.

    Raises:
        BrokenPromiseError: libfaketime is not installed.
    """
    found = next(Path("/usr").glob(LIBRARIES), None)
    if found is None:
        raise BrokenPromiseError("libfaketime is missing: sudo apt-get install faketime")
    return {**os.environ, "LD_PRELOAD": str(found), "FAKETIME": f"+0 x{factor:g}", "PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of the service from outside."""

    memory_kb: int
    handles: int
    names: int
    paths: int
    written_bytes: int
    cpu_s: float

    def grown_since(self, first: Look) -> list[str]:
        """Return what is no longer as it was after the first hour, one sentence each."""
        wrong = []
        if self.memory_kb > MOST * first.memory_kb:
            wrong.append(f"{first.memory_kb} kB of memory after the first hour, {self.memory_kb} kB now")
        if self.handles > first.handles + HANDLES_MORE:
            wrong.append(f"{first.handles} file descriptors after the first hour, {self.handles} now")
        if (self.names, self.paths) != (first.names, first.paths):
            wrong.append(
                f"{first.names} names and {first.paths} paths on the bus before, {self.names}, {self.paths} now"
            )
        if self.written_bytes > first.written_bytes:
            wrong.append(f"{self.written_bytes - first.written_bytes} bytes written to disk")
        return wrong


class RealDay:
    """The processes; use it as a context manager."""

    def __init__(self, factor: float) -> None:
        self._environ = accelerated(factor)
        self._factor = factor
        self._load_w = load_trace(DEFAULT_TRACE)
        self._stack = contextlib.ExitStack()
        self._said: list[str] = []

    def __enter__(self) -> Self:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="opendtu-dcload-soak-")))
        daemon = Daemon(self.folder)
        self._stack.callback(daemon.stop)
        daemon.start()
        self.bus = str(daemon.address)
        module = "opendtu_dcload.sim.demo.demo_plant"
        self.plant = self._start("-m", module, "--trace", DEFAULT_TRACE, stdout=subprocess.PIPE)
        assert self.plant.stdout is not None
        self.hosts: Mapping[str, str] = json.loads(self.plant.stdout.readline())
        config = self.folder / "config.toml"
        text = config_text(self.hosts["meter"], self.hosts["dtu"], has_bus=True, page_port=free_port())
        config.write_text(text.replace('"session"', f'"{self.bus}"'))
        service = ("-m", "opendtu_dcload", "--config", str(config))
        self.service = self._start(*service, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        Thread(target=self._hear, daemon=True).start()
        self._files = self._written()
        return self

    def _hear(self) -> None:
        assert self.service.stderr is not None
        for line in self.service.stderr:
            self._said.append(line.decode(errors="replace"))

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, *arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, *arguments], cwd=self.folder, env=self._environ, **streams)
        self._stack.callback(self._end, process)
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        process.terminate()
        try:
            return process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    # What is seen of them ------------------------------------------------------------------------------------------

    def hours(self, count: int) -> Iterator[str]:
        """Play hours, and yield a line of each.

        Raises:
            BrokenPromiseError: at the first promise that is broken.
        """
        began_real_s = time.monotonic()
        first: Look | None = None
        begun = self._live()
        today_wh, midnights = 0.0, 0
        for hour in range(1, count + 1):
            while (live := self._live())["at_s"] < begun["at_s"] + hour * HOUR_S - SHOWN_WITHIN_S:
                self._sleep(SHOWN_WITHIN_S)
            balance, wrong = self._books(begun)
            before_wh, today_wh = today_wh, self._shown_wh(SWITCH, "/Health/ExportedToday")
            midnights += today_wh < before_wh
            look = self._look()
            if first is None:
                first, self._files = look, self._written()
            wrong += look.grown_since(first) + self._wrong()
            taken_s = time.monotonic() - began_real_s
            yield (
                f"hour {hour:2} | {balance} | {look.memory_kb / 1024:.1f} MB, {look.handles} descriptors, "
                f"{look.names} names and {look.paths} paths on the bus, {look.written_bytes} bytes written | "
                f"{live['limits']} limits, {today_wh:.0f} Wh exported today | "
                f"{100 * look.cpu_s / taken_s:.0f} % of a core after {taken_s / 60:.0f} min"
            )
            if wrong:
                raise BrokenPromiseError(f"hour {hour}: " + "; ".join(wrong))
        if count >= DAY_H and not midnights:
            raise BrokenPromiseError("what was exported today never began anew at midnight")
        if code := self._end(self.service):
            raise BrokenPromiseError(f"the service ends with {code} when it is told to")

    def _sleep(self, simulated_s: float) -> None:
        time.sleep(simulated_s / self._factor)

    def _live(self) -> dict[str, Any]:
        for name, process in (("service", self.service), ("plant", self.plant)):
            if process.poll() is not None:
                raise BrokenPromiseError(f"the {name} has ended with {process.returncode}: {''.join(self._said[-3:])}")
        return self._ask("backstage", "/_sim/live")

    def _ask(self, device: str, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{self.hosts[device]}{path}", timeout=10) as answer:
            return dict(json.load(answer))

    def _books(self, begun: Mapping[str, Any]) -> tuple[str, list[str]]:
        """Return what the books say, and which of them are open."""
        lives = []
        for _ in range(LOOKS):
            lives.append(self._live())
            self._sleep(SHOWN_WITHIN_S / LOOKS)
        now = lives[-1]
        load_wh = self._load_wh(now["at_s"]) - self._load_wh(begun["at_s"])
        grid_wh, inverters_wh = _net_wh(now) - _net_wh(begun), _yield_wh(now) - _yield_wh(begun)
        open_share = apart(load_wh, grid_wh + inverters_wh)
        wrong = [f"load and grid + inverters are {100 * open_share:.3f} % apart"] if open_share > OPEN_SHARE else []
        nets_wh, yields_wh = deque(map(_net_wh, lives)), deque(map(_yield_wh, lives))
        shelly = self._ask("meter", "/rpc/EMData.GetStatus?id=0")
        wrong += told_wrong("the Shelly counted", shelly["total_act"] - shelly["total_act_ret"], nets_wh)
        bought_wh, sold_wh = (self._shown_wh(ACLOAD, f"/Ac/Energy/{way}") for way in ("Forward", "Reverse"))
        wrong += told_wrong("the bus shows of the meter", bought_wh - sold_wh, nets_wh)
        shown_wh = sum(self._shown_wh(f"dcload.opendtu_{serial}", "/History/EnergyIn") for serial in SERIALS)
        wrong += told_wrong("the bus shows of the inverters", shown_wh, yields_wh)
        return (
            f"load {load_wh:.0f} Wh = grid {grid_wh:.0f} + inverters {inverters_wh:.0f}, open {100 * open_share:.4f} %"
        ), wrong

    def _load_wh(self, at_s: float) -> float:
        whole_s = int(at_s)
        return (sum(self._load_w[:whole_s]) + self._load_w[whole_s % len(self._load_w)] * (at_s - whole_s)) / 3600

    def _shown_wh(self, service: str, path: str) -> float:
        return 1000 * float(on_bus(self.bus, path, service).split()[-1])

    def _look(self) -> Look:
        pid = self.service.pid
        io = Path(f"/proc/{pid}/io").read_text()
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        found = re.search(r"^write_bytes: (\d+)", io, re.MULTILINE)
        assert found
        names = self._names()
        return Look(
            resident_kb(pid),
            len(list(Path(f"/proc/{pid}/fd").iterdir())),
            len(names),
            sum(on_bus(self.bus, "/", name.removeprefix("com.victronenergy.")).count("dict entry") for name in names),
            int(found[1]),
            sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
        )

    def _names(self) -> list[str]:
        argv = ["dbus-send", f"--bus={self.bus}", "--print-reply", "--dest=org.freedesktop.DBus", "/"]
        argv.append("org.freedesktop.DBus.ListNames")
        listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return sorted(set(re.findall(r'"(com\.victronenergy\..*?)"', listed)))

    def _wrong(self) -> list[str]:
        """Return what the service wrote, holds open to write to, or said and must not."""
        wrong = [f"its folder was written to: {changed}" for changed in sorted(self._written() ^ self._files)]
        for handle in Path(f"/proc/{self.service.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                is_file = stat.S_ISREG(handle.stat().st_mode) and RAM not in handle.readlink().parents
                flags = re.search(r"flags:\s+(\d+)", Path(f"/proc/{self.service.pid}/fdinfo/{handle.name}").read_text())
                if is_file and flags and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY:
                    wrong.append(f"it holds {handle.readlink()} open to write to")
        return wrong + [f"its log says: {line}" for line in self._said if MUST_NOT.search(line)]

    def _written(self) -> set[tuple[str, int, int]]:
        files = [file for file in self.folder.rglob("*") if file.is_file()]
        return {(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files}


def _net_wh(live: Mapping[str, Any]) -> float:
    return float(live["imported_wh"] - live["exported_wh"])


def _yield_wh(live: Mapping[str, Any]) -> float:
    return float(sum(live["yield_wh"].values()))
