"""Decides a recording again, and tells where the decisions differ from those of then."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from opendtu_dcload.control.commands.command_policy import Command
from opendtu_dcload.control.controller import Controller
from opendtu_dcload.control.decision import Decision, Seen
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.devices import json_fields
from opendtu_dcload.errors import ConfigError
from opendtu_dcload.recording.disguise import Disguise
from opendtu_dcload.recording.forms import NUMBER, OBJECT, WHOLE, Json, fields_of, under
from opendtu_dcload.recording.patch import patched
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
    Start,
)

Told = TypeVar("Told", Command, InverterParameters)

MakeController = Callable[[Settings, Sequence[InverterParameters], float], Controller]

MOST_SHOWN = 20
DIFFERENT = 1
SAME = 1e-6
"""The last digits of an exponential function are those of the machine's C library."""
LONGEST_FILE = 200_000_000
"""Bytes of a recording, unpacked; none of ours is longer than a tenth of it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One part of a decision that is another one now."""

    at_s: float
    """In s since shortly before the recording's start."""
    what: str
    then: Json
    now: Json

    def __str__(self) -> str:
        return f"{self.at_s:10.2f} s  {self.what}: {json.dumps(self.then)} -> {json.dumps(self.now)}"


@dataclass(slots=True)
class Outcome:
    """What came of deciding a recording again."""

    decisions: int = 0
    different: int = 0
    """Decisions that are others now."""
    differences: list[Difference] = field(default_factory=list)


def replay(path: Path, make_controller: MakeController = Controller) -> Outcome:
    """Decide a recording again.

    What was sent then is told to the controller, whatever it decides now: each decision is compared by itself. A
    recorded controller makes a new recording of it, with the decisions of now.

    Raises:
        ConfigError: the file is no recording, or it is damaged, or newer than this program.
    """
    lines = enumerate(_lines(path), start=1)
    again: _Again | None = None
    for number, line in lines:
        try:
            what, document = _parsed(line)
            if again is None:
                again = _Again(_start(what, document), make_controller)
                continue
            act = again.event(what, document)
        except _NewerError as err:
            raise ConfigError([f"{path} {err}"]) from None
        except ValueError as err:
            raise ConfigError([_damaged(path, number, err)]) from None
        if not again.do(act):
            break
    if again is None or not (again.outcome.decisions or again.outcome.differences):
        raise ConfigError([f"{path} has no decision in it; name a recording, see log.record"])
    return again.outcome


def seen_in(path: Path) -> Iterator[Seen]:
    """Yield what the controller of a recording saw, without deciding anything.

    Raises:
        ConfigError: as `replay`.
    """
    origin_s: float | None = None
    now: Mapping[str, Json] = {}
    for number, line in enumerate(_lines(path), start=1):
        try:
            what, document = _parsed(line)
            if origin_s is None:
                _, origin_s = _start(what, document)
                continue
            if what != "seen":
                continue
            now = patched(now, under(what, OBJECT, document, origin_s))
            seen: Seen = under(what, SEEN, now, origin_s)
        except _NewerError as err:
            raise ConfigError([f"{path} {err}"]) from None
        except ValueError as err:
            raise ConfigError([_damaged(path, number, err)]) from None
        yield seen


def print_replay(path: Path) -> int:
    """Decide a recording again and print what differs; return the exit code.

    Raises:
        ConfigError: as `replay`.
    """
    outcome = replay(path)
    print(f"{path}: {outcome.decisions} decisions made again, {outcome.different} of them are others now")
    for difference in outcome.differences[:MOST_SHOWN]:
        print(difference)
    if (more := len(outcome.differences) - MOST_SHOWN) > 0:
        print(f"... and {more} more differences")
    return DIFFERENT if outcome.differences else 0


def _damaged(path: Path, number: int, err: ValueError) -> str:
    return f"{path}, line {number}: {err}; this is no recording, or it was changed"


def _lines(path: Path) -> Iterator[str]:
    """Return the lines of a recording, plain or packed with gzip; one that was cut off at the end is left out.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_packed else path.open("rb") as file:
            text = file.read(LONGEST_FILE).decode()
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as err:
        why = (err.strerror if isinstance(err, OSError) else None) or "it is damaged, or no recording"
        raise ConfigError([f"{path} cannot be read: {why}; name a recording, see log.record"]) from None
    return iter(text.split("\n")[:-1])


def _parsed(line: str) -> tuple[str, Json]:
    try:
        document = fields_of(json_fields.document(line.encode()))
    except ValueError as err:
        raise ValueError("it is no JSON object") from err
    if len(document) != 1:
        raise ValueError("it has not one key")
    return next(iter(document.items()))


def _start(what: str, document: Json) -> tuple[Start, float]:
    """Return the start, and the time from which times are counted."""
    if what != MARK:
        raise ValueError("the first line of a recording is missing")
    version = under("version", WHOLE, fields_of(document).get("version"), 0.0)
    if version > VERSION:
        raise _NewerError("was written by a newer opendtu_dcload: update this one to replay it")
    origin_s = under("origin_s", NUMBER, document.get("origin_s"), 0.0)
    return START.read(document, origin_s), origin_s


class _NewerError(Exception):
    """The file has a format that this program does not know."""


class _Again:
    """The controller of now with what was seen and done then."""

    def __init__(self, began: tuple[Start, float], make_controller: MakeController) -> None:
        start, self._origin_s = began
        try:
            self._controller = make_controller(start.settings, start.units, start.now_s)
        except Exception as err:  # right in form, but beyond what a configuration lets through
            raise ValueError(f"no controller can be made with these settings ({err!r})") from None
        self._disguise = Disguise(start.units, self._origin_s)
        self._now: dict[str, Mapping[str, Json]] = {"settings": SETTINGS.write(start.settings, self._disguise)}
        self._decision: Decision | None = None
        self._at_s = start.now_s
        self.outcome = Outcome()

    def do(self, act: Callable[[], object]) -> bool:
        """Do what happened; False when the controller of now fails at it."""
        try:
            act()
        except Exception as err:  # whatever it is, it is a difference
            self._note([("the controller", "went on", f"fails: {err!r}")])
            return False
        return True

    def event(self, what: str, document: Json) -> Callable[[], object]:
        """Return what a line says was done; a ValueError says what is wrong with the line."""
        controller = self._controller
        if what in {"settings", "seen", "decided"}:
            return self._changed(what, document)
        if what in {"posted", "taken", "refused"}:
            sent = under(what, SENT, document, self._origin_s)
            told = {"posted": controller.posted, "taken": controller.taken, "refused": controller.refused}[what]
            return partial(told, self._known(sent.what), sent.now_s)
        if what == "failed":
            return partial(controller.failed, self._known(under(what, COMMAND, document, self._origin_s)))
        if what == "rebooted":
            sent = under(what, REBOOTED, document, self._origin_s)
            return partial(controller.rebooted, sent.what, sent.now_s)
        if what == "unit":
            return partial(controller.set_unit, self._known(under(what, UNIT, document, self._origin_s)))
        if what == "left":
            return partial(self._leave, under(what, LEFT, document, self._origin_s))
        raise ValueError(f"{what[:40]!r} is nothing that happens")

    def _changed(self, what: str, document: Json) -> Callable[[], object]:
        form = {"settings": SETTINGS, "seen": SEEN, "decided": DECIDED}[what]
        now = self._now[what] = patched(self._now.get(what, {}), under(what, OBJECT, document, self._origin_s))
        value = under(what, form, now, self._origin_s)
        if what == "seen":
            return partial(self._step, value)
        return self._compare if what == "decided" else partial(setattr, self._controller, "settings", value)

    def _known(self, told: Told) -> Told:
        if told.serial not in self._controller.trackers:
            raise ValueError(f"{told.serial} is no inverter of this recording")
        return told

    def _step(self, seen: Seen) -> None:
        self._at_s = seen.now_s
        self._decision = self._controller.decide(seen)

    def _compare(self) -> None:
        if self._decision is None:
            return
        self.outcome.decisions += 1
        now = DECIDED.write(self._decision, self._disguise)
        self._note(list(_differences({key: self._now["decided"].get(key) for key in now}, now)))

    def _leave(self, left: Left) -> None:
        commands = self._controller.leave(off=left.is_off, asked=left.is_asked)
        now = left._replace(commands=commands)
        self._note(list(_differences(LEFT.write(left, self._disguise), LEFT.write(now, self._disguise))))

    def _note(self, found: Sequence[tuple[str, Json, Json]]) -> None:
        at_s = self._at_s - self._origin_s
        self.outcome.different += bool(found)
        self.outcome.differences += [Difference(at_s, what, then, now) for what, then, now in found]


def _differences(then: Json, now: Json, where: str = "") -> Iterator[tuple[str, Json, Json]]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*then, *now)):
            yield from _differences(then.get(key), now.get(key), f"{where} {key}".strip())
    elif not _is_same(then, now):
        yield where, then, now


def _is_same(then: Json, now: Json) -> bool:
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and all(map(_is_same, then, now))
    if isinstance(then, dict) and isinstance(now, dict):
        return then.keys() == now.keys() and all(_is_same(then[key], now[key]) for key in then)
    if isinstance(then, float) and isinstance(now, float):
        return abs(then - now) <= SAME
    return bool(then == now)
