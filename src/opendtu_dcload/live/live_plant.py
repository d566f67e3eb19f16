"""What the live line shows of the plant now: whole watts that add up, and how old is what counts no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opendtu_dcload.freshness import METER_SHOWN_S, SOLAR_S
from opendtu_dcload.model import InverterPlan
from opendtu_dcload.state import State
from opendtu_dcload.terminal.short_names import short_names
from opendtu_dcload.time_words import ago
from opendtu_dcload.venus.services.device import Freshness, reported_of

Source = tuple[str, Freshness]
"""Where an inverter's values come from: the name of its DTU in the state, and the control's rule for which count."""

UNKNOWN = "-"


@dataclass(frozen=True, slots=True)
class Power:
    """A measured power."""

    now_w: int | None
    """None = nothing that counts is known."""
    before: str = ""
    """What was known last and how long ago, such as "123 W 20 s ago"; empty while it counts."""

    def __str__(self) -> str:
        """Return the number, or a dash."""
        return UNKNOWN if self.now_w is None else str(self.now_w)


@dataclass(frozen=True, slots=True)
class Inverter:
    """One inverter."""

    serial: str
    name: str
    """Short, printable, and that of no other one."""
    output: Power
    plan: InverterPlan | None
    """None = the control decides nothing."""


@dataclass(frozen=True, slots=True)
class LivePlant:
    """All that flows, import from the grid positive."""

    grid: Power
    inverters: tuple[Inverter, ...]
    solar: Power | None
    """None = there is no plug-in solar."""
    setpoint_w: int | None
    """The sum of the limits wanted; None = the control decides nothing."""

    @classmethod
    def of(cls, state: State, sources: Mapping[str, Source], now_s: float) -> LivePlant:
        """Return what is known now; the inverters are those of `sources`, which has their serials."""
        plan = state.plan_at(now_s)
        plans = {inverter.serial: inverter for inverter in plan.inverters} if plan is not None else {}
        known = state.inverters
        names = short_names({serial: known[serial].name if serial in known else "" for serial in sources})
        inverters = (
            Inverter(serial, names[serial], _output(state, serial, source, now_s), plans.get(serial))
            for serial, source in sources.items()
        )
        meter, solar = state.meter, state.solar
        return cls(
            Power(None) if meter is None else _power(meter.power_w, meter.at_s, METER_SHOWN_S, now_s),
            tuple(inverters),
            None if solar is None else _power(solar.power_w, solar.at_s, SOLAR_S, now_s),
            None if plan is None else round(plan.setpoint_w),
        )

    @property
    def output(self) -> Power:
        """What all inverters give together; not known where that of one is not, or where none is listed."""
        return _sum([inverter.output for inverter in self.inverters])

    @property
    def load(self) -> Power:
        """What the house draws: the sum of the numbers shown."""
        return _sum([self.grid, self.output, *([self.solar] if self.solar is not None else [])])


def _output(state: State, serial: str, source: Source, now_s: float) -> Power:
    status = reported_of(state, serial, *source, now_s).status
    if status is not None and status.ac_power_w is not None:
        return Power(round(status.ac_power_w))
    known = state.inverters.get(serial)
    if known is None or known.ac_power_w is None:
        return Power(None)
    return Power(None, f"{round(known.ac_power_w)} W {ago(now_s - known.at_s)}")


def _power(power_w: float, at_s: float, counts_s: float, now_s: float) -> Power:
    if now_s - at_s <= counts_s:
        return Power(round(power_w))
    return Power(None, f"{round(power_w)} W {ago(now_s - at_s)}")


def _sum(powers: list[Power]) -> Power:
    known_w = [power.now_w for power in powers if power.now_w is not None]
    return Power(sum(known_w) if known_w and len(known_w) == len(powers) else None)
