"""A dry run: the inverters as they would be if they were told what is decided.

Nothing is sent, so nothing real follows a decision. A controller that waited for it in vain would decide the same for
ever, doubt the meter and the inverters, and raise alarms. So it is shown what it would see: inverters that start where
the real ones are and then obey, and a meter that shows these instead of the real ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from opendtu_dcload.control.commands.command_policy import Command, SetLimit, SetPower
from opendtu_dcload.control.decision import Seen
from opendtu_dcload.control.inverter.dead_time import RADIO_S, WINDOW_S
from opendtu_dcload.control.inverter.output_model import OutputModel
from opendtu_dcload.control.inverter.output_ratio import HIGHEST, LOWEST
from opendtu_dcload.control.inverter.output_rules import PRODUCING_W
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.limit_reading import watts_of
from opendtu_dcload.model import CommandState, InverterStatus, LimitStatus


@dataclass(slots=True)
class _Obedient:
    """One inverter that does as it is told."""

    model: OutputModel
    limit_w: float
    gain: float = 1.0
    """Output / limit."""
    is_on: bool = True
    output_w: float = 0.0

    def obey(self, command: Command, at_s: float) -> None:
        """Act on a command from `at_s` on."""
        if isinstance(command, SetLimit):
            self.limit_w = command.limit_w
        elif isinstance(command, SetPower):
            self.is_on = command.on
        self.model.aim(at_s, self.limit_w * self.gain if self.is_on else 0.0)


class DryRun:
    """Obeys in place of the real inverters."""

    def __init__(self) -> None:
        self._inverters: dict[str, _Obedient] = {}
        self._radio_free_s: dict[str, float] = {}
        self._early: dict[str, tuple[Command, float]] = {}
        """Commands, and when they act, to inverters that nobody has measured yet."""

    def take(self, command: Command, unit: InverterParameters, now_s: float) -> None:
        """Obey a command when the radio has come to it, after the inverter's dead time and with its ramp."""
        free_s = max(self._radio_free_s.get(unit.radio, now_s), now_s)
        self._radio_free_s[unit.radio] = free_s + WINDOW_S
        acts_at_s = free_s + RADIO_S + unit.dead_time_s
        if (inverter := self._inverters.get(command.serial)) is None:
            self._early[command.serial] = command, acts_at_s
        else:
            inverter.obey(command, acts_at_s)

    def seen(self, seen: Seen, units: Iterable[InverterParameters]) -> Seen:
        """Return what would be seen. An inverter that the DTU does not reach or knows no limit of stays as it is."""
        inverters, limits = dict(seen.inverters), dict(seen.limits)
        more_w = 0.0
        for unit in units:
            status, limit = seen.inverters.get(unit.serial), seen.limits.get(unit.serial)
            if status is None or limit is None or not status.reachable or status.ac_power_w is None:
                continue
            inverter = self._inverters.get(unit.serial) or self._meet(unit, status, limit)
            if inverter is None:
                continue
            inverter.output_w = inverter.model.move_to(seen.now_s)
            more_w += status.ac_power_w - inverter.output_w
            inverters[unit.serial] = replace(status, ac_power_w=inverter.output_w, dc_power_w=None)
            limit_pct = round(100 * inverter.limit_w / (limit.rated_w or unit.rated_w), 1)
            limits[unit.serial] = replace(limit, limit_pct=limit_pct, state=CommandState.OK)
        meter = None if seen.meter is None else replace(seen.meter, power_w=seen.meter.power_w + more_w)
        return replace(seen, meter=meter, inverters=inverters, limits=limits)

    def _meet(self, unit: InverterParameters, status: InverterStatus, limit: LimitStatus) -> _Obedient | None:
        """Return an obedient inverter that starts where the real one is; None when its limit is not known."""
        shown_w, output_w = watts_of(limit, unit.rated_w), status.ac_power_w or 0.0
        if shown_w is None:
            return None
        is_on = output_w >= PRODUCING_W
        gain = min(max(output_w / shown_w, LOWEST), HIGHEST) if is_on else 1.0
        inverter = self._inverters[unit.serial] = _Obedient(OutputModel(unit), shown_w, gain, is_on)
        inverter.model.jump(output_w)
        if unit.serial in self._early:
            inverter.obey(*self._early.pop(unit.serial))
        return inverter
