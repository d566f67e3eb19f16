"""When to ask a meter that refreshes its values by a clock of its own: just after each refresh.

No answer of a Shelly tells when it was measured, so the moments are found from which answers are new. Each request
comes a little earlier after its refresh than the one before, until one comes too early and hears the same again: it is
repeated soon, and the refresh lies between these two. All times are monotonic in s.
"""

from __future__ import annotations

import math
from enum import Enum

from opendtu_dcload.tasks.refresh_period import RefreshPeriod

LEAST_WAIT = 60 / 63
"""The shortest wait on average, as a share of the interval ..."""
SAVED = 2.0
"""... and so many requests can be saved up for repetitions: no minute has more than 63 + 3 at an interval of 1 s."""
MOST_WAIT, MOST_LATER_S = 1.25, 0.5
"""The longest wait, as a share of the interval, and beyond it: the meter's age has limits too."""
REPEATED_S = 0.15
"""How long after a request that came too early it is repeated; who then still tells the same has nothing new."""
CREEP_S, CREEP_GROWS = 0.003, 1.15
"""Each request comes so much earlier after its refresh, and so many times more with each that finds no refresh."""
SEARCHING = 40
"""After so many requests the whole period is gone through as fast as the interval permits."""
UNSURE = 0.01
"""Up to this share of it a period is known well enough to stay where one is when the minute has no repetition left."""
SCANS, REST_S = 2.0, 600.0
"""After so many periods gone through in vain there is no refresh that could be seen; it is looked for again later."""
LOST_S, LOST_PERIODS = 15.0, 3.0
"""After so long without an answer, and so many periods, it is not known any more where the refresh is."""
NARROW_S = 0.4
"""A refresh is found when it was within so much time."""
LEARNS = 0.15
"""How quickly it is learned whether an answer without anything new came too early, or the load stood still."""


class _Request(Enum):
    """What a request is for."""

    AFTER_REFRESH = "just after a refresh"
    REPEATED = "the one before came too early"
    BETWEEN = "between two refreshes"
    LATE = "as soon as what was asked before is over"


class RefreshLock:
    """Takes when each request was made and how it ended, and says when to make the next one.

    Args:
        interval_s: how often the meter is to be asked.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._longest_s = interval_s + min((MOST_WAIT - 1) * interval_s, MOST_LATER_S)
        self._least_s = LEAST_WAIT * interval_s
        self._saved = 0.0
        """Requests that may be made now beside the regular ones, at most `SAVED`."""
        self._saved_at_s: float | None = None
        self._period = RefreshPeriod(interval_s)
        self._told_s: float | None = None
        """When the last answer was asked for."""
        self._request = _Request.BETWEEN
        """What was asked last."""
        self._due_s = -math.inf
        """When to ask after a refresh."""
        self._missed = 0
        """Refreshes in a row that were not seen when they were asked for."""
        self._count = 0
        """Refreshes since the last one that was found."""
        self._too_early = 0.5
        """The share of answers without anything new that came too early; the others had nothing new to tell."""
        self._rest_until_s = -math.inf
        self._search()

    @property
    def period_s(self) -> float:
        """Return the time between two refreshes, as far as it is known."""
        return self._period.value_s

    def answered(self, asked_s: float, answered_s: float, *, has_changed: bool) -> float:
        """Take an answer, and whether it tells anything new; return when to ask next."""
        self._spend(asked_s)
        before_s, self._told_s = self._told_s, asked_s
        if before_s is None or asked_s - before_s > max(LOST_S, LOST_PERIODS * self.period_s):
            self._period.lose()
            self._search()
            self._due_s = asked_s + self.period_s
        elif not has_changed:
            if self._request is _Request.AFTER_REFRESH and self._may_repeat:
                return self._repeat(answered_s)
            self._hear_nothing_new()
        else:
            self._hear_something_new(before_s, asked_s, answered_s)
        if has_changed and self._period.add_change(asked_s):
            self._search()
            self._due_s = asked_s + self.period_s
        return self._next_s(asked_s, answered_s)

    def failed(self, asked_s: float, ended_s: float) -> float:
        """Take that there was no answer; return when to ask next."""
        self._spend(asked_s)
        if self._request is not _Request.BETWEEN:
            self._step()
        self._request = _Request.LATE
        return self._allowed_s(max(asked_s + self._interval_s, ended_s))

    # ---- where the refresh is

    def _hear_something_new(self, before_s: float, asked_s: float, answered_s: float) -> None:
        """Go on to the next refresh: one lies between the request before and the answer."""
        if self._request is _Request.REPEATED:
            self._too_early += LEARNS * (1 - self._too_early)
            if answered_s - before_s <= NARROW_S:
                self._found((before_s + answered_s) / 2)
            self._step(min(asked_s - self._due_s, REPEATED_S))
            self._missed = 0
        elif self._request is _Request.BETWEEN:
            if self._missed != 1:
                self._due_s = asked_s
                self._step(-self._creep_s(asked_s))
        elif self._request is _Request.AFTER_REFRESH:
            self._step(-self._creep_s(asked_s))
            self._missed = 0
        else:
            self._step()

    def _hear_nothing_new(self) -> None:
        """Go on to the next refresh: this one comes later than it was asked for, or the load stands still."""
        if self._request is _Request.BETWEEN:
            return
        if self._request is _Request.REPEATED:
            self._too_early -= LEARNS * self._too_early
        elif self._request is _Request.AFTER_REFRESH:
            self._due_s += REPEATED_S * self._too_early
            if self._too_early >= 0.5:
                self._follow_anew()
        self._missed += 1
        self._step()

    def _step(self, later_s: float = 0.0) -> None:
        """Go on to the next refresh."""
        self._due_s += self.period_s + later_s
        self._count += 1

    def _search(self) -> None:
        """Note that it is not known where the refresh is."""
        self._followed = SEARCHING
        self._crept_s = 0.0

    def _found(self, at_s: float) -> None:
        self._period.add_refresh(at_s, self._count)
        self._count = 0
        self._follow_anew()

    def _follow_anew(self) -> None:
        self._followed = 0
        self._crept_s = 0.0
        self._rest_until_s = -math.inf

    def _creep_s(self, now_s: float) -> float:
        """Return how much earlier after its refresh the next request comes."""
        unsure_s = self._period.unsure_s
        if now_s < self._rest_until_s:
            return 0.0
        if not self._may_repeat and unsure_s <= UNSURE * self.period_s:
            return 0.0
        if self._crept_s > SCANS * self.period_s:
            self._rest_until_s, self._crept_s = now_s + REST_S, 0.0
        creep_s = max(CREEP_S, unsure_s / 2) * CREEP_GROWS**self._followed
        creep_s = max(0.0, min(creep_s, self.period_s - self._parts * self._least_s))
        self._followed = min(self._followed + 1, SEARCHING)
        self._crept_s += creep_s
        return creep_s

    # ---- when to ask

    @property
    def _parts(self) -> int:
        """How many requests a period has."""
        return max(1, round(self.period_s / self._interval_s))

    @property
    def _can_follow(self) -> bool:
        """Whether requests at the interval permit one after each refresh."""
        return self._least_s <= self.period_s / self._parts <= self._longest_s

    def _spend(self, asked_s: float) -> None:
        """Note a request."""
        if self._saved_at_s is not None:
            self._saved = min(self._saved + (asked_s - self._saved_at_s) / self._least_s, 1 + SAVED) - 1
        self._saved_at_s = asked_s

    def _allowed_s(self, at_s: float) -> float:
        """Return the first time from `at_s` on at which a request may be made."""
        assert self._saved_at_s is not None
        return max(at_s, self._saved_at_s + (1 - self._saved) * self._least_s)

    @property
    def _may_repeat(self) -> bool:
        """Whether enough was saved for a repetition."""
        return self._saved + REPEATED_S / self._least_s >= 1

    def _repeat(self, answered_s: float) -> float:
        self._request = _Request.REPEATED
        return self._allowed_s(max(self._due_s + REPEATED_S, answered_s))

    def _next_s(self, asked_s: float, now_s: float) -> float:
        """Return when to ask next, and settle what for."""
        self._request = _Request.BETWEEN
        if self._told_s is None or not self._can_follow:
            if self.period_s < self._interval_s and now_s >= self._rest_until_s:
                self._period.forget()
                self._search()
                self._rest_until_s = now_s + REST_S
            return self._allowed_s(max(asked_s + self._interval_s, now_s))
        if self._due_s <= now_s:
            missed = round((now_s - self._due_s) / self.period_s)
            self._due_s += missed * self.period_s
            self._count += missed
            if self._due_s <= now_s and now_s - asked_s < self._interval_s / 4:
                self._step()
            if self._due_s <= now_s:
                self._request = _Request.LATE
                return self._allowed_s(now_s)
        if self._due_s - asked_s < self._interval_s / 4:
            self._step()
        wait_s = self._due_s - asked_s
        parts = max(1, round(wait_s / self._interval_s))
        if wait_s / parts > self._longest_s:
            parts += 1
        if parts == 1:
            self._request = _Request.AFTER_REFRESH
        return self._allowed_s(max(asked_s + wait_s / parts, now_s))
