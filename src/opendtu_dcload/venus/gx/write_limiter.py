"""When a changed value may be written to the flash of a GX: once it rests, and not too often."""

from __future__ import annotations

from collections import deque

HOUR_S = 3600.0
WRITES_PER_HOUR = 30
"""Writes of one value: an automation that throws a switch every two minutes loses nothing."""


class WriteLimiter:
    """The pace of one value. Each has its own, so that none waits for another one that is moved all day."""

    def __init__(self, quiet_s: float) -> None:
        """Nothing waits yet; a changed value is written when it has rested for `quiet_s`."""
        self._quiet_s = quiet_s
        self._due_s: float | None = None
        self._written_at_s: deque[float] = deque(maxlen=WRITES_PER_HOUR)

    def changed(self, now_s: float) -> None:
        """The value changed: it is to be written when it has rested."""
        self._due_s = now_s + self._quiet_s

    def forget(self) -> None:
        """Nothing has to be written any more."""
        self._due_s = None

    def written(self, now_s: float) -> None:
        """It is being written, well or not."""
        self.forget()
        self._written_at_s.append(now_s)

    @property
    def next_s(self) -> float | None:
        """When it may be written; None = nothing waits."""
        if self._due_s is None:
            return None
        is_full = len(self._written_at_s) == WRITES_PER_HOUR
        return max(self._due_s, self._written_at_s[0] + HOUR_S) if is_full else self._due_s
