"""One radio chip of a simulated OpenDTU: a queue, and one command at a time that keeps the chip for its window."""

from __future__ import annotations

import math
import struct
from collections import deque
from dataclasses import dataclass


def as_float32(value: float) -> float:
    """Return the nearest number that the DTU's 32-bit floats can hold."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def tenths(value: float) -> float:
    """Return a limit as it goes on air and into the echo: whole tenths in an unsigned 16-bit number, truncated."""
    return (int(as_float32(as_float32(value) * 10)) & 0xFFFF) / 10  # a negative limit becomes a huge one


@dataclass(slots=True, eq=False)
class Command:
    """One message to an inverter."""

    serial: str
    kind: str
    """`limit`, `power`, `restart`, `statistics` or `read_back`."""
    value: float = 0.0
    limit_type: int = 0
    sent: int = 0
    """Transmissions so far; -1 once it was answered."""


class Radio:
    """What waits for the chip, and what is on air."""

    def __init__(self, now_s: float) -> None:
        self.queue: deque[Command] = deque()
        self.on_air: Command | None = None
        self.free_at_s = now_s
        """When the window of the command on air ends."""
        self.deliver_at_s = math.inf
        """When the command on air arrives; infinity for never."""
        self.holds_limits = False
        """True: limits wait for ever, everything else goes out."""

    @property
    def _next(self) -> Command | None:
        return next((c for c in self.queue if not (self.holds_limits and c.kind == "limit")), None)

    def take(self) -> Command | None:
        """Take the next command that may go out from the queue."""
        if (command := self._next) is not None:
            self.queue.remove(command)
        return command

    @property
    def next_s(self) -> float:
        """Return when it does something next; infinity for never."""
        busy_until_s = self.free_at_s if self.on_air or self._next else math.inf
        return min(self.deliver_at_s, busy_until_s)

    def enqueue(self, command: Command, now_s: float) -> None:
        """Let a command wait for the chip."""
        self.queue.append(command)
        self.free_at_s = max(self.free_at_s, now_s)

    def withdraw(self, serial: str, limit_type: int) -> None:
        """Take back the waiting limits of one type (OpenDTU from v25.1.14 on); the one on air finishes."""
        replaced = [c for c in self.queue if c.serial == serial and c.kind == "limit" and c.limit_type == limit_type]
        for command in replaced:
            self.queue.remove(command)

    def has_waiting(self, serial: str, kind: str) -> bool:
        """Tell whether a command of a kind waits for the chip."""
        return any(c.serial == serial and c.kind == kind for c in self.queue)

    def in_flight(self, serial: str) -> list[Command]:
        """Return the limits of an inverter on air and waiting, in this order."""
        return [c for c in [self.on_air, *self.queue] if c and c.serial == serial and c.kind == "limit"]
