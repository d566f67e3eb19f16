"""What is counted while the program runs: commands to an inverter, how well a device answers, the day's energies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Outcome(StrEnum):
    """What came of handing a command to the DTU."""

    WAITING = "waits for the DTU"
    TAKEN = "taken by the DTU"
    ACKNOWLEDGED = "acknowledged by the inverter"
    IGNORED = "taken by the DTU, without effect"
    DECLINED = "declined by the DTU"
    UNANSWERED = "no answer from the DTU"


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """The commands to one inverter since the program's start."""

    sent: int = 0
    failed: int = 0
    """Not taken by the DTU, or not answered by the inverter."""
    last: str = ""
    """The last one in words, such as "limit 210 W"."""
    is_limit: bool = False
    """The last one set a limit."""
    outcome: Outcome | None = None
    """Of the last one."""
    at_s: float = 0.0
    """Monotonic time when the last one was sent."""
    restarts: int = 0
    """Of the inverter, as a last resort; under a DTU's name its reboots."""
    restarted_at_s: float | None = None
    """Monotonic time of the last one."""


def sent_in(commands: Mapping[str, CommandRecord]) -> int:
    """Return how many commands were sent since the program's start."""
    return sum(record.sent for record in commands.values())


@dataclass(frozen=True, slots=True)
class Link:
    """How well a device has answered since the program's start."""

    failures: int = 0
    """Requests without a usable answer."""
    reconnects: int = 0
    """How often it was lost and came back."""


@dataclass(frozen=True, slots=True)
class Today:
    """Energies since local midnight, or since the program's start if that was later."""

    exported_wh: float = 0.0
    avoidable_wh: float = 0.0
    """Imported although the inverters had room for it."""
    imported_wh: float = 0.0
    """All that was imported."""
    day: date | None = None
    """The local date; None = nothing was counted yet."""
