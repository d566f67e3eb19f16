"""One inverter: can it be set, is its limit known, and what does its battery say?"""

from __future__ import annotations

import math

from opendtu_dcload.config import Config, InverterConfig, OpenDtuConfig
from opendtu_dcload.control.bookkeeping.alarms import HIGHEST_INPUT_V
from opendtu_dcload.control.from_config import parameters_of, settings_of
from opendtu_dcload.devices.hoymiles import measurable_w
from opendtu_dcload.devices.opendtu.opendtu_client import LiveData
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.freshness import fresh
from opendtu_dcload.model import DtuStatus, InverterStatus, LimitStatus

_NO_OTHER = "add it there, it knows no other than those listed"

FLOOR_V = (8.0, HIGHEST_INPUT_V)
"""The range that battery.min_voltage_v makes sense in; the configuration takes more."""
FLOOR_SHARES = (0.6, 1.2)
"""A floor as a share of the voltage that the battery has: from empty to full a lithium cell rises by half."""


def suits(floor_v: float, now_v: float) -> bool:
    """Tell whether a floor in V can be meant for a battery that has `now_v`, be that full or empty."""
    lowest, highest = FLOOR_SHARES
    return lowest * now_v <= floor_v <= highest * now_v


def unknown(config: Config, inverter: InverterConfig, live: LiveData) -> tuple[str, str]:
    """Return what is wrong with an inverter that its DTU does not know, and what to do."""
    listed = {other.serial for other in config.inverters}
    others = ", ".join(f"{other.serial} ({other.name})" for other in live.known if other.serial not in listed)
    advice = f"correct the serial, or add it there; it knows {others}" if others else _NO_OTHER
    return f"inverter {inverter.serial} is not known to the {config.dtu_of(inverter).label}", advice


def counts_s(config: Config, dtu: OpenDtuConfig, live: LiveData, interval_s: float) -> float:
    """Return the age in s up to which the control takes an inverter's values.

    `interval_s` is the time between two readings by radio as the DTU tells it; 0 = it does not.
    """
    told = DtuStatus(at_s=0.0, round_s=interval_s * len(live.known))
    return settings_of(config).dtus[dtu.name].freshness_s(told)


def check_inverter(
    config: Config,
    inverter: InverterConfig,
    status: InverterStatus,
    limit: LimitStatus,
    findings: Findings,
    *,
    max_age_s: float,
) -> None:
    """Tell what the DTU knows of a listed inverter and what is in the way of commanding it.

    Its values are fresh up to an age of `max_age_s`.
    """
    dtu = config.dtu_of(inverter)
    unit = parameters_of(inverter, dtu.name, limit.rated_w)
    name = f"inverter {inverter.serial}"
    rated = f"{limit.rated_w:.0f} W rated" if limit.rated_w else "rated power not known yet"
    findings.ok(f"{name} {status.name!r}: {rated}, will be set from {unit.minimum_w:.0f} to {unit.maximum_w:.0f} W")
    if limit.rated_w is None and status.reachable:
        findings.problem(
            f"{name}: OpenDTU does not know this model, or has only just started: it shows no rated power",
            "ask again in a minute; if it stays so, update OpenDTU",
        )
    elif limit.limit_pct is None:
        findings.note(
            f"{name}: OpenDTU does not know its limit", "nothing to do, the service sends it its minimum first"
        )
    else:
        findings.ok(f"{name}: limit now {limit.limit_pct:.1f} %")
    if not status.reachable:
        findings.problem(
            f"{name}: OpenDTU does not reach it by radio",
            "an inverter without DC power answers to nobody; else move the DTU nearer or correct the serial there",
        )
    elif status.ac_power_w is None:
        findings.problem(
            f"{name}: OpenDTU has not heard what it gives since it started",
            "ask again in a minute; if it stays so, move the DTU nearer",
        )
    elif fresh(status, status.answered_at_s, max_age_s) is None:
        age_s = status.answered_at_s - status.at_s
        findings.problem(
            f"{name}: OpenDTU heard of it {age_s:.0f} s ago only", "move the DTU nearer, see its radio statistics"
        )
    if inverter.min_power_w and unit.minimum_w < inverter.min_power_w:
        findings.problem(f"{name}: min_power_w is above its rated power", "lower inverter.min_power_w")
    _check_battery(config.battery.min_voltage_v, name, status.battery_voltage_v, findings)
    good_w = measurable_w(inverter.serial, status.battery_voltage_v or math.inf)
    if unit.maximum_w > good_w:
        findings.note(
            f"{name}: on a 24 V battery it may swing above {good_w:.0f} W, where it gives more than it measures",
            f"if it does, set inverter.max_power_w = {good_w:.0f}",
        )


def _check_battery(floor_v: float | None, name: str, voltage_v: float | None, findings: Findings) -> None:
    if floor_v is None or voltage_v is None:
        return
    text = f"{name}: battery {voltage_v:.1f} V"
    if not suits(floor_v, voltage_v):
        findings.problem(f"{text} does not suit battery.min_voltage_v = {floor_v:g}", "correct the setting")
    elif voltage_v < floor_v:
        findings.problem(f"{text} is below battery.min_voltage_v = {floor_v:g}", "charge it, or correct the setting")
    else:
        findings.ok(f"{text}, floor {floor_v:g} V")
