"""What is said of one inverter in a plan."""

from __future__ import annotations

from opendtu_dcload.control.dtu_settings import NOTES
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.model import Reason


def note(tracker: InverterTracker, *, has_several_dtus: bool) -> str:
    """Return why an inverter differs from the plant's plan; empty when it does not."""
    if tracker.contact.trouble and has_several_dtus:
        return NOTES[tracker.contact.trouble]
    if tracker.standby_count:
        return f"standby, number {tracker.standby_count} since the start"
    if tracker.is_switched_off:
        return Reason.SWITCHED_OFF
    if not tracker.is_fresh:
        return "no fresh data"
    if tracker.wanted_w is None:
        return "limit unknown"
    if not tracker.power.is_producing:
        return "switched off" if tracker.power.is_commanded_off else "gives no power yet"
    if tracker.output.held_w is not None:
        return "held by something else than its limit"
    return "too hot for full power" if tracker.ceiling_w < tracker.unit.maximum_w else ""
