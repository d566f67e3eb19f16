"""A running service's document of `/api/state` as a state, so that the same words are said of it as by the service."""

from __future__ import annotations

import math
from typing import TypeVar

from opendtu_dcload.devices import json_fields
from opendtu_dcload.devices.json_fields import child, flag, number, text
from opendtu_dcload.live.live_plant import Source
from opendtu_dcload.model import InverterPlan, InverterStatus, MeterReading, Plan, Reason, SolarReading
from opendtu_dcload.state import State
from opendtu_dcload.tallies import CommandRecord, Outcome

_DTU = "service"
_MOST_W = 1e6
_LONGEST_S = 1e9
_SOURCE: Source = (_DTU, lambda _: math.inf)
"""The service itself says which values count."""

Member = TypeVar("Member", Reason, Outcome)


class RemotePlant:
    """The state as the service tells it."""

    def __init__(self) -> None:
        self.state = State()
        self.sources: dict[str, Source] = {}
        """As `LivePlant.of` wants them."""

    def take(self, document: object, now_s: float) -> None:
        """Take a document that has come at a monotonic time; what makes no sense in it is not known."""
        plant, state = child(document, "plant"), self.state
        meter_age_s = number(child(document, "meter"), "age_s", 0, _LONGEST_S)
        grid_w = number(plant, "grid_w", -_MOST_W, _MOST_W)
        if grid_w is not None and meter_age_s is not None:
            state.set_meter(MeterReading(now_s - meter_age_s, grid_w))
        else:
            state.meter = None
        solar_w = number(child(document, "solar"), "power_w", 0, _MOST_W)
        state.solar = None if solar_w is None else SolarReading(now_s, solar_w)
        inverters = json_fields.items(document, "inverters")
        serials = [text(inverter, "serial") for inverter in inverters]
        self.sources.clear()
        self.sources.update(dict.fromkeys(serials, _SOURCE))
        state.set_inverters(
            _DTU, {serial: _status(serial, one, now_s) for serial, one in zip(serials, inverters, strict=True)}
        )
        state.set_commands({serial: _record(one, now_s) for serial, one in zip(serials, inverters, strict=True)})
        self._take_plan(document, inverters, now_s)

    def _take_plan(self, document: object, inverters: list[object], now_s: float) -> None:
        plant = child(document, "plant")
        reason = _member(Reason, text(child(plant, "reason"), "name"))
        cap_w = number(plant, "cap_w", 0, _MOST_W)
        if reason is None or cap_w is None:  # the control does not decide: what it said last grows old
            return
        plans = [_plan(one) for one in inverters]
        self.state.set_plan(
            Plan(
                now_s,
                number(plant, "set_point_w", 0, _MOST_W) or 0.0,
                cap_w,
                reason,
                tuple(plan for plan in plans if plan is not None),
                is_dry=flag(child(document, "program"), "is_dry") or False,
                wait=text(plant, "wait", 200),
            )
        )


def _status(serial: str, inverter: object, now_s: float) -> InverterStatus:
    age_s = number(inverter, "age_s", 0, _LONGEST_S) or 0.0
    return InverterStatus(
        serial,
        text(inverter, "name"),
        now_s,
        now_s - age_s,
        reachable=flag(inverter, "is_fresh") or False,
        ac_power_w=number(inverter, "output_w", -_MOST_W, _MOST_W),
    )


def _plan(inverter: object) -> InverterPlan | None:
    told_w, is_on = number(inverter, "told_w", 0, _MOST_W), flag(inverter, "is_on")
    if told_w is None or is_on is None:
        return None
    return InverterPlan(text(inverter, "serial"), told_w, is_on, text(inverter, "note", 200))


def _record(inverter: object, now_s: float) -> CommandRecord:
    last, outcome = text(inverter, "last_command"), _member(Outcome, text(inverter, "last_outcome"))
    age_s = number(inverter, "last_command_age_s", 0, _LONGEST_S)
    if outcome is None or age_s is None:
        return CommandRecord()
    return CommandRecord(last=last, is_limit=last.startswith("limit"), outcome=outcome, at_s=now_s - age_s)


def _member(kind: type[Member], name: str) -> Member | None:
    return kind[name] if name in kind.__members__ else None
