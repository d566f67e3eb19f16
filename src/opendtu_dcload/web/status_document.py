"""What is known now as the document of `/api/state`; docs/web.md tells what each name means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from opendtu_dcload import __version__
from opendtu_dcload.config import Config
from opendtu_dcload.control.from_config import settings_of
from opendtu_dcload.freshness import BATTERY_S, METER_SHOWN_S, fresh
from opendtu_dcload.model import BATTERY, METER, Alarm, Cause, InverterStatus, Reason
from opendtu_dcload.state import State
from opendtu_dcload.time_words import ago, lasted
from opendtu_dcload.web.moment import Eye, InverterNow, Moment, Totals
from opendtu_dcload.web.quantities import BATTERY as BATTERY_NUMBERS
from opendtu_dcload.web.quantities import INVERTER, MEASURED, PLANT, SOLAR, TODAY, Json, numbers
from opendtu_dcload.web.quantities import METER as METER_NUMBERS

VERSION = 1
"""Of the interface: names may be added to it, none goes or changes its meaning within a version."""
PROGRAM = "opendtu_dcload"
NO_DECISION = "NO_DECISION"
"""Name of the reason while the control does not decide."""
EXPLAINED = "/reasons.html#"
"""Where the page explains a reason, and behind `alarm-` an alarm."""
LIVE_S = 30.0
"""A relay that was not heard of for longer is lost: it is read every 5 s."""


class StatusDocument:
    """Makes the document."""

    def __init__(
        self,
        config: Config,
        state: State,
        clock: Callable[[], float],
        set_points: Callable[[], dict[str, Json]],
        *,
        is_dry: bool,
    ) -> None:
        """Look at nothing yet.

        Args:
            config: all settings.
            state: what is shown.
            clock: monotonic time in s.
            set_points: tells what is set now, as a part of the document.
            is_dry: nothing is commanded.
        """
        self.eye = Eye(config, state)
        self._config = config
        self._state = state
        self._clock = clock
        self._set_points = set_points
        self._is_dry = is_dry
        self._started_at_s = clock()
        self._dtus = settings_of(config).dtus
        self._names = {inverter.serial: inverter.name for inverter in config.inverters}

    def made(self, now_s: float, at: datetime, totals: Totals, days: list[Json]) -> dict[str, Json]:
        """Return the document of this moment, at that time, with what was counted today and before."""
        state, moment = self._state, self.eye.moment(now_s, totals)
        inverters = self.eye.inverters(now_s)
        set_points = self._set_points()
        return {
            "version": VERSION,
            "at": iso(at),
            "program": {
                "name": PROGRAM,
                "version": __version__,
                "uptime_s": round(now_s - self._started_at_s),
                "is_dry": self._is_dry,
            },
            "plant": {
                **numbers(PLANT, moment),
                "reason": self._reason(moment),
                "wait": (moment.plan.wait or None) if moment.plan is not None else None,
            },
            "meter": self._meter(moment),
            "solar": self._solar(moment),
            "battery": self._battery(now_s),
            "inverters": [self._inverter(inverter, now_s) for inverter in inverters],
            "devices": list(self._devices(moment, inverters)),
            "alarms": [_alarm(alarm, now_s) for alarm in state.alarms],
            "set_points": set_points,
            "today": numbers(TODAY, moment),
            "days": days,
        }

    def _reason(self, moment: Moment) -> dict[str, Json]:
        plan = moment.plan
        if plan is not None:
            return {"name": plan.reason.name, "text": plan.words, "link": f"{EXPLAINED}{plan.reason.name}"}
        if self._state.plan is None:
            name = Reason.STARTING.name
            return {"name": name, "text": str(Reason.STARTING), "link": f"{EXPLAINED}{name}"}
        silent_s = moment.now_s - self._state.plan.at_s
        return {"name": NO_DECISION, "text": f"no decision for {lasted(silent_s)}", "link": None}

    def _meter(self, moment: Moment) -> dict[str, Json]:
        info, reading = self._state.meter_info, fresh(self._state.meter, moment.now_s, METER_SHOWN_S)
        phases = reading.phases if reading is not None else (None, None, None)
        return {
            "name": self._meter_name(),
            "model": f"{info.vendor} {info.model}" if info is not None else None,
            "address": self._config.meter.host or "GX",
            **numbers(METER_NUMBERS, moment),
            "is_fresh": reading is not None,
            "phases_w": [None if phase is None else round(phase.power_w, 1) + 0.0 for phase in phases],
        }

    def _meter_name(self) -> str:
        info = self._state.meter_info
        return self._config.dbus.meter_name or (info and (info.name or f"{info.vendor} {info.model}")) or METER

    def _solar(self, moment: Moment) -> Json:
        if self._config.solar is None:
            return None
        solar = numbers(SOLAR, moment)
        return {"address": self._config.solar.host, **solar, "is_fresh": solar["power_w"] is not None}

    def _battery(self, now_s: float) -> Json:
        battery = self._state.battery
        if battery is None:
            return None
        counts = None if battery.is_frozen else fresh(battery, now_s, BATTERY_S)
        return {
            **numbers(BATTERY_NUMBERS, counts),
            "age_s": round(max(now_s - battery.at_s, 0.0), 1),
            "source": battery.service,
        }

    def _inverter(self, inverter: InverterNow, now_s: float) -> Json:
        plan, record = inverter.plan, inverter.record
        return {
            "serial": inverter.serial,
            "name": self._name_of(inverter),
            "is_on": plan.is_on if plan is not None else None,
            **numbers(MEASURED, inverter.status),
            **numbers(INVERTER, inverter),
            "is_fresh": inverter.status is not None,
            "is_reachable": inverter.known.reachable if inverter.known is not None else None,
            "is_enabled": inverter.serial not in self._state.overrides.switched_off,
            "note": plan.note if plan is not None else "",
            "last_command": record.last or None,
            "last_outcome": record.outcome.name if record.outcome is not None else None,
            "last_command_age_s": round(max(now_s - record.at_s, 0.0)) if record.outcome is not None else None,
        }

    def _name_of(self, inverter: InverterNow) -> str:
        return self._names[inverter.serial] or (inverter.known and inverter.known.name) or inverter.serial

    # How the devices are

    def _devices(self, moment: Moment, inverters: list[InverterNow]) -> Iterator[Json]:
        state, now_s = self._state, moment.now_s
        lost = {alarm.subject for alarm in state.alarms if alarm.cause in {Cause.METER_LOST, Cause.INVERTER_LOST}}
        yield _device(self._meter_name(), "meter", moment.meter_age_s, METER_SHOWN_S, is_lost=METER in lost)
        for dtu in self._config.dtus:
            status, settings = state.dtus.get(dtu.name), self._dtus[dtu.name]
            name = dtu.name if len(self._config.dtus) > 1 else "OpenDTU"
            if settings.trouble(status, now_s) is Reason.DTU_PASSWORD:
                yield {"name": name, "kind": "dtu", "health": "old", "text": str(Reason.DTU_PASSWORD)}
            else:
                age_s = None if status is None else max(now_s - status.at_s, 0.0)
                yield _device(name, "dtu", age_s, settings.silent_s, is_lost=True)
        for inverter in inverters:
            yield self._inverter_health(inverter, is_lost=inverter.serial in lost)
        if (battery := state.battery) is not None:
            if battery.is_frozen:
                text = str(Cause.BATTERY_FROZEN)
                yield {"name": battery.service, "kind": BATTERY, "health": "old", "text": text}
            else:
                yield _device(battery.service, BATTERY, now_s - battery.at_s, BATTERY_S, is_lost=True)
        if self._config.relay is not None:
            age_s = None if state.relay is None else max(now_s - state.relay.at_s, 0.0)
            yield _device("relay", "relay", age_s, LIVE_S, is_lost=True)

    def _inverter_health(self, inverter: InverterNow, *, is_lost: bool) -> Json:
        name, known = self._name_of(inverter), inverter.known
        if inverter.status is not None:
            return {"name": name, "kind": "inverter", "health": "well", "text": "answers"}
        health = "unknown" if known is None else "lost" if is_lost else "old"
        return {"name": name, "kind": "inverter", "health": health, "text": _why_old(known, inverter.age_s)}


def iso(at: datetime) -> str:
    """Return a time in UTC as ISO 8601."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _why_old(known: InverterStatus | None, age_s: float | None) -> str:
    if known is None or age_s is None:
        return "was never heard of"
    return f"last heard of {ago(age_s)}" if known.reachable else "its DTU does not reach it"


def _device(name: str, kind: str, age_s: float | None, fresh_s: float, *, is_lost: bool) -> Json:
    if age_s is None:
        return {"name": name, "kind": kind, "health": "unknown", "text": "has not answered yet"}
    if age_s <= fresh_s:
        return {"name": name, "kind": kind, "health": "well", "text": "answers"}
    health = "lost" if is_lost else "old"
    return {"name": name, "kind": kind, "health": health, "text": f"no good answer for {lasted(age_s)}"}


def _alarm(alarm: Alarm, now_s: float) -> Json:
    return {
        "cause": alarm.cause.name,
        "subject": alarm.subject,
        "severity": alarm.severity.name.lower(),
        "text": alarm.text,
        "since_s": round(max(now_s - alarm.since_s, 0.0)),
        "link": f"{EXPLAINED}alarm-{alarm.cause.name}",
    }
