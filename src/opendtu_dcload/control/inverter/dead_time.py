"""How long one inverter takes from receiving a limit to acting on it, as far as known."""

from __future__ import annotations

import math
from collections import deque

from opendtu_dcload.control.inverter.parameters import InverterParameters

RADIO_S = 0.15
"""From the start of the radio's transmission to the limit being received."""
WINDOW_S = 2.0
"""A limit keeps its radio this long, and is acknowledged at the end of it (OpenDTU: receive timeout of 2000 ms)."""
TRUSTED_SAMPLES = 3
"""So many learned dead times narrow the bounds; fewer only widen them."""
LEARNED_SAMPLES = 6
"""So many of the last ones count, so that a change of the radio's conditions is learned within some steps."""
QUICK_SHARE = 0.5
"""The quickest inverter of a family is taken to need this share of the family's usual dead time: an estimate."""
LEARNED_LOW, LEARNED_HIGH, LEARNED_MARGIN_S = 0.7, 1.3, 0.5
"""The next dead time may be so much shorter or longer than all learned ones: an estimate; a meter shows 1 s means."""
SHORTEST_DEAD_S, LONGEST_DEAD_S = 0.5, 90.0
"""Users report dead times up to 90 s (OpenDTU#571); the shortest is an estimate, below that of every family."""
UNANSWERED_S, LONGEST_UNANSWERED_S = 2.0, 25.0
"""While the meter shows nothing of a step, it is believed to be on its way for so much longer, and for no more than so
long in all: the credit of the slowest family (HM)."""


class DeadTime:
    """Bounds of the dead time: believed, widened by what did not come out in time, narrowed by what did."""

    def __init__(self, unit: InverterParameters) -> None:
        self._unit = unit
        self._dead_times_s: deque[float] = deque(maxlen=LEARNED_SAMPLES)
        self._unanswered_s = 0.0
        self._received: deque[tuple[float, float]] = deque(maxlen=LEARNED_SAMPLES)
        """When the last limits were posted and, as far as known, received."""
        self._still_s: float | None = None
        """For so long the inverter's own data have shown nothing of the last limit; None = they tell no more of it."""
        self.is_out = False
        """They have shown most of the last limit."""
        self._at_least_s = 0.0
        """The longest time for which they showed nothing of a limit that it followed later."""

    def posted(self, now_s: float, received_s: float) -> None:
        """Note when a limit posted now will be received."""
        self._received.append((now_s, received_s))
        self._still_s = 0.0
        self.is_out = False

    def late(self, received_s: float) -> None:
        """Note that the last limit cannot have been received before `received_s`."""
        if self._received and self._received[-1][1] < received_s:
            self._received[-1] = (self._received[-1][0], received_s)

    def learn(self, posted_at_s: float, half_visible_s: float, change_w: float) -> None:
        """Learn from a step of `change_w` posted at `posted_at_s`, half of which had come out at `half_visible_s`."""
        received_s = dict(self._received).get(posted_at_s)
        if received_s is None:
            return
        half_s = math.log(2) * self._unit.time_constant_s
        if change_w > 0:
            half_s = max(half_s, 0.5 * change_w / (self._unit.rise_per_s * self._unit.rated_w))
        dead_time_s = half_visible_s - received_s - half_s
        dead_time_s = max(dead_time_s, SHORTEST_DEAD_S)
        if dead_time_s <= LONGEST_DEAD_S and self._is_possible(dead_time_s):
            self._dead_times_s.append(dead_time_s)

    def lasts_until(self, at_s: float) -> None:
        """Note that the inverter's own data show nothing of the last limit at `at_s`."""
        if self._still_s is not None:
            self._still_s = max(self._still_s, min(at_s - self.received_s, LONGEST_DEAD_S))

    def not_followed(self) -> None:
        """Note that something else than the last limit may rule the output: its data tell nothing of its dead time."""
        self._still_s = None

    def ended_by(self, at_s: float) -> None:
        """Note that they show most of it at `at_s`, so what came before was its dead time, and nothing later is."""
        if self._still_s is None:
            return
        if LEARNED_HIGH * (at_s - self.received_s) < LEARNED_LOW * self._at_least_s:
            self._at_least_s = 0.0
        self._at_least_s = max(self._at_least_s, self._still_s)
        self._still_s = None
        self.is_out = True
        possible_s = [dead_time_s for dead_time_s in self._dead_times_s if self._is_possible(dead_time_s)]
        self._dead_times_s = deque(possible_s, LEARNED_SAMPLES)

    def unanswered(self, posted_at_s: float, now_s: float) -> float | None:
        """Note that nothing of a step has come out yet; return when it has to at the earliest, None = it is overdue."""
        received_s = dict(self._received).get(posted_at_s)
        if received_s is None or self._is_known:
            return None
        waited_s = now_s + UNANSWERED_S - received_s
        if waited_s > LONGEST_UNANSWERED_S:
            return None
        self._unanswered_s = max(self._unanswered_s, waited_s)
        return received_s + waited_s

    @property
    def received_s(self) -> float:
        """When the last limit was received, as far as known; -inf when none was posted."""
        return self._received[-1][1] if self._received else -math.inf

    @property
    def usual_s(self) -> float:
        """The dead time to reckon with."""
        return sum(self._dead_times_s) / len(self._dead_times_s) if self._is_known else self._unit.dead_time_s

    @property
    def bounds_s(self) -> tuple[float, float]:
        """The shortest and the longest dead time that is plausible."""
        quick_s, slow_s = QUICK_SHARE * self._unit.dead_time_s, self._unit.credit_s - 2 * self._unit.time_constant_s
        slow_s = max(slow_s, self._unanswered_s, self._at_least_s)
        if not self._dead_times_s:
            return quick_s, slow_s
        longest_s = max(*self._dead_times_s, self._at_least_s)
        slowest_s = min(LEARNED_HIGH * longest_s + LEARNED_MARGIN_S, LONGEST_DEAD_S)
        learned_s = LEARNED_LOW * min(self._dead_times_s), slowest_s
        return learned_s if self._is_known else (min(quick_s, learned_s[0]), max(slow_s, learned_s[1]))

    def _is_possible(self, dead_time_s: float) -> bool:
        """Tell whether the inverter's own data allow it: what the meter showed sooner was the house."""
        return LEARNED_HIGH * dead_time_s >= LEARNED_LOW * self._at_least_s

    @property
    def _is_known(self) -> bool:
        return len(self._dead_times_s) >= TRUSTED_SAMPLES
