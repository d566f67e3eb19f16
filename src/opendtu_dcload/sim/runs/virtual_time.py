"""An event loop whose clock stands still while anything can be done, and jumps to when the next thing is due.

Ours is the whole of it because all that is needed is a selector that waits for nothing; the libraries that offer it
(looptime) are made for pytest, and what runs here belongs to the program.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable


class StandstillError(RuntimeError):
    """Nothing is due any more: everything waits for something that does not come."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs tasks on virtual time; nothing outside of the process can be waited for.

    Args:
        start_s: what its clock shows at first.
        moved: is told each new time, before anything happens at it.
    """

    def __init__(self, start_s: float, moved: Callable[[float], None]) -> None:
        self._now_s = start_s
        self._moved = moved
        super().__init__(_Jump(self._jump))
        self.slow_callback_duration = float("inf")

    def time(self) -> float:
        """Return the virtual time in s."""
        return self._now_s

    def run_until(self, at_s: float) -> None:
        """Let everything happen that is due before a time, or at it."""
        self.run_until_complete(self._reach(at_s))

    async def _reach(self, at_s: float) -> None:
        reached = self.create_future()
        self.call_at(at_s, reached.set_result, None)
        await reached

    def _jump(self, by_s: float | None) -> None:
        if by_s is None:
            raise StandstillError("every task waits for something that never comes")
        self._now_s += by_s
        self._moved(self._now_s)


class _Jump(selectors.DefaultSelector):
    """Lets time pass instead of waiting."""

    def __init__(self, jump: Callable[[float | None], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return nothing, `timeout` seconds later."""
        if timeout is None or timeout > 0:
            self._jump(timeout)
        return []
