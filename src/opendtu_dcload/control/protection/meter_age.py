"""Two rules that every plant has: how far a silent meter takes it down, and below which voltage it must be off.

Each one keeps the little that it must remember and returns a value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from opendtu_dcload.control.protection.hysteresis import DwellLatch
from opendtu_dcload.model import Reason

BATTERY_DELAY_S = 60.0
"""Below the floor for this long the inverters are switched off; a sag under a load that comes and goes is shorter."""
BATTERY_HYSTERESIS_V = 1.0
"""So far above the floor the battery has recovered: an estimate for one of 48 V, which rises without its load."""
BATTERY_REST_S = 300.0
"""How long the voltage must have recovered; twice as long after each relapse, for it rises as soon as the load goes."""
BATTERY_LONGEST_REST_S = 3600.0
"""The longest rest after relapses: an estimate, so that a sunny hour is not missed."""
BATTERY_UNSEEN_S = 600.0
"""Without any voltage for this long, though the DTU answers, the floor cannot be guarded: an estimate."""
TAPER_SHARE = 0.01
"""The output falls within this share above the minimum voltage, so that it is at its minimum when that is reached."""
RAMP_STEPS = 4
"""Steps in which the output falls while the meter is silent: an estimate, each costs a command per inverter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Ages in s of the last meter reading at which the plant does less."""

    hold_s: float = 5.0
    ramp_s: float = 15.0
    minimum_s: float = 60.0
    off_s: float = 300.0

    def reason(self, age_s: float) -> Reason | None:
        """Return why the plant does less at an age, None while it does not."""
        rungs = (
            (self.off_s, Reason.METER_LOST_OFF),
            (self.minimum_s, Reason.METER_STALE_MINIMUM),
            (self.ramp_s, Reason.METER_STALE_RAMP),
            (self.hold_s, Reason.HOLD_METER_LATE),
        )
        return next((reason for from_s, reason in rungs if age_s >= from_s), None)

    def most_w(self, age_s: float, from_w: float, base_w: float, minimum_w: float) -> float:
        """Return the highest output at an age: any, then a few steps from `from_w` to `base_w`, then `minimum_w`."""
        if age_s < self.ramp_s:
            return math.inf
        if age_s >= self.minimum_s:
            return minimum_w
        step_s = (self.minimum_s - self.ramp_s) / RAMP_STEPS
        done = min(math.floor((age_s - self.ramp_s) / step_s) + 1, RAMP_STEPS)
        return max(from_w + (min(base_w, from_w) - from_w) * done / RAMP_STEPS, minimum_w)


@dataclass(frozen=True, slots=True)
class MeterState:
    """What the meter's last answer is worth now."""

    age_s: float
    """Since it was heard, or since it has told anything new when it is frozen; since the start before the first."""
    is_frozen: bool = False
    """It repeats itself, and did not show a step of ours."""
    suspicion: Reason | None = None
    """It does not see our steps, or sees them the wrong way round."""


class BatteryFloor:
    """The voltage below which the battery, or its weakest cell, must not be drawn from."""

    def __init__(self, minimum_v: float, hysteresis_v: float = BATTERY_HYSTERESIS_V) -> None:
        self._minimum_v = minimum_v
        self._hysteresis_v = hysteresis_v
        self._low = DwellLatch(BATTERY_DELAY_S, BATTERY_REST_S, BATTERY_LONGEST_REST_S)
        self._unseen_since_s: float | None = None

    def is_too_low(self, now_s: float, voltages_v: Sequence[float]) -> bool:
        """Take the voltages that are known now, the lowest counts; return True while the plant must be off."""
        lowest_v = min(voltages_v, default=math.nan)
        is_above = lowest_v >= self._minimum_v + self._hysteresis_v
        return self._low.update(now_s, is_bad=lowest_v < self._minimum_v, is_good=is_above)

    def is_unseen(self, now_s: float, voltages_v: Sequence[float], *, should_be_seen: bool) -> bool:
        """Tell whether there has been no voltage for long, while there should have been one."""
        if voltages_v or not should_be_seen:
            self._unseen_since_s = None
            return False
        if self._unseen_since_s is None:
            self._unseen_since_s = now_s
        return now_s - self._unseen_since_s >= BATTERY_UNSEEN_S

    def share(self, voltages_v: Sequence[float]) -> float:
        """Return the share of the output that the voltage leaves, 0 at the minimum; 1 while no voltage is known."""
        margin_v = min(TAPER_SHARE * self._minimum_v, self._hysteresis_v)
        lowest_v = min(voltages_v, default=math.inf)
        return 1.0 if margin_v <= 0 else min(max((lowest_v - self._minimum_v) / margin_v, 0.0), 1.0)
