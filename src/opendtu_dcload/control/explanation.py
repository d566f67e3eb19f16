"""The plan: what was decided and why, of the plant and of each inverter."""

from __future__ import annotations

from collections.abc import Mapping

from opendtu_dcload.control.commands.command_policy import DesiredState
from opendtu_dcload.control.dtu_settings import NOTES
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.model import InverterPlan, Plan, Reason, RelayOrder


def plan_of(
    now_s: float,
    desired: Mapping[str, DesiredState],
    trackers: Mapping[str, InverterTracker],
    cap_w: float,
    reason: Reason,
    relay: RelayOrder,
    wait: str,
) -> Plan:
    """Return the plan; `cap_w` is what the plant may give at most, and `reason` why it gives what it gives.

    `wait` says why the regulator lets a difference be: of a plant that is held by something else it tells nothing.
    """
    has_several_dtus = len({tracker.unit.dtu for tracker in trackers.values()}) > 1
    inverters = tuple(
        InverterPlan(
            serial,
            state.limit_w if state.is_on else 0.0,
            state.is_on,
            note(trackers[serial], has_several_dtus=has_several_dtus),
        )
        for serial, state in desired.items()
    )
    told = wait if reason is Reason.REGULATING else ""
    return Plan(now_s, sum(i.limit_w for i in inverters), cap_w, reason, inverters, relay, wait=told)


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
