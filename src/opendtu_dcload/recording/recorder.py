"""A controller that writes down what it sees, is told and decides.

A recording is a text of JSON lines. The first one tells the plant, its settings and the start; each further one has a
single key, which says what happened. `seen`, `settings` and `decided` tell only what changed since the last of their
kind. Times are in s since shortly before the start.
"""

from __future__ import annotations

import json
import logging
import math
import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from opendtu_dcload import __version__
from opendtu_dcload.control.commands.command_policy import Command, Reboot
from opendtu_dcload.control.controller import Controller
from opendtu_dcload.control.decision import Decision, Seen
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.recording.disguise import Disguise
from opendtu_dcload.recording.forms import Form, Json, Kind
from opendtu_dcload.recording.patch import changes
from opendtu_dcload.recording.recorded_fields import (
    COMMAND,
    DECIDED,
    LEFT,
    MARK,
    REBOOTED,
    SEEN,
    SENT,
    SETTINGS,
    START,
    UNIT,
    VERSION,
    Left,
    Sent,
    Start,
)

log = logging.getLogger(__name__)


class Sink(Protocol):
    """Where the lines go; once it is closed nothing more is written."""

    @property
    def closed(self) -> bool:
        """Whether it takes no more."""

    def write(self, text: str, /) -> int:
        """Take a text."""

    def close(self) -> None:
        """Take no more."""


class RecordedController(Controller):
    """Decides as ever; what cannot be written ends the recording and nothing else."""

    def __init__(self, sink: Sink, settings: Settings, units: Sequence[InverterParameters], now_s: float) -> None:
        """Write the first line to `sink`."""
        super().__init__(settings, units, now_s)
        self._recorder = _Recorder(sink, Start(now_s, settings, units))

    def decide(self, seen: Seen) -> Decision:
        """Decide once."""
        self._recorder.write_changes("settings", SETTINGS, self.settings)
        self._recorder.write_changes("seen", SEEN, seen)
        decision = super().decide(seen)
        self._recorder.write_changes("decided", DECIDED, decision)
        return decision

    def posted(self, command: Command, now_s: float) -> None:
        """Note that a command is being sent."""
        self._recorder.write("posted", SENT, Sent(command, now_s))
        super().posted(command, now_s)

    def taken(self, command: Command, now_s: float) -> None:
        """Note that the POST of a command is over."""
        self._recorder.write("taken", SENT, Sent(command, now_s))
        super().taken(command, now_s)

    def refused(self, command: Command, now_s: float) -> None:
        """Note that the DTU declined a command."""
        self._recorder.write("refused", SENT, Sent(command, now_s))
        super().refused(command, now_s)

    def failed(self, command: Command) -> None:
        """Note that nobody knows whether a command arrived."""
        self._recorder.write("failed", COMMAND, command)
        super().failed(command)

    def rebooted(self, reboot: Reboot, now_s: float) -> None:
        """Note that a DTU is being rebooted."""
        self._recorder.write("rebooted", REBOOTED, Sent(reboot, now_s))
        super().rebooted(reboot, now_s)

    def set_unit(self, unit: InverterParameters) -> None:
        """Replace what is known of an inverter."""
        self._recorder.write("unit", UNIT, unit)
        super().set_unit(unit)

    def leave(self, *, off: bool, asked: bool) -> list[Command]:
        """Return what each inverter is told when the program ends, because it is `asked` to or because it fails."""
        commands = super().leave(off=off, asked=asked)
        self._recorder.write("left", LEFT, Left(off, asked, commands))
        return commands


class _Recorder:
    """Writes lines until it cannot."""

    def __init__(self, sink: Sink, start: Start) -> None:
        self._sink = sink
        self._disguise = Disguise(start.units, float(math.floor(start.now_s)))
        self._before: dict[str, Mapping[str, Json]] = {}
        self._write(MARK, lambda: self._begin(start))

    def write(self, what: str, kind: Kind, value: object) -> None:
        """Write what happened."""
        self._write(what, lambda: kind.write(value, self._disguise))

    def write_changes(self, what: str, form: Form, value: object) -> None:
        """Write what changed; settings only when something did."""

        def patch() -> Json | None:
            now = form.write(value, self._disguise)
            before, self._before[what] = self._before.get(what, {}), now
            return changes(before, now) or (None if what == "settings" else {})

        self._write(what, patch)

    def _begin(self, start: Start) -> Json:
        told = START.write(start, self._disguise)
        self._before["settings"] = told["settings"]
        of_program = {"program": __version__, "python": platform.python_version(), "machine": platform.machine()}
        return {"version": VERSION, **of_program, "origin_s": self._disguise.origin_s, **told}

    def _write(self, what: str, make: Callable[[], Json | None]) -> None:
        if self._sink.closed:
            return
        try:
            if (told := make()) is not None:
                self._sink.write(json.dumps({what: told}, allow_nan=False, separators=(",", ":")) + "\n")
        except Exception as err:  # whatever the mistake is, it is one of the recording and must not end the regulation
            log.warning("the recording ends, regulation goes on: %r", err)
            self._sink.close()
