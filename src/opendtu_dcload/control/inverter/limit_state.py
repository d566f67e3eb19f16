"""What is known of one inverter's limit: acknowledged, on its way, and whose it is.

A limit that was sent is a wish. It rules once the DTU shows that the inverter has acknowledged it; until then the
higher one of what may rule counts. OpenDTU's answers carry no command id (WebApi_limit.cpp), so what is shown is
matched with what was sent by its time and its value.
"""

from __future__ import annotations

import math
from collections import deque
from enum import Enum

from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.limit_reading import is_same, speaks_of, step_w, watts_of
from opendtu_dcload.model import CommandState, LimitStatus

SWALLOWED_S = 3.0
"""`Ok` with another limit this long after the POST: the DTU dropped the command."""
LOWEST_SHOWN_PCT = 1.0
"""No inverter works at less (see devices/hoymiles.py): an HMS that loses its DC power reads back 0.1 %."""
HELD_S = 60.0
"""How long nothing is sent to an inverter whose limit the DTU declined: as often as a limit may be repeated."""
IGNORED_WAITS_S = (5.0, 15.0, 45.0)
"""How long nothing is sent after the first, second and any later command that was taken and had no effect: one may be
lost in a restart of the DTU, more are no accident."""
IGNORED_OFTEN, IGNORED_FOR_S = 2, 120.0
"""After so many in a row the DTU is said to ignore commands, until none was sent for so long: then nobody knows."""
IGNORED_S = 30.0
"""From when on commands without effect are worth a word: as long as one that is not acknowledged."""
UNCONFIRMED_S = 30.0
"""From when on a limit that is not acknowledged is worth a word: lost packets and a queue take up to 12 s."""


class LimitNews(Enum):
    """What one answer of the DTU says about the limit."""

    NOTHING = "nothing new"
    WAITS = "our limit waits for the inverter"
    FAILED = "the inverter did not answer; the DTU tries again"
    ACKNOWLEDGED = "our limit rules"
    IGNORED = "the DTU dropped our limit"
    SHOWN = "another limit is shown, or none"
    FOREIGN = "somebody else set a limit"


class LimitState:
    """The limit that rules, the one on its way, and since when the inverter owes us an answer."""

    def __init__(self, unit: InverterParameters) -> None:
        self.unit = unit
        self.limit_w: float | None = None
        """Last acknowledged limit; None = unknown."""
        self.is_ours = False
        """It was acknowledged after we had sent it; what was shown before us may not rule at all."""
        self.posted_w: float | None = None
        """Limit on its way; None when none is."""
        self.posted_at_s = -math.inf
        self.raised_at_s = -math.inf
        self.was_commanded = False
        self.held_until_s = -math.inf
        """The DTU declined or dropped a limit: none is sent before."""
        self.has_replaced = False
        """A waiting limit was already replaced by a lower one."""
        self.has_failed = False
        """The inverter did not answer the last command."""
        self.is_foreign_pending = False
        """A limit is on its way that is not ours, nobody knows which."""
        self.unconfirmed_since_s = math.inf
        """Since when a limit has been on its way without ever being acknowledged."""
        self.ignored = 0
        """Commands in a row that were taken and had no effect."""
        self.acknowledged_total = self.ignored_total = 0
        """Of our limits since the start."""
        self._superseded_w = 0.0
        self._own_w: deque[float] = deque(maxlen=2)
        """Our limits acknowledged last. A read-back shows the one before when the DTU asks too soon (OpenDTU #885)."""
        self._is_dtu_pending = self._was_pending = self._is_echo_old = self._has_no_echo = False
        self._knows_rated = self._has_echo = False
        self._known_since_s = math.inf
        self._taken_at_s = -math.inf

    # ---- what is known

    @property
    def is_pending(self) -> bool:
        """True while a limit is on its way."""
        return self.posted_w is not None or self._is_dtu_pending

    @property
    def wanted_w(self) -> float | None:
        """The limit that rules when everything on its way has arrived; None = unknown."""
        return self.posted_w if self.posted_w is not None else self.limit_w

    @property
    def highest_w(self) -> float:
        """The highest limit that may rule in W: acknowledged, pending or waiting; rated when unknown or not ours."""
        if self.limit_w is None or self.is_foreign_pending:
            return self.unit.rated_w
        return max(self.limit_w + self.cut_off_w, self.posted_w or 0.0, self._superseded_w)

    @property
    def cut_off_w(self) -> float:
        """What the DTU may have cut off from the limit it shows, W; nothing where it is ours or not known at all."""
        if self.is_ours or self.limit_w is None or self.is_foreign_pending:
            return 0.0
        return min(step_w(self.unit.rated_w), max(self.unit.rated_w - self.limit_w, 0.0))

    def is_unconfirmed(self, now_s: float) -> bool:
        """Tell whether what was sent has gone without an acknowledgement for too long."""
        return self.is_pending and now_s - self.unconfirmed_since_s >= UNCONFIRMED_S

    def is_ignored(self, now_s: float) -> bool:
        """Tell whether the DTU takes commands that have no effect."""
        is_recent = now_s - self.posted_at_s < IGNORED_FOR_S
        return self.ignored >= IGNORED_OFTEN and is_recent and now_s - self.unconfirmed_since_s >= IGNORED_S

    def needs_refresh(self, now_s: float) -> bool:
        """Tell whether the limit that rules has to be sent again, lest the inverter forgets it."""
        since_s = max(self.posted_at_s, self._known_since_s)
        is_settled = not self.is_pending and self.limit_w is not None
        return is_settled and now_s >= self.held_until_s and now_s - since_s >= self.unit.refresh_s

    # ---- what happens

    def post(self, now_s: float, limit_w: float) -> None:
        """Remember a limit that is given to the DTU now."""
        self._superseded_w = max(self._superseded_w, self.posted_w or 0.0)
        if limit_w > (self.wanted_w or 0.0):
            self.raised_at_s = now_s
        self.has_replaced = self.posted_w is not None
        self.was_commanded = True
        self._was_pending = False
        self._has_echo = self._knows_rated
        self.is_foreign_pending &= self._is_dtu_pending  # one that failed is replaced before it is sent again
        self.posted_w = limit_w
        self.posted_at_s = self._taken_at_s = now_s
        self.unconfirmed_since_s = min(self.unconfirmed_since_s, now_s)

    def taken(self, now_s: float) -> None:
        """The DTU has answered the POST: only what it says from now on can speak of that limit."""
        self._taken_at_s = now_s

    def decline(self, now_s: float) -> None:
        """The DTU declined the last limit: it is not on its way."""
        self.held_until_s = now_s + HELD_S
        self.posted_w, self._superseded_w = self._superseded_w or None, 0.0
        if self.posted_w is None:
            self.unconfirmed_since_s = math.inf

    def withdraw(self) -> None:
        """What is on its way will not rule: the inverter is being restarted. The DTU may go on sending it."""
        self.posted_w, self._superseded_w, self.unconfirmed_since_s = None, 0.0, math.inf
        self.has_failed = False

    def forget(self) -> None:
        """The DTU or the inverter restarted: what rules now is unknown."""
        self.limit_w = None
        self.is_ours = self._has_no_echo = False
        self._is_echo_old = True
        if self.posted_w is None:
            self.posted_at_s = -math.inf

    def apply(self, status: LimitStatus, now_s: float) -> LimitNews:
        """Take what the DTU says and return what is new about it."""
        shown_w = watts_of(status)
        if status.state is not CommandState.PENDING:
            self.has_failed = status.state is CommandState.FAILURE
        self._is_dtu_pending = status.state is CommandState.PENDING
        if status.rated_w and not self._knows_rated and self.wanted_w is None:
            self.posted_at_s = -math.inf  # an absolute limit leaves no echo while the DTU does not know the rated power
        self._knows_rated = bool(status.rated_w)
        if self.posted_w is None:
            return self._apply_unasked(status, shown_w, now_s)
        if not speaks_of(status.at_s, self._taken_at_s):
            return LimitNews.NOTHING
        if status.state is CommandState.PENDING:
            self._was_pending = True
            return LimitNews.WAITS
        if status.state is CommandState.FAILURE:
            return LimitNews.FAILED
        if status.state is not CommandState.OK:
            return LimitNews.NOTHING
        if self._is_confirmed_by(status, shown_w):
            self._acknowledge(now_s)
            return LimitNews.ACKNOWLEDGED
        if status.at_s <= self._taken_at_s + SWALLOWED_S:
            return LimitNews.NOTHING
        return self._drop(shown_w, now_s)

    def acknowledges(self, status: LimitStatus, limit_w: float) -> bool:
        """Tell whether the DTU says that this limit was the last one that the inverter acknowledged."""
        shown_w = watts_of(status)
        return status.state is CommandState.OK and shown_w is not None and self._is(shown_w, limit_w)

    # ---- inside

    def _apply_unasked(self, status: LimitStatus, shown_w: float | None, now_s: float) -> LimitNews:
        """Take an answer while no limit of ours is on its way."""
        self.is_foreign_pending = status.state in {CommandState.PENDING, CommandState.FAILURE}
        if self.is_foreign_pending:
            self.unconfirmed_since_s = min(self.unconfirmed_since_s, now_s)
        elif not self.ignored:
            self.unconfirmed_since_s = math.inf
        if self._is_echo_old and shown_w is not None:
            return LimitNews.NOTHING
        if shown_w is None and self._has_no_echo:
            return LimitNews.NOTHING
        is_other = self.limit_w is not None and shown_w is not None and not self._is(shown_w, self.limit_w)
        if is_other and (status.limit_pct or 0.0) <= LOWEST_SHOWN_PCT:
            return LimitNews.NOTHING
        if shown_w is not None and self.limit_w is not None and not is_other:
            return LimitNews.NOTHING
        self._accept(shown_w, now_s)
        is_own = shown_w is not None and any(self._is(shown_w, own_w) for own_w in self._own_w)
        self._superseded_w = max(self._own_w) if is_own else 0.0
        return LimitNews.FOREIGN if is_other and not (is_own or self.is_foreign_pending) else LimitNews.SHOWN

    def _is_confirmed_by(self, status: LimitStatus, shown_w: float | None) -> bool:
        if shown_w is None and not (status.rated_w and self._has_echo):
            return self._was_pending  # no % to compare with: it went out and came back
        return shown_w is not None and self.posted_w is not None and self._is(shown_w, self.posted_w)

    def _acknowledge(self, now_s: float) -> None:
        self.limit_w, self.posted_w, self._superseded_w = self.posted_w, None, 0.0
        self.is_ours = True
        self._own_w.append(self.limit_w or 0.0)
        self._is_echo_old = self.has_replaced = self.is_foreign_pending = False
        self._has_no_echo = not self._has_echo
        self._known_since_s = now_s
        self.unconfirmed_since_s = math.inf
        self.ignored = 0
        self.acknowledged_total += 1

    def _drop(self, shown_w: float | None, now_s: float) -> LimitNews:
        """The DTU is done with our limit, and it is not the one that rules."""
        is_other = shown_w is not None and self.limit_w is not None and not self._is(shown_w, self.limit_w)
        self.posted_w, self._superseded_w, self.is_foreign_pending = None, 0.0, False
        if not (self._is_echo_old and shown_w is not None):
            self._accept(shown_w, now_s)
        if is_other:
            self.unconfirmed_since_s = math.inf
            return LimitNews.FOREIGN
        self.ignored += 1
        self.ignored_total += 1
        self.held_until_s = now_s + IGNORED_WAITS_S[min(self.ignored, len(IGNORED_WAITS_S)) - 1]
        return LimitNews.IGNORED if self.limit_w is not None else LimitNews.SHOWN

    def _accept(self, shown_w: float | None, now_s: float) -> None:
        was_known = self.limit_w is not None
        if shown_w is None or self.limit_w is None or not self._is(shown_w, self.limit_w):
            self.is_ours = False
            self.limit_w = shown_w
        self._has_no_echo = False
        if shown_w is None:
            self._is_echo_old = False
        elif self.posted_at_s == -math.inf:
            self.posted_at_s = now_s
        self._known_since_s = now_s
        if shown_w is None and was_known:
            self.posted_at_s = -math.inf

    def _is(self, shown_w: float, posted_w: float) -> bool:
        return is_same(shown_w, posted_w, self.unit.rated_w)
