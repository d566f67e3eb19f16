"""How one inverter's output follows what it is told: a dead time, then a ramp."""

from __future__ import annotations

import math

from opendtu_dcload.control.inverter.parameters import InverterParameters

ARRIVED_W = 0.5
"""The rest of an approach is done at once: an exponential one never ends, and no meter shows so little."""
LONGEST_APPROACH_S = 60.0
"""A longer step of time is not followed: every ramp has ended by then (25 % of rated power a second)."""


class OutputModel:
    """Dead time, then a first-order approach with a bounded rise."""

    def __init__(self, unit: InverterParameters) -> None:
        self._tau_s = unit.time_constant_s
        self._rise_w_s = unit.rise_per_s * unit.rated_w
        self._aim_w = 0.0
        self._changes: list[tuple[float, float]] = []
        self._now_s = -math.inf
        self.output_w = 0.0

    def set_unit(self, unit: InverterParameters) -> None:
        """Follow another rated power from now on."""
        self._rise_w_s = unit.rise_per_s * unit.rated_w

    def jump(self, output_w: float) -> None:
        """Start again from an output that was measured."""
        self._changes.clear()
        self._aim_w = self.output_w = output_w

    def aim(self, at_s: float, output_w: float) -> None:
        """Head for another output from `at_s` on."""
        self._changes = [(s, w) for s, w in self._changes if s < at_s]
        self._changes.append((at_s, output_w))

    def delay_last(self, at_s: float) -> None:
        """Move the last change to `at_s` if it was expected sooner and has not begun."""
        if self._changes and self._changes[-1][0] < at_s:
            self._changes[-1] = (at_s, self._changes[-1][1])

    @property
    def final_w(self) -> float:
        """Output when everything known has happened."""
        return self._changes[-1][1] if self._changes else self._aim_w

    def move_to(self, now_s: float) -> float:
        """Return the output in W at `now_s`, which must not go back."""
        while self._changes and self._changes[0][0] <= now_s:
            at_s, aim_w = self._changes.pop(0)
            self._approach(at_s)
            self._aim_w = aim_w
        self._approach(now_s)
        return self.output_w

    def _approach(self, now_s: float) -> None:
        dt_s = now_s - self._now_s
        if dt_s <= 0:
            return
        self._now_s = now_s
        change_w = self._aim_w - self.output_w
        if abs(change_w) < ARRIVED_W or dt_s > LONGEST_APPROACH_S:
            self.output_w = self._aim_w
            return
        change_w *= 1 - math.exp(-dt_s / self._tau_s)
        self.output_w += min(change_w, self._rise_w_s * dt_s)
