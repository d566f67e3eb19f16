"""Says that the service is well, to whoever supervises it: systemd's notification socket, or a file in RAM.

Well means that the control loop decides; whether the devices answer is another question. A service that is not well
ends itself, because most supervisors only restart what has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from opendtu_dcload.state import State

log = logging.getLogger(__name__)

HEALTH_FILE = "OPENDTU_DCLOAD_HEALTH"
"""Environment variable: the file, below /run so that nothing is written to flash."""
EVERY_S = 2.0
HANGS_AFTER_S = 20.0
"""How long the process may live without a sign of life; its end must come before systemd's watchdog (30 s)."""
ENDS_WITHIN_S = 10.0
"""How long leaving in good order may take, of which the inverters need up to 5 s; then the process is killed."""


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Where a sign of life goes: nowhere, to systemd (sd_notify(3)), into a file, or both."""

    socket_name: str
    every_s: float
    file: Path | None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Supervisor:
        """Return what the environment names. A watchdog is fed at least three times per `WATCHDOG_USEC`."""
        watchdog = environ.get("WATCHDOG_USEC", "")
        every_s = min(EVERY_S, int(watchdog) / 3e6) if watchdog.isdecimal() and int(watchdog) else EVERY_S
        file = environ.get(HEALTH_FILE)
        return cls(environ.get("NOTIFY_SOCKET", ""), every_s, Path(file) if file else None)

    def say(self, *, systemd: str, line: str) -> None:
        """Send the text to systemd and put the line into the file; a failure is logged, not raised."""
        try:
            if self.socket_name:
                # a name that begins with @ is in Linux' abstract namespace
                name = "\0" + self.socket_name[1:] if self.socket_name.startswith("@") else self.socket_name
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                    sender.setblocking(False)
                    sender.sendto(systemd.encode(), name)
            if self.file is not None:
                fresh = self.file.with_suffix(".new")
                fresh.write_text(line + "\n")
                fresh.replace(self.file)
        except OSError as err:
            log.debug("no sign of life: %s", err)


class Watchdog:
    """Ends this process when it is no longer fed, whatever it hangs in: a wait, a loop, or code without any Python.

    It begins with the first feeding. It first raises an exception, which leaves the event loop, so that the inverters
    are told; if that leads nowhere, it ends the process at once, from a thread that needs no Python.
    """

    def __init__(self) -> None:
        self._nowhere: IO[str] = open(os.devnull, "w")  # noqa: SIM115, PTH123  faulthandler writes into it at the very end
        signal.signal(signal.SIGALRM, self._end)

    def feed(self) -> None:
        """Let the process live on."""
        signal.setitimer(signal.ITIMER_REAL, HANGS_AFTER_S)
        self._end_at_once_in(HANGS_AFTER_S + ENDS_WITHIN_S)

    def let_leave(self) -> None:
        """Give the process a last time, to leave in good order."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._end_at_once_in(ENDS_WITHIN_S)

    def _end_at_once_in(self, time_s: float) -> None:
        faulthandler.dump_traceback_later(time_s, exit=True, file=self._nowhere)

    def _end(self, _: int, frame: FrameType | None) -> None:
        self.let_leave()
        where = f" in {Path(frame.f_code.co_filename).name}, line {frame.f_lineno}" if frame else ""
        log.error("nothing was decided for %.0f s: hangs%s, ends; please report this", HANGS_AFTER_S, where)
        raise SystemExit(1)


@contextlib.contextmanager
def announce_stop(supervisor: Supervisor, watchdog: Watchdog | None) -> Iterator[None]:
    """Tell at the end that the service is going, and take its sign of life away."""
    try:
        yield
    except SystemExit:
        log.debug("the watchdog's exception has left the event loop already")
    finally:
        if watchdog is not None:
            watchdog.let_leave()
        supervisor.say(systemd="STOPPING=1", line="stopping")
        if supervisor.file is not None:
            with contextlib.suppress(OSError):
                supervisor.file.unlink()


async def report_health(
    supervisor: Supervisor, state: State, version: str, clock: Callable[[], float], feed: Callable[[], None]
) -> None:
    """Give a sign of life every two seconds while the control loop decides, and `feed` the watchdog.

    The file's line: "ok", the machine's uptime in s (as `/proc/uptime` counts it), process id, version, reason.
    """
    while True:
        plan = state.plan_at(clock())
        if plan is not None:
            feed()
            text = f"{plan.words}, {plan.setpoint_w:.0f} W wanted"
            supervisor.say(
                systemd=f"READY=1\nWATCHDOG=1\nSTATUS={text}",
                line=f"ok {clock():.0f} {os.getpid()} {version} {text}",
            )
        await asyncio.sleep(supervisor.every_s)
