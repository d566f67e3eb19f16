"""A dry run: the inverters as they would be if they were told what is decided.

Nothing is sent, so nothing real follows a decision; a controller that waits for it in vain would decide the same for
ever, doubt the meter and the inverters, and call it an alarm. So it is shown what it would see: inverters that stand
where the real ones stood at first and then obey, and a meter that shows them instead of the real ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from opendtu_dcload.control.commands.command_policy import Command, SetLimit, SetPower
from opendtu_dcload.control.decision import Seen
from opendtu_dcload.control.inverter.output_model import OutputModel
from opendtu_dcload.control.inverter.output_ratio import HIGHEST, LOWEST
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.inverter.power_state import PRODUCING_W
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


class DryRun:
    """Obeys in place of the real inverters."""

    def __init__(self) -> None:
        self._inverters: dict[str, _Obedient] = {}

    def take(self, command: Command, unit: InverterParameters, now_s: float) -> None:
        """Obey a command, after the inverter's dead time and with its ramp."""
        inverter = self._inverters.setdefault(command.serial, _Obedient(OutputModel(unit), unit.rated_w))
        if isinstance(command, SetLimit):
            inverter.limit_w = command.limit_w
        elif isinstance(command, SetPower):
            inverter.is_on = command.on
        inverter.model.aim(now_s + unit.dead_time_s, inverter.limit_w * inverter.gain if inverter.is_on else 0.0)

    def seen(self, seen: Seen, units: Iterable[InverterParameters]) -> Seen:
        """Return what would be seen. An inverter that the DTU does not reach, or knows no limit of, stays as it is."""
        inverters, limits = dict(seen.inverters), dict(seen.limits)
        more_w = 0.0
        for unit in units:
            status, limit = seen.inverters.get(unit.serial), seen.limits.get(unit.serial)
            if status is None or limit is None or not status.reachable:
                continue
            inverter = self._inverters.get(unit.serial) or self._meet(unit, status, limit)
            if inverter is None:
                continue
            inverter.output_w = inverter.model.move_to(seen.now_s)
            real_w = status.ac_power_w or 0.0
            more_w += real_w - inverter.output_w
            inverters[unit.serial] = replace(status, ac_power_w=inverter.output_w, dc_power_w=None)
            limit_pct = round(100 * inverter.limit_w / (limit.rated_w or unit.rated_w), 1)
            limits[unit.serial] = replace(limit, limit_pct=limit_pct, state=CommandState.OK)
        meter = None if seen.meter is None else replace(seen.meter, power_w=seen.meter.power_w + more_w)
        return replace(seen, meter=meter, inverters=inverters, limits=limits)

    def _meet(self, unit: InverterParameters, status: InverterStatus, limit: LimitStatus) -> _Obedient | None:
        """Return an inverter that stands where the real one does; None when its limit is not known."""
        if limit.limit_pct is None:
            return None
        limit_w, output_w = limit.limit_pct * (limit.rated_w or unit.rated_w) / 100, status.ac_power_w or 0.0
        is_on = output_w >= PRODUCING_W
        gain = min(max(output_w / limit_w, LOWEST), HIGHEST) if is_on else 1.0
        inverter = self._inverters[unit.serial] = _Obedient(OutputModel(unit), limit_w, gain, is_on)
        inverter.model.jump(output_w)
        return inverter
