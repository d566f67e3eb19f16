"""How long simulated devices take to answer, and how often an answer is lost on its way."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

LOST_S = 600.0
"""An answer that is lost would come after this time, when nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Answer times that spread about their median (log-normal), some of them much longer, a few without an end."""

    median_s: float
    spread: float = 0.0
    """Standard deviation of the logarithm; 0 = all answers take the same time."""
    slow_share: float = 0.0
    """How many of them meet a device that is busy with something else ..."""
    slow_s: tuple[float, float] = (0.0, 0.0)
    """... and how much longer these take, at least and at most."""
    lost_share: float = 0.0
    """How many of them are lost: the device has done what it was told, and nobody hears of it."""
    rng: random.Random = field(default_factory=random.Random)

    def next_s(self) -> float:
        """Return how long the next answer takes."""
        if not self.spread:
            return self.median_s
        taken_s = self.median_s * math.exp(self.rng.gauss(0.0, self.spread))
        return taken_s + (self.rng.uniform(*self.slow_s) if self.rng.random() < self.slow_share else 0.0)

    def next_is_lost(self) -> bool:
        """Tell whether the next answer is lost."""
        return self.lost_share > 0 and self.rng.random() < self.lost_share


def shelly_latency(seed: object) -> Latency:
    """Return that of a Shelly in a house's WLAN.

    The median is the mean that github.com/hoylabs/OpenDTU-OnBattery/issues/2397 reports, 44 ms; the rest is estimated.
    """
    return Latency(0.044, 0.4, 0.01, (0.2, 1.0), 0.0005, random.Random(f"Shelly's answers {seed}"))


def opendtu_latency(seed: object) -> Latency:
    """Return that of an OpenDTU: 20 to 200 ms when it has time, seconds when it has not. The shares are estimated."""
    return Latency(0.080, 0.5, 0.02, (0.5, 2.5), 0.0005, random.Random(f"OpenDTU's answers {seed}"))
