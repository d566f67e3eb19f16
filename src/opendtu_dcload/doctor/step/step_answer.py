"""How the meter answers a step of an inverter: share, sign and delay. No I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from opendtu_dcload.control.inverter.dead_time_learner import LEARNED_STEP_W, QUIET_READINGS, QUIET_SHARE
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.protection.meter_response import ANSWER_SHARE, JUDGED_STEP_W, PROBE_W
from opendtu_dcload.doctor.findings import Finding, Level

Readings = Sequence[tuple[float, float]]
"""Time in s and grid power in W, import positive."""

GOOD_SHARES = (0.6, 1.4)
"""Output / limit of a sound inverter is 0.8 to 1.05; the rest is left to the house's own movement."""
AGREEMENT = 0.5
"""The shares of the step and of the way back may differ by this much: an estimate."""


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """What the meter did."""

    change_w: float
    """The change of limit."""
    share: float
    """How much of it the meter showed; negative = it moved the wrong way."""
    half_s: float
    """From the command until half of the answer showed."""
    dead_time_s: float
    """The same without the inverter's ramp: radio, inverter and meter."""


def choose_limit(home_w: float, unit: InverterParameters, room_w: float) -> float | None:
    """Return the limit in W to step to, None when no step is possible that the meter could show.

    Down is preferred: what is imported for some seconds is not lost.

    Args:
        home_w: the limit that rules now.
        unit: the inverter's minimum and maximum.
        room_w: how much the plant may still give until its cap.
    """
    down_w = min(home_w - unit.minimum_w, PROBE_W)
    up_w = min(unit.maximum_w - home_w, room_w, PROBE_W)
    change_w = -down_w if down_w >= JUDGED_STEP_W or down_w >= up_w else up_w
    return home_w + change_w if abs(change_w) >= LEARNED_STEP_W else None


def is_quiet(readings: Readings, change_w: float) -> bool:
    """Tell whether the last readings stay together closely enough to see a step of `change_w`."""
    latest_w = [power_w for _, power_w in readings[-QUIET_READINGS:]]
    return len(latest_w) == QUIET_READINGS and max(latest_w) - min(latest_w) <= QUIET_SHARE * abs(change_w)


def level_w(readings: Readings) -> float:
    """Return where the last readings stay: their median, so that a single outlier does not count."""
    latest_w = sorted(power_w for _, power_w in readings[-QUIET_READINGS:])
    return (latest_w[(len(latest_w) - 1) // 2] + latest_w[len(latest_w) // 2]) / 2


def has_shown(base_w: float, readings: Readings, change_w: float) -> bool:
    """Tell whether most of the step has come, in whichever direction, and the meter stays there."""
    return is_quiet(readings, change_w) and abs(level_w(readings) - base_w) >= 0.5 * abs(change_w)


def answer_of(
    base_w: float, readings: Readings, posted_at_s: float, change_w: float, unit: InverterParameters
) -> StepAnswer:
    """Return what the meter did between the command and the last of `readings`, which begin with the command."""
    moved_w = level_w(readings) - base_w
    before_s, before = posted_at_s, 0.0
    half_at_s = math.nan
    for at_s, power_w in readings:
        shown = (power_w - base_w) / moved_w if moved_w else 0.0
        if shown >= 0.5:
            half_at_s = before_s + (at_s - before_s) * (0.5 - before) / (shown - before)
            break
        before_s, before = at_s, shown
    half_s = half_at_s - posted_at_s
    ramp_s = math.log(2) * unit.time_constant_s
    if change_w > 0:
        ramp_s = max(ramp_s, 0.5 * change_w / (unit.rise_per_s * unit.rated_w))
    return StepAnswer(change_w, 0.0 - moved_w / change_w, half_s, max(half_s - ramp_s, 0.0))


def verdict(name: str, there: StepAnswer, back: StepAnswer) -> Finding:
    """Return what the step and the way back say about meter and inverter together."""
    shares = (there.share, back.share)
    share = sum(shares) / 2
    step_w = abs(there.change_w)
    told = f"{name}: of a step of {step_w:.0f} W the meter shows {there.share:.0%}, of the way back {back.share:.0%}"
    if abs(there.share - back.share) > AGREEMENT:
        return Finding(
            Level.NOTE, f"{told}; the house moved too much to tell", "repeat it when no large appliance switches"
        )
    if share <= -ANSWER_SHARE:
        return Finding(
            Level.PROBLEM,
            f"{told}: its sign is reversed",
            "set meter.invert the other way, or turn the clamp",
        )
    if share < ANSWER_SHARE:
        return Finding(
            Level.PROBLEM,
            f"{told}: it does not see this inverter",
            "check that the inverter feeds behind the meter, on the phase or channel that meter.channel names",
        )
    times = (
        f"dead time {there.dead_time_s:.1f} s and {back.dead_time_s:.1f} s, "
        f"half of it after {there.half_s:.1f} s and {back.half_s:.1f} s, gain {share:.2f}"
    )
    if share < GOOD_SHARES[0]:
        return Finding(Level.NOTE, f"{told}, {times}", "look whether all DC inputs of the inverter are connected")
    if share > GOOD_SHARES[1]:
        return Finding(Level.NOTE, f"{told}, {times}", "repeat it when no large appliance switches")
    return Finding(Level.OK, f"{told}, {times}")
