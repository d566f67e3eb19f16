"""One inverter that is tracked, and what its DTU says of it."""

from __future__ import annotations

from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.model import CommandState, InverterStatus, LimitStatus

SERIAL = "1124a0000001"
UNIT = InverterParameters(
    SERIAL,
    minimum_w=20,
    maximum_w=400,
    rated_w=400,
    dead_time_s=2,
    credit_s=8,
    raise_spacing_s=5,
    refresh_s=210,
)
OK, PENDING, FAILURE = CommandState.OK, CommandState.PENDING, CommandState.FAILURE


def shown(at_s: float, limit_w: float | None, state: CommandState = OK, rated_w: float | None = 400.0) -> LimitStatus:
    """What the DTU says: limits in whole 0.1 %."""
    pct = None if limit_w is None else int(limit_w / (rated_w or 400) * 1000 + 1e-9) / 10
    return LimitStatus(SERIAL, at_s, pct, rated_w, state)


def status(at_s: float, output_w: float, *, reachable: bool = True) -> InverterStatus:
    return InverterStatus(SERIAL, "", at_s, at_s, reachable, ac_power_w=output_w)


def known(limit_w: float = 200.0) -> InverterTracker:
    """An inverter that has acknowledged a limit of ours and gives it."""
    tracker = InverterTracker(UNIT)
    tracker.apply_limit_status(shown(-60.0, 20.0), -60.0)
    tracker.post(-50.0, limit_w, -50.0)
    tracker.apply_limit_status(shown(-47.0, limit_w), -47.0)
    tracker.apply_measurement(status(0.0, limit_w), 0.0, 20.0)
    return tracker


def feed(tracker: InverterTracker, *statuses: LimitStatus) -> list[bool]:
    return [tracker.apply_limit_status(s, s.at_s) for s in statuses]


def settle(tracker: InverterTracker, since_s: float, limit_w: float, output_w: float) -> None:
    """Let a limit of ours be acknowledged, and the output be measured for a minute."""
    tracker.post(since_s, limit_w, since_s)
    feed(tracker, shown(since_s + 3, limit_w))
    for at_s in range(int(since_s) + 20, int(since_s) + 80, 5):
        tracker.apply_measurement(status(float(at_s), output_w), float(at_s), 20.0)
