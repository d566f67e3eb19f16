"""What the server tells: looked at once a second, written out once for all who ask."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any, NoReturn

from opendtu_dcload.state import State
from opendtu_dcload.time_words import lasted
from opendtu_dcload.web.feed import Feed
from opendtu_dcload.web.history.history import History, utc_now
from opendtu_dcload.web.metrics import metrics
from opendtu_dcload.web.set_points import SetPoints
from opendtu_dcload.web.status_document import StatusDocument

log = logging.getLogger(__name__)

EVERY_S = 1.0
HISTORY_EVERY_S = 5.0
"""The history is written out no more often: it takes a GX a tenth of a second of another thread."""


class Told:
    """A document and how it is sent: each way is written out once, for whoever asks first."""

    def __init__(self, document: dict[str, Any]) -> None:
        """Write nothing yet."""
        self._document = document

    @cached_property
    def text(self) -> bytes:
        """As JSON on one line."""
        return _text(self._document)

    @cached_property
    def metrics(self) -> bytes:
        """For Prometheus."""
        return metrics(self._document).encode()


class Site:
    """Looks at the state and remembers what it has written."""

    def __init__(
        self,
        status: StatusDocument,
        history: History,
        set_points: SetPoints,
        feed: Feed,
        state: State,
        clock: Callable[[], float],
        wall: Callable[[], datetime] = utc_now,
    ) -> None:
        """Write nothing yet; `clock` is the monotonic time in s, `wall` the time of day."""
        self.set_points = set_points
        self._status = status
        self._history = history
        self._feed = feed
        self._state = state
        self._clock = clock
        self._wall = wall
        self._told: tuple[float, Told] | None = None
        self._written: tuple[float, asyncio.Task[bytes]] | None = None
        self._has_failed = False

    async def run(self) -> NoReturn:
        """Look once a second, for ever; a mistake made in it costs the second, not the regulation."""
        while True:
            try:
                self.look()
                if self._history.has_unsaved:
                    await asyncio.to_thread(self._history.save)
            except Exception as err:  # what is shown must never end what regulates
                if not self._has_failed:
                    log.error("the status page cannot look (%r): please report this", err)  # noqa: TRY400  one sentence, no traceback
                self._has_failed = True
            await asyncio.sleep(EVERY_S - self._clock() % EVERY_S)

    def look(self) -> None:
        """Take what is known now, and tell whoever listens."""
        news = self._history.look(self._clock())
        if self._feed.is_heard:
            for event in news:
                self._feed.send_row(_text(event.row()))
            self._told = None
            self._feed.send_state(self.state().text)

    def state(self) -> Told:
        """Return what is known, no more than a second old."""
        now_s = self._clock()
        if self._told is None or now_s - self._told[0] >= EVERY_S:
            document = self._status.made(now_s, self._wall(), self._history.totals, self._history.days())
            self._told = now_s, Told(document)
        return self._told[1]

    def trouble(self) -> str:
        """Return in a sentence why the control does not decide; empty while it does."""
        now_s = self._clock()
        if self._state.plan_at(now_s) is not None:
            return ""
        plan = self._state.plan
        return "nothing was decided yet" if plan is None else f"nothing was decided for {lasted(now_s - plan.at_s)}"

    async def history(self) -> bytes:
        """Return the document of what was, no more than some seconds old; who leaves does not stop its writing."""
        now_s = self._clock()
        if self._written is None or now_s - self._written[0] >= HISTORY_EVERY_S:
            made = self._history.document(now_s)
            writing = asyncio.create_task(asyncio.to_thread(lambda: _text(made())))
            writing.add_done_callback(lambda task: task.cancelled() or task.exception())  # perhaps nobody waits for it
            self._written = now_s, writing
        return await asyncio.shield(self._written[1])


def _text(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
