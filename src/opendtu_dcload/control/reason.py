"""Why the plant gives what it gives: the first of several answers that is true."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from opendtu_dcload.control.commands.command_policy import CAP_SLACK_W
from opendtu_dcload.control.decision import Seen
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.protection.permit import Permit
from opendtu_dcload.control.regulation.operating_range import OperatingRange
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import Reason

ODD_EXPORT_W = 50.0
"""Export that exceeds the plant's output by this much comes from somebody else, or from a meter turned round: an
estimate."""
FEEDS_W = 30.0
"""An unreachable inverter that gives this much more than its minimum is reported: an estimate."""
NEARLY_W = 10.0
"""The last watts below the ceiling are not worth a command, even while the house draws more: an estimate."""


def reason_of(
    seen: Seen,
    permit: Permit,
    plant_range: OperatingRange,
    trackers: Mapping[str, InverterTracker],
    settings: Settings,
    meter_doubt: Reason | None,
    *,
    is_shared: bool,
) -> Reason:
    """Return the plant's reason.

    Args:
        seen: what the decision was made from.
        permit: what the guards leave.
        plant_range: what the plant gives and could give.
        trackers: all inverters by serial.
        settings: the grid power wanted, and which inverters the user has switched off.
        meter_doubt: what the meter was last suspected of, until an answer disproved it.
        is_shared: somebody else sets limits too.
    """
    if permit.reason is Reason.GUARD_ESCALATED:
        return permit.reason
    all_trackers = trackers.values()
    if seen.meter is None or not seen.dtus:
        return Reason.STARTING
    if all(troubles := [t.contact.trouble for t in all_trackers]):
        return Reason.DTU_PASSWORD if Reason.DTU_PASSWORD in troubles else Reason.DTU_SILENT
    if permit.reason is not None:
        return permit.reason
    if is_shared:
        return Reason.FOREIGN_LIMITS
    if sum(t.highest_w for t in all_trackers if t.contact.is_missing(seen.now_s)) > permit.cap_w:
        return Reason.CAP_UNREACHABLE
    if (doubt := _disobedience(all_trackers, seen.now_s)) is not None:
        return doubt
    if not any(t.is_usable for t in all_trackers):
        wanted = [tracker for serial, tracker in trackers.items() if serial not in settings.switched_off]
        if not wanted:
            return Reason.SWITCHED_OFF
        has_room = permit.cap_w >= min(t.unit.minimum_w for t in wanted) - CAP_SLACK_W
        return Reason.NO_INVERTER if has_room else permit.cap_reason
    grid_w = seen.meter.power_w
    is_short = grid_w > settings.target_w + NEARLY_W
    if plant_range.committed_w <= plant_range.floor_w + 1 and not _is_at_cap(is_short, permit, plant_range):
        is_odd = grid_w < -plant_range.committed_w - ODD_EXPORT_W
        return (meter_doubt if is_odd else None) or Reason.ALL_AT_MINIMUM
    return _bound(is_short, permit, plant_range, all_trackers)


def _is_at_most(is_short: bool, plant_range: OperatingRange) -> bool:
    return plant_range.committed_w >= plant_range.ceiling_w - (NEARLY_W if is_short else 1)


def _is_at_cap(is_short: bool, permit: Permit, plant_range: OperatingRange) -> bool:
    is_guarded = permit.cap_reason is not Reason.FEED_IN_CAP
    return plant_range.is_capped and (is_short or is_guarded) and _is_at_most(is_short, plant_range)


def _bound(
    is_short: bool, permit: Permit, plant_range: OperatingRange, trackers: Collection[InverterTracker]
) -> Reason:
    """Return what bounds a plant that regulates; `is_short`: the house draws more than it is to."""
    is_at_most = _is_at_most(is_short, plant_range)
    if is_at_most and plant_range.is_capped:
        return permit.cap_reason
    if is_short and any(t.is_usable and t.output.held_w is not None for t in trackers):
        return Reason.HELD
    return Reason.ALL_AT_RATED if is_at_most else Reason.REGULATING


def _disobedience(trackers: Collection[InverterTracker], now_s: float) -> Reason | None:
    """Return why some inverter does not do what it is told, None when all do as far as is known."""
    lost = [
        t
        for t in trackers
        if t.contact.is_missing(now_s) and t.is_lost and not t.is_fresh and t.contact.trouble is None
    ]
    if any(t.final_w > t.unit.minimum_w + FEEDS_W for t in lost):
        return Reason.LOST_FEEDS
    if any(t.limits.is_ignored(now_s) for t in trackers):
        return Reason.COMMANDS_IGNORED
    if any(t.limits.is_unconfirmed(now_s) and t.is_fresh for t in trackers):
        return Reason.UNCONFIRMED
    return None
