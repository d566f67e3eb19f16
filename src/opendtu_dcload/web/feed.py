"""What is sent to everybody who listens: one text for all, and whoever is slow misses some."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator

MOST_LISTENERS = 16
MOST_WAITING = 50
"""Rows that wait for a slow listener; older ones are lost to it."""


class Listener:
    """What waits for one listener: the latest state, and the rows since it took the last ones."""

    def __init__(self) -> None:
        self._state: bytes | None = None
        self._rows: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._has_news = asyncio.Event()

    def offer(self, state: bytes | None, row: bytes | None) -> None:
        """Let a state take the place of one that was not taken, and a row wait behind the others."""
        self._state = state or self._state
        if row is not None:
            self._rows.append(row)
        self._has_news.set()

    async def taken(self) -> bytes:
        """Return all that waits, as soon as something does."""
        await self._has_news.wait()
        self._has_news.clear()
        parts = [*self._rows, *([self._state] if self._state is not None else [])]
        self._rows.clear()
        self._state = None
        return b"".join(parts)


class Feed:
    """Everybody who listens."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    @property
    def is_full(self) -> bool:
        """Whether nobody else may listen now."""
        return len(self._listeners) >= MOST_LISTENERS

    @contextlib.contextmanager
    def listening(self) -> Iterator[Listener]:
        """Let somebody listen through the body."""
        listener = Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def send_state(self, document: bytes) -> None:
        """Offer everybody what is known now, as JSON on one line."""
        self._send(_event("state", document), None)

    def send_row(self, document: bytes) -> None:
        """Offer everybody an event, as JSON on one line."""
        self._send(None, _event("log", document))

    def _send(self, state: bytes | None, row: bytes | None) -> None:
        for listener in self._listeners:
            listener.offer(state, row)


def _event(name: str, document: bytes) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + document + b"\n\n"
