"""Inverters that are not needed for long are powered off, one after the other, and on again before they are missed.

To come back takes an inverter 1 to 5 minutes of grid-connection wait, and its relay endures only so many switchings. So
it goes late, comes back early, and does so only a few times a day.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Sequence

from opendtu_dcload.control.inverter.tracker import InverterTracker

IDLE_S = 1800.0
"""How long an inverter must have been at its minimum: an estimate."""
PEAK_S, PEAK_STEP_S = 3600.0, 60.0
"""The highest output of this time must fit the others; it is remembered in steps of a minute. Estimates."""
SPARE = 1.1
"""The others must be able to give so many times the highest output of that time: an estimate."""
BUSY_SHARE, BUSY_S = 0.9, 120.0
"""One comes back when the others have given this share of what they can for this long: estimates."""
PAIRS_A_DAY = 2
"""How often a day each may rest: an estimate for the relay in it, about 700 times a year."""
DAY_S = 86400.0
"""24 h: the times of the last rests are compared, no calendar."""
AT_MINIMUM_W = 1.0
"""So little above its minimum an inverter still counts as being there: what is modelled is rarely exact."""


class Standby:
    """Knows which inverters rest."""

    def __init__(self, now_s: float) -> None:
        self.resting: frozenset[str] = frozenset()
        self.counts: Counter[str] = Counter()
        """How often each inverter was put to rest since the start."""
        self._since_s = now_s
        self._idle_since_s: dict[str, float] = {}
        self._busy_since_s = math.inf
        self._peaks: deque[tuple[float, float]] = deque()
        """Highest output of each minute of the last hour."""
        self._rested_at_s: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=PAIRS_A_DAY))

    @property
    def resting_counts(self) -> dict[str, int]:
        """How often each of those that rest now was put to rest since the start."""
        return {serial: self.counts[serial] for serial in self.resting}

    def update(
        self, now_s: float, trackers: Collection[InverterTracker], cap_w: float, unwanted: frozenset[str] = frozenset()
    ) -> None:
        """Decide which inverters rest from now on.

        Args:
            now_s: monotonic time.
            trackers: all inverters.
            cap_w: what the plant may give at most.
            unwanted: serials of those that the user switched off; when they are wanted again, they come at once.
        """
        self.resting -= unwanted
        awake = [t for t in trackers if t.is_usable and t.unit.serial not in self.resting]
        output_w = sum(t.final_w for t in awake)
        self._note_peak(now_s, output_w)
        for tracker in awake:
            if tracker.final_w > tracker.unit.minimum_w * tracker.output.gain + AT_MINIMUM_W:
                self._idle_since_s[tracker.unit.serial] = now_s
        is_busy = output_w >= BUSY_SHARE * _most_w(awake)
        self._busy_since_s = min(self._busy_since_s, now_s) if is_busy else math.inf
        able = [t.unit.serial for t in trackers if t.unit.serial in self.resting and t.contact.trouble is None]
        if able and self._is_missed(now_s, awake, cap_w):
            self._wake(now_s, able)
        elif (idle := self._idle(now_s, awake, cap_w)) is not None:
            self._rested_at_s[idle].append(now_s)
            self.resting |= {idle}
            self.counts[idle] += 1

    def _note_peak(self, now_s: float, output_w: float) -> None:
        if self._peaks and now_s - self._peaks[-1][0] < PEAK_STEP_S:
            at_s, peak_w = self._peaks[-1]
            self._peaks[-1] = (at_s, max(peak_w, output_w))
        else:
            self._peaks.append((now_s, output_w))
        while self._peaks[0][0] < now_s - PEAK_S:
            self._peaks.popleft()

    def _is_missed(self, now_s: float, awake: Sequence[InverterTracker], cap_w: float) -> bool:
        return _most_w(awake) < cap_w and now_s - self._busy_since_s >= BUSY_S

    def _wake(self, now_s: float, able: Sequence[str]) -> None:
        serial = min(able, key=lambda s: self._rested_at_s[s][-1])
        self.resting -= {serial}
        self._idle_since_s[serial] = now_s
        self._busy_since_s = math.inf

    def _idle(self, now_s: float, awake: Sequence[InverterTracker], cap_w: float) -> str | None:
        peak_w = min(max(w for _, w in self._peaks), cap_w)
        for tracker in awake:
            serial, rested_s = tracker.unit.serial, self._rested_at_s[tracker.unit.serial]
            is_idle = now_s - self._idle_since_s.setdefault(serial, self._since_s) >= IDLE_S
            may_rest = len(rested_s) < PAIRS_A_DAY or now_s - rested_s[0] >= DAY_S
            others = [t for t in awake if t is not tracker]
            if is_idle and may_rest and others and _most_w(others) >= SPARE * peak_w:
                return serial
        return None


def _most_w(trackers: Sequence[InverterTracker]) -> float:
    return sum(t.attainable_w for t in trackers)
