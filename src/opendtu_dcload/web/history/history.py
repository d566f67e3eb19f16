"""What was, all of it: looks at the plant once a second, and tells it as the document of `/api/history`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from opendtu_dcload.state import State
from opendtu_dcload.web.history.day_store import DayStore
from opendtu_dcload.web.history.day_totals import DayTotals
from opendtu_dcload.web.history.event_log import Event, EventLog
from opendtu_dcload.web.history.samples import Sample, Samples
from opendtu_dcload.web.moment import Eye, Totals
from opendtu_dcload.web.quantities import Json
from opendtu_dcload.web.status_document import VERSION, iso


def utc_now() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)


class History:
    """One second after the other."""

    def __init__(
        self,
        eye: Eye,
        state: State,
        folder: Path | None,
        today: Callable[[], date],
        wall: Callable[[], datetime] = utc_now,
    ) -> None:
        """Read the days that are kept.

        Args:
            eye: tells what is known.
            state: what it is told of.
            folder: where to keep the days; None = nowhere.
            today: the local date.
            wall: the time of day.
        """
        self._eye = eye
        self._state = state
        self._store = DayStore(folder)
        self._today = today
        self._wall = wall
        self._samples = Samples()
        self._events = EventLog()
        self._days = DayTotals(self._store.of)
        self.has_unsaved = False
        """A day is over, and `save` is to be called."""

    @property
    def totals(self) -> Totals:
        """What was counted today."""
        return self._days.totals

    def days(self) -> list[Json]:
        """Return the days that are over, the oldest first."""
        return [dict(day._asdict()) for day in self._store.before(self._today().isoformat())]

    def look(self, now_s: float) -> list[Event]:
        """Take what is known at this monotonic time; return the events that are new or have just ended."""
        moment, today = self._eye.moment(now_s, self._days.totals), self._today()
        live, plan = moment.live, moment.plan
        is_known = live.grid.now_w is not None
        ended = self._days.update(now_s, today, self._state, is_known=is_known)
        sample = Sample(
            live.grid.now_w,
            moment.target_w,
            live.load.now_w,
            live.setpoint_w,
            live.output.now_w,
            moment.saved_w,
        )
        self._samples.add(now_s, sample, self._days.exported_wh)
        news = self._events.update(now_s, plan, self._state.alarms, self._ago(self._wall()))
        if ended is not None:
            self._store.add(ended, today.isoformat())
            self.has_unsaved = True
        return news

    def save(self) -> None:
        """Write the days; a memory card may take seconds, so this may be called in another thread."""
        self.has_unsaved = False
        self._store.write()

    def end(self) -> None:
        """Write what was counted today, so that the next start goes on from there."""
        if (so_far := self._days.so_far()) is not None:
            self._store.add(so_far, so_far.date)
            self.has_unsaved = True
        if self.has_unsaved:
            self.save()

    def document(self, now_s: float) -> Callable[[], dict[str, Json]]:
        """Return what makes the document of this moment, later and in another thread."""
        samples, rows = self._samples.documents(now_s, self._ago(self._wall())), self._events.rows()
        return lambda: {"version": VERSION, **samples(), "events": rows}

    @staticmethod
    def _ago(wall: datetime) -> Callable[[float], str]:
        return lambda ago_s: iso(wall - timedelta(seconds=ago_s))
