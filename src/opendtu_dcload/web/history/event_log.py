"""What happened: each reason that lasted and each alarm, with how long it did."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from opendtu_dcload.control.reason_delays import log_after_s
from opendtu_dcload.model import Alarm, Plan
from opendtu_dcload.web.quantities import Json

KEPT = 200
"""Rows; the oldest goes when another one comes."""
LASTS_S = 10.0
"""A reason that is gone sooner is no event, unless it is one for the log at once: regulating and having nothing to
regulate take turns all day."""


@dataclass(slots=True)
class Event:
    """One row."""

    began_s: float
    at: str
    subject: str
    name: str
    text: str
    ended_s: float | None = None

    def row(self) -> dict[str, Json]:
        """Return it for JSON; how long it lasted is not known while it lasts."""
        lasted_s = None if self.ended_s is None else round(self.ended_s - self.began_s)
        return {"at": self.at, "subject": self.subject, "name": self.name, "text": self.text, "lasted_s": lasted_s}


class EventLog:
    """Sees plan and alarms once a second."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._reason: Event | None = None
        """The last one of the plant that lasted."""
        self._candidate: Event | None = None
        self._alarms: dict[Alarm, Event] = {}

    def update(
        self, now_s: float, plan: Plan | None, alarms: tuple[Alarm, ...], iso: Callable[[float], str]
    ) -> list[Event]:
        """Take what holds now and return what is new, or has just ended.

        Args:
            now_s: monotonic time.
            plan: what the control decides; None = it does not.
            alarms: those that are up.
            iso: tells the time of day, given how many s ago that was.
        """
        news = []
        for alarm in [alarm for alarm in self._alarms if alarm not in alarms]:
            ended = self._alarms.pop(alarm)
            ended.ended_s = now_s
            news.append(ended)
        for alarm in alarms:
            if alarm not in self._alarms:
                at = iso(now_s - alarm.since_s)
                event = Event(alarm.since_s, at, alarm.subject, alarm.cause.name, alarm.text)
                self._alarms[alarm] = event
                self._events.append(event)
                news.append(event)
        return news + self._updated_reason(now_s, plan, iso)

    def _updated_reason(self, now_s: float, plan: Plan | None, iso: Callable[[float], str]) -> list[Event]:
        if plan is None:
            return []
        name = plan.reason.name
        if self._reason is not None and self._reason.name == name:
            self._candidate = None
            return []
        if self._candidate is None or self._candidate.name != name:
            self._candidate = Event(now_s, iso(0.0), "", name, plan.words)
        if now_s - self._candidate.began_s < min(log_after_s(plan.reason), LASTS_S):
            return []
        ended, self._reason, self._candidate = self._reason, self._candidate, None
        self._events.append(self._reason)
        if ended is None:
            return [self._reason]
        ended.ended_s = self._reason.began_s
        return [ended, self._reason]

    def rows(self) -> list[Json]:
        """Return all that is kept, the oldest first."""
        return [event.row() for event in self._events]
