"""The clock of a test."""

from __future__ import annotations

import asyncio
import time


class Clock:
    """Time in s that a test moves; one that runs goes on by itself, too."""

    def __init__(self, now_s: float = 0.0, *, runs: bool = False) -> None:
        self.runs = runs
        self._offset_s = now_s - self._elapsed_s

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() if self.runs else 0.0

    @property
    def now_s(self) -> float:
        return self._offset_s + self._elapsed_s

    @now_s.setter
    def now_s(self, now_s: float) -> None:
        self._offset_s = now_s - self._elapsed_s

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, duration_s: float) -> None:
        """Let the time pass at once."""
        self.now_s += duration_s
        await asyncio.sleep(0)
