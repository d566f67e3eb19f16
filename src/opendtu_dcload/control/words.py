"""What is said of one inverter in a plan."""

from __future__ import annotations

from opendtu_dcload.control.dtu import NOTES
from opendtu_dcload.control.track import Track
from opendtu_dcload.model import Reason


def note(track: Track, *, has_several_dtus: bool) -> str:
    """Return why an inverter differs from the plant's plan; empty when it does not."""
    if track.trouble and has_several_dtus:
        return NOTES[track.trouble]
    if track.rests:
        return f"standby, number {track.rests} since the start"
    if track.is_switched_off:
        return Reason.SWITCHED_OFF
    if not track.is_fresh:
        return "no fresh data"
    if track.wanted_w is None:
        return "limit unknown"
    if not track.is_producing:
        return "switched off" if track.is_told_off else "gives no power yet"
    if track.held_w is not None:
        return "held by something else than its limit"
    return "too hot for full power" if track.ceiling_w < track.unit.maximum_w else ""
