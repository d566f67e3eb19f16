"""What is wrong now: alarms that come once, last as long as their cause, and end by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from opendtu_dcload.control.inverter.derating import RANGE_K
from opendtu_dcload.control.inverter.output_rules import tolerated_w
from opendtu_dcload.control.protection.hysteresis import DwellLatch
from opendtu_dcload.control.reason_delays import alarm_after_s
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.freshness import believed
from opendtu_dcload.model import BATTERY, METER, Alarm, Cause, InverterPlan, InverterStatus, Reason, Severity
from opendtu_dcload.state import State

CLEAR_S = 60.0
"""A cause that has been away for this long is over: an estimate."""
LONGEST_CLEAR_S = 3600.0
"""A cause that comes again soon must be away twice as long each time, up to this: a device that comes and goes is one
alarm in the end, not one every few minutes."""
TRIAL_S = 600.0
"""A meter that is tried again may take this long to be suspected again, so its alarm stays up until then."""
LAST_RESORT_S = 3600.0
"""How long a restart or a reboot is shown as an alarm: an estimate, so that it is noticed."""
HIGHEST_INPUT_V = 65.0
"""No Hoymiles inverter's input endures more (data sheets: HM 60 V, HMS and HMT up to 65 V)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What kind of alarm a cause is; how long it must last before, `reason_delays` says."""

    severity: Severity = Severity.ALARM
    text: str = ""
    """Instead of the cause's own words."""
    clear_s: float = CLEAR_S
    """It must have been away for this long."""


RULES: Mapping[Cause | Reason, Rule] = {
    Reason.GUARD_ESCALATED: Rule(),
    Reason.RELAY_OPEN: Rule(),
    Reason.BATTERY_LOW: Rule(text="battery voltage below the minimum: inverters off"),
    Reason.BATTERY_UNSEEN: Rule(),
    Cause.COMMAND_WITHOUT_EFFECT: Rule(),
    Reason.CAP_UNREACHABLE: Rule(),
    Reason.METER_REVERSED: Rule(clear_s=TRIAL_S),
    Reason.METER_BLIND: Rule(clear_s=TRIAL_S),
    Reason.METER_FROZEN: Rule(),
    Cause.METER_LOST: Rule(),
    Reason.COMMANDS_IGNORED: Rule(
        text='OpenDTU takes commands without effect: switch on "Send commands" in its settings of the inverter'
    ),
    Reason.UNCONFIRMED: Rule(),
    Cause.MODEL_UNKNOWN: Rule(Severity.WARNING, "OpenDTU does not know this model: update it"),
    Cause.BATTERY_FROZEN: Rule(),
    Reason.DTU_PASSWORD: Rule(),
    Reason.DTU_SILENT: Rule(text="DTU lost"),
    Reason.FOREIGN_LIMITS: Rule(),
    Cause.INVERTER_HOT: Rule(),
    Cause.INVERTER_LOST: Rule(),
    Cause.DTU_REBOOTED: Rule(),
    Cause.INVERTER_RESTARTED: Rule(),
    Cause.VOLTAGE_LOW: Rule(Severity.WARNING),
    Cause.VOLTAGE_HIGH: Rule(Severity.WARNING),
    Cause.INVERTER_WARM: Rule(Severity.WARNING),
}
"""The worst first. A reason that is not here is normal operation."""

_RANKS = {cause: rank for rank, cause in enumerate(RULES)}
_HIDING = (Reason.STARTING, Reason.DTU_SILENT, Reason.DTU_PASSWORD)
"""While the plant has such a reason, it says nothing of the others. Those of a DTU are looked for at each DTU."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One inverter whose values are watched."""

    serial: str
    dtu: str
    """Its DTU's name in the state."""
    name: str | None = None
    """None = the name it has in the DTU."""


@dataclass(slots=True)
class _Memory:
    """What is remembered of one cause and its subject."""

    lasting: DwellLatch
    alarm: Alarm | None = None


@dataclass(slots=True)
class Alarms:
    """Remembers since when each cause has held or has been away."""

    settings: Settings
    inverters: tuple[Watched, ...]
    started_at_s: float
    _memories: dict[tuple[Cause | Reason, str], _Memory] = field(default_factory=dict)

    def update(self, state: State, now_s: float) -> tuple[Alarm, ...]:
        """Return the alarms and warnings that are up, the worst first, of equally bad ones the oldest."""
        found = dict(self._found(state, now_s))
        unknown = self._unknown(state, now_s)
        for cause, subject in found:
            if (cause, subject) not in self._memories:
                rule = RULES[cause]
                self._memories[cause, subject] = _Memory(
                    DwellLatch(alarm_after_s(cause), rule.clear_s, LONGEST_CLEAR_S)
                )
        for (cause, subject), memory in self._memories.items():
            is_here = (cause, subject) in found
            if not is_here and subject in unknown:
                continue
            if not memory.lasting.update(now_s, is_bad=is_here, is_good=not is_here):
                memory.alarm = None
            elif memory.alarm is None:
                memory.alarm = _alarm(cause, subject, found[cause, subject], now_s)
        up = [memory.alarm for memory in self._memories.values() if memory.alarm is not None]
        return tuple(sorted(up, key=lambda alarm: (_RANKS[alarm.cause], alarm.since_s)))

    def _found(self, state: State, now_s: float) -> Iterator[tuple[tuple[Cause | Reason, str], str]]:
        """Yield what is wrong at this moment: cause and subject, and the subject's name for the text."""
        if state.plan is not None and state.plan.reason in RULES and state.plan.reason not in _HIDING:
            yield (state.plan.reason, ""), ""
        heard_at_s = state.meter.at_s if state.meter is not None else self.started_at_s
        if now_s - heard_at_s >= self.settings.ladder.minimum_s:
            yield (Cause.METER_LOST, METER), ""
        if state.battery is not None and state.battery.is_frozen:
            yield (Cause.BATTERY_FROZEN, BATTERY), ""
        for name, dtu in self.settings.dtus.items():
            if trouble := dtu.trouble(state.dtus.get(name), now_s):
                yield (trouble, name), name if len(self.settings.dtus) > 1 else ""
            if _was_restarted(state, name, now_s):
                yield (Cause.DTU_REBOOTED, name), name if len(self.settings.dtus) > 1 else ""
        for inverter in self.inverters:
            status = state.inverters.get(inverter.serial)
            name = inverter.name or (status.name if status is not None else "") or inverter.serial
            if _was_restarted(state, inverter.serial, now_s):
                yield (Cause.INVERTER_RESTARTED, inverter.serial), name
            for cause in self._found_at(inverter, status, state, now_s):
                yield (cause, inverter.serial), name

    def _found_at(
        self, inverter: Watched, status: InverterStatus | None, state: State, now_s: float
    ) -> Iterator[Cause]:
        """Yield what is wrong with one inverter."""
        if self._is_silent(inverter.dtu, state, now_s):
            return
        dtu, told = self.settings.dtus[inverter.dtu], state.dtus.get(inverter.dtu)
        status = believed(status, now_s, dtu.freshness_s(told))
        if status is None:
            yield Cause.INVERTER_LOST
            return
        if (limit := state.limits.get(inverter.serial)) is not None and limit.rated_w is None:
            yield Cause.MODEL_UNKNOWN
        plans = state.plan.inverters if state.plan is not None else ()
        mine = next((plan for plan in plans if plan.serial == inverter.serial), None)
        if mine is not None and _gives_more(mine, status.ac_power_w):
            yield Cause.COMMAND_WITHOUT_EFFECT
        if status.temperature_c is not None and status.temperature_c >= self.settings.max_temperature_c:
            yield Cause.INVERTER_WARM
            if status.temperature_c >= self.settings.max_temperature_c + RANGE_K:
                yield Cause.INVERTER_HOT
        voltage_v = status.battery_voltage_v
        if voltage_v is not None and voltage_v < self.settings.min_voltage_v:
            yield Cause.VOLTAGE_LOW
        if voltage_v is not None and voltage_v > HIGHEST_INPUT_V:
            yield Cause.VOLTAGE_HIGH

    def _unknown(self, state: State, now_s: float) -> set[str]:
        """Return the subjects of which nothing is known now: their alarms neither come nor go."""
        unknown = {i.serial for i in self.inverters if self._is_silent(i.dtu, state, now_s)}
        return unknown | ({""} if state.plan is None or state.plan.reason in _HIDING else set())

    def _is_silent(self, dtu: str, state: State, now_s: float) -> bool:
        return self.settings.dtus[dtu].trouble(state.dtus.get(dtu), now_s) is Reason.DTU_SILENT


def _was_restarted(state: State, subject: str, now_s: float) -> bool:
    record = state.commands.get(subject)
    return record is not None and record.restarted_at_s is not None and now_s - record.restarted_at_s < LAST_RESORT_S


def _gives_more(plan: InverterPlan, output_w: float | None) -> bool:
    limit_w = plan.limit_w if plan.is_on else 0.0
    return output_w is not None and output_w > tolerated_w(limit_w)


def _alarm(cause: Cause | Reason, subject: str, whose: str, now_s: float) -> Alarm:
    rule = RULES[cause]
    words = rule.text or str(cause)
    text = words[0].upper() + words[1:] + (f": {whose}" if whose else "")
    return Alarm(cause, subject, rule.severity, text, now_s)
