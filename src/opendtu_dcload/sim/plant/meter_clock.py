"""When a simulated meter takes its samples: by a clock of its own, which is never quite that of who asks."""

from __future__ import annotations

import random
from dataclasses import dataclass

WANDERS_BACK = 0.01
"""Share of its distance from the mean that the period loses with each sample."""


@dataclass(frozen=True, slots=True)
class MeterClock:
    """How even the samples are; the defaults are those of an ideal clock."""

    period_s: float = 1.0
    wander_s: float = 0.0
    """By how much the period changes from one sample to the next: standard deviation."""
    jitter_s: float = 0.0
    """How late a sample may be: standard deviation of a normal distribution folded at 0."""


IDEAL = MeterClock()


def uneven_clock(seed: object) -> MeterClock:
    """Return one as unfriendly as is plausible. What is public says "about a second", so all of it is an estimate.

    A crystal keeps its time to 0.01 %, a loop of the firmware that counts its own pauses to some tenths of a percent;
    and what is measured is shown when the firmware comes to it.
    """
    return MeterClock(random.Random(f"meter clock {seed}").uniform(0.996, 1.004), wander_s=0.0002, jitter_s=0.05)


class Samples:
    """The moments of the samples, in s, one after the other."""

    def __init__(self, clock: MeterClock, first_s: float, rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng
        self._off_s = 0.0
        self._due_s = first_s

    def after(self, last_s: float) -> float:
        """Return the sample that follows one at `last_s`."""
        clock, rng = self._clock, self._rng
        if clock.wander_s:
            self._off_s += rng.gauss(0.0, clock.wander_s) - WANDERS_BACK * self._off_s
        self._due_s += clock.period_s + self._off_s
        late_s = abs(rng.gauss(0.0, clock.jitter_s)) if clock.jitter_s else 0.0
        return max(self._due_s + late_s, last_s + clock.period_s / 10)
