"""Which commands may go out now: the rules that keep cap, radio and inverters safe.

The regulator wants, the policy permits. It never invents a power: it holds a wish back, lowers it to what the cap
leaves, or repeats the limit that rules when a refresh is due.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from opendtu_dcload.control.inverter.tracker import InverterTracker

REPLACE_PENDING_W = 100.0
"""A limit that is lower by more than this may replace one that still waits for the inverter."""
SMALLEST_CHANGE_W = 3.0
"""A smaller change saves less than its command costs: an estimate."""
CAP_SLACK_W = 0.05
"""Sums of limits are compared with the cap to within this, half of the 0.1 W in which limits are sent."""


@dataclass(frozen=True, slots=True)
class SetLimit:
    """Set the limit of one inverter, W AC."""

    serial: str
    limit_w: float


@dataclass(frozen=True, slots=True)
class SetPower:
    """Switch one inverter's output."""

    serial: str
    on: bool


@dataclass(frozen=True, slots=True)
class Restart:
    """Restart one inverter; it loses its limit."""

    serial: str
    number: int = 1
    """1 for the first restart of this inverter since the program's start."""


@dataclass(frozen=True, slots=True)
class Reboot:
    """Restart a DTU; its inverters go on as they are."""

    dtu: str
    number: int = 1
    """1 for the first reboot of this DTU since the program's start."""


Command = SetLimit | SetPower | Restart
"""What one inverter is told."""


@dataclass(frozen=True, slots=True)
class DesiredState:
    """What one inverter should do."""

    limit_w: float
    """Limit in W; the minimum for one that is to be off."""
    is_on: bool = True
    is_urgent: bool = False
    """It must not wait: even a small fall may replace a limit that is still waiting."""
    may_wake: bool = True
    """It may be switched on even if we did not switch it off."""
    is_guarded: bool = False
    """A guard demands it; it is not only unknown what the inverter does."""
    must_fit: bool = False
    """The plant is above the cap, so that even the smallest fall counts."""


def allowed(
    now_s: float, desired: Mapping[str, DesiredState], trackers: Mapping[str, InverterTracker], cap_w: float
) -> list[Command]:
    """Return the commands that may go out now, falls first, so that the sum of what is possible stays below `cap_w`."""
    order = sorted(desired, key=lambda serial: desired[serial].limit_w - trackers[serial].highest_w)
    going: list[Command] = []
    rises: list[SetLimit] = []
    for serial in order:
        tracker, state = trackers[serial], desired[serial]
        if not state.is_on and tracker.needs_power(now_s, on=False):
            going.append(SetPower(serial, on=False))
        if _may_set(now_s, tracker, state):
            command = SetLimit(serial, _rounded_w(state.limit_w))
            (rises if command.limit_w > tracker.highest_w else going).append(command)
    spare_w = cap_w - sum(t.highest_w for t in trackers.values())
    for command in rises:
        tracker = trackers[command.serial]
        limit_w = min(command.limit_w, _rounded_w(tracker.highest_w + spare_w))
        least_w = max((tracker.wanted_w or 0.0) + SMALLEST_CHANGE_W, _rounded_w(tracker.unit.minimum_w))
        if limit_w >= least_w:
            spare_w -= limit_w - tracker.highest_w
            going.append(SetLimit(command.serial, limit_w))
    for serial in order:
        tracker, state = trackers[serial], desired[serial]
        may_switch = state.is_on and (state.may_wake or tracker.power.is_commanded_off)
        more_w = tracker.limits.highest_w - tracker.highest_w
        if may_switch and tracker.needs_power(now_s, on=True) and (more_w == 0 or more_w <= spare_w + CAP_SLACK_W):
            spare_w -= more_w
            going.append(SetPower(serial, on=True))
    return going


def room_left_w(trackers: Mapping[str, InverterTracker], commands: Sequence[Command], cap_w: float) -> float:
    """Return what the cap leaves in W when all commands are sent and every inverter that is off comes on again."""
    told_w = {c.serial: c.limit_w for c in commands if isinstance(c, SetLimit)}
    return cap_w - sum(max(t.limits.highest_w, told_w.get(s, 0.0)) for s, t in trackers.items())


def refresh(
    now_s: float, desired: Mapping[str, DesiredState], trackers: Mapping[str, InverterTracker], room_w: float
) -> list[Command]:
    """Return at most one repetition of a limit that rules, for the inverter that has waited longest.

    A limit below the minimum is not ours: the minimum takes its place when `room_w` suffices.
    """
    due = [
        t
        for s, t in trackers.items()
        if desired[s].is_on and t.needs_refresh(now_s) and t.unit.minimum_w - (t.limit_w or 0.0) <= max(room_w, 0.0)
    ]
    if not due or any(t.is_pending and not t.is_lost for t in trackers.values()):
        return []
    tracker = min(due, key=lambda t: t.limits.posted_at_s)
    return [
        SetLimit(
            tracker.unit.serial,
            _rounded_w(min(max(tracker.limit_w or 0.0, tracker.unit.minimum_w), tracker.unit.maximum_w)),
        )
    ]


def shutdown_commands(trackers: Iterable[InverterTracker], *, off: bool, asked: bool) -> list[Command]:
    """Return what each inverter is told when the program ends.

    One that was never commanded and is at its minimum is left alone unless a limit is on its way. So is one whose limit
    is unknown, for a program that fails again and again at its start must not keep the radio busy; but not when the
    program is `asked` to end, for its last life may have ended without a word.
    """
    left = [
        t
        for t in trackers
        if t.limits.was_commanded or t.is_pending or _rules_w(t, asked=asked) > t.unit.minimum_w + CAP_SLACK_W
    ]
    if off:
        return [SetPower(tracker.unit.serial, on=False) for tracker in left]
    return [SetLimit(tracker.unit.serial, tracker.unit.minimum_w) for tracker in left]


def _rules_w(tracker: InverterTracker, *, asked: bool) -> float:
    known_w = tracker.wanted_w
    return known_w if known_w is not None else math.inf if asked else 0.0


def _may_set(now_s: float, tracker: InverterTracker, state: DesiredState) -> bool:
    limits, known_w = tracker.limits, tracker.wanted_w
    if now_s < limits.held_until_s or (limits.is_foreign_pending and not limits.has_failed and not state.is_guarded):
        return False
    if known_w is None:
        return now_s - limits.posted_at_s >= tracker.unit.refresh_s
    if limits.is_foreign_pending and limits.has_failed:  # replaced before the DTU sends it again
        return True
    is_new = not limits.is_ours and not limits.was_commanded and state.limit_w > tracker.unit.minimum_w + CAP_SLACK_W
    if abs(state.limit_w - known_w) < (
        CAP_SLACK_W if state.must_fit and state.limit_w < known_w else SMALLEST_CHANGE_W
    ):
        return is_new and not tracker.is_pending and state.may_wake
    if state.limit_w < known_w:
        may_replace = tracker.contact.is_overdue or (
            known_w - state.limit_w > REPLACE_PENDING_W and not limits.has_replaced
        )
        return not tracker.is_pending or state.is_urgent or may_replace
    spaced = now_s - limits.raised_at_s >= tracker.unit.raise_spacing_s
    return not tracker.is_pending and spaced


def _rounded_w(limit_w: float) -> float:
    return math.floor(limit_w * 10 + 1e-6) / 10
