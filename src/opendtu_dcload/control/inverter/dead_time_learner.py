"""How long an own step takes to show at the meter, learned while the house is quiet."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

LEARNED_STEP_W = 80.0
"""Smaller steps drown in the house's own movement."""
QUIET_SHARE = 0.2
"""The house is quiet while the meter stays within this share of the step: an estimate."""
QUIET_READINGS = 4
"""So many readings in a row tell that it is quiet, which takes a Shelly 4 s: an estimate."""
LONGEST_S = 95.0
"""A step that has not shown by then is given up: the longest dead time that users report is 90 s (OpenDTU#571)."""
HALF_SHOWN = 0.5
"""When this share of a step shows, it is timed: there a ramp is steepest, so noise shifts it least."""
SURELY_SHOWN = 0.6
"""The next reading must show at least this share: the step goes on, so it was no jump of the load that went again."""


@dataclass(slots=True)
class _OpenStep:
    """An own step that the meter does not show yet."""

    serial: str
    at_s: float
    change_w: float
    base_w: float
    before: tuple[float, float]
    """Last reading (s, share of the step shown) before it showed."""
    crossed_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """An own step that has become visible."""

    serial: str
    posted_at_s: float
    half_at_s: float
    """When the meter showed half of it."""
    change_w: float


class DelayLearner:
    """Watches the oldest own step that does not show yet; later ones cannot show before it."""

    def __init__(self) -> None:
        self._open: _OpenStep | None = None
        self._recent: deque[float] = deque(maxlen=QUIET_READINGS)
        self._unanswered: dict[str, _OpenStep] = {}

    @property
    def unanswered_since_s(self) -> Mapping[str, float]:
        """The last step of each inverter since which the meter has stood still, so it cannot have come out: posted at.

        That the load has moved just as far the other way is less likely than an inverter slower than believed.
        """
        return {serial: step.at_s for serial, step in self._unanswered.items()}

    def stepped(self, now_s: float, serial: str, change_w: float) -> None:
        """Note that one inverter was told to change its output by `change_w`."""
        self._unanswered.pop(serial, None)
        if abs(change_w) < LEARNED_STEP_W or not self._recent:
            return
        self._unanswered[serial] = _OpenStep(serial, now_s, change_w, self._recent[-1], (now_s, 0.0))
        if self._open is not None or len(self._recent) < QUIET_READINGS:
            return
        if max(self._recent) - min(self._recent) > QUIET_SHARE * abs(change_w):
            return
        base_w = self._recent[-1]
        self._open = _OpenStep(serial, now_s, change_w, base_w, (now_s, 0.0))

    def add_reading(self, at_s: float, grid_w: float) -> Shown | None:
        """Take a reading; return a step of which half has become visible."""
        self._recent.append(grid_w)
        self._unanswered = {
            serial: step
            for serial, step in self._unanswered.items()
            if abs(grid_w - step.base_w) <= QUIET_SHARE * abs(step.change_w)
        }
        step = self._open
        if step is None:
            return None
        shown = (step.base_w - grid_w) / step.change_w
        if step.crossed_at_s is not None:
            self._open = None
            return Shown(step.serial, step.at_s, step.crossed_at_s, step.change_w) if shown >= SURELY_SHOWN else None
        if at_s - step.at_s > LONGEST_S or shown < -QUIET_SHARE:
            self._open = None
        elif shown >= HALF_SHOWN:
            before_s, before = step.before
            step.crossed_at_s = before_s + (at_s - before_s) * (HALF_SHOWN - before) / (shown - before)
        else:
            step.before = (at_s, shown)
        return None

    def reset(self) -> None:
        """Forget the open step: the meter was silent."""
        self._open = None
        self._recent.clear()
        self._unanswered.clear()
