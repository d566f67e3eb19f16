"""What each inverter should do: its limit, on or off, within the cap."""

from __future__ import annotations

from collections.abc import Mapping

from opendtu_dcload.control.commands.command_policy import CAP_SLACK_W, DesiredState
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.protection.permit import Permit
from opendtu_dcload.control.regulation.dispatch import fit_to_cap

BLIND_S = 60.0
"""An inverter whose data have been stale for so long, though commands may reach it, gets its minimum."""


def desired_states(
    now_s: float,
    outputs_w: Mapping[str, float],
    trackers: Mapping[str, InverterTracker],
    permit: Permit,
    *,
    may_begin: bool,
) -> dict[str, DesiredState]:
    """Return what each inverter should do: unknown limits to the minimum, off where the cap leaves no minimum.

    Args:
        now_s: monotonic time.
        outputs_w: new outputs of those that must change, W.
        trackers: all inverters by serial.
        permit: what protection allows.
        may_begin: an inverter may get its first limit of ours, for the meter is heard.
    """
    is_on = _who_is_on(now_s, trackers, permit)
    limits_w = {s: _limit_w(t, outputs_w.get(s), now_s, permit, may_begin) for s, t in trackers.items()}
    free = [s for s, t in trackers.items() if not (t.is_lost or t.limits.is_foreign_pending)]
    within_w = {s: limits_w[s] if is_on[s] else 0.0 for s in free}
    minima_w = {s: trackers[s].unit.minimum_w if is_on[s] else 0.0 for s in free}
    fixed_w = sum(t.highest_w for s, t in trackers.items() if s not in within_w)
    limits_w |= fit_to_cap(within_w, minima_w, permit.cap_w - fixed_w)
    must_fit = sum(t.highest_w - t.limits.cut_off_w for t in trackers.values()) > permit.cap_w
    return {
        serial: DesiredState(
            limits_w[serial] if is_on[serial] else tracker.unit.minimum_w,
            is_on=is_on[serial],
            is_urgent=permit.is_urgent or tracker.wanted_w is None,
            may_wake=permit.may_regulate,
            is_guarded=permit.is_urgent,
            must_fit=must_fit,
        )
        for serial, tracker in trackers.items()
    }


def _who_is_on(now_s: float, trackers: Mapping[str, InverterTracker], permit: Permit) -> dict[str, bool]:
    """Return of each whether it should be on: as many as the cap leaves room for with their minima."""
    missing = [t for t in trackers.values() if t.contact.is_missing(now_s)]
    left_w = permit.cap_w - sum(t.highest_w for t in missing if t.is_lost)
    # One that only just came back may be gone again at once: for some time nobody is switched on in its room.
    kept_w = sum(max(t.highest_w - t.unit.minimum_w, 0.0) for t in missing if not t.is_lost)
    is_on: dict[str, bool] = {}
    for serial, tracker in sorted(trackers.items(), key=lambda item: item[1].power.is_commanded_off):
        minimum_w, is_commanded_off = tracker.unit.minimum_w, tracker.power.is_commanded_off
        room_w = permit.cap_w if tracker.is_lost else left_w - (kept_w if is_commanded_off else 0.0)
        may_be_on = not tracker.is_switched_off and (permit.may_regulate or not is_commanded_off)
        is_on[serial] = may_be_on and room_w >= minimum_w - CAP_SLACK_W
        left_w -= minimum_w if is_on[serial] and not tracker.is_lost else 0.0
    return is_on


def _limit_w(tracker: InverterTracker, output_w: float | None, now_s: float, permit: Permit, may_begin: bool) -> float:
    unit = tracker.unit
    is_blind = tracker.status is not None and not tracker.is_fresh and now_s - tracker.contact.fresh_at_s > BLIND_S
    is_doubtful = tracker.output.excess.is_on or tracker.limits.is_foreign_pending
    if tracker.wanted_w is None or tracker.power.is_commanded_off or is_blind or is_doubtful:
        return unit.minimum_w
    if not tracker.power.is_producing:
        return tracker.power.waking_w if tracker.is_asleep(now_s) and permit.may_regulate else unit.minimum_w
    # What was shown before our first limit may not rule at all, so it is not kept longer than it must be.
    begins = may_begin and permit.may_regulate and tracker.is_usable and tracker.status is not None
    if output_w is None and (tracker.limits.was_commanded or not begins):
        return min(tracker.wanted_w, tracker.ceiling_w)
    limit_w = tracker.output.limit_for_w(tracker.final_w if output_w is None else output_w)
    return min(max(limit_w, unit.minimum_w), tracker.ceiling_w)
