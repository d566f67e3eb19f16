"""What is known at one moment, before it is put into words: the state, by the rules for what counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from opendtu_dcload.config import Config
from opendtu_dcload.control.from_config import freshness_of
from opendtu_dcload.freshness import METER_SHOWN_S, fresh
from opendtu_dcload.limit_reading import watts_of
from opendtu_dcload.live.live_plant import LivePlant, Source
from opendtu_dcload.model import InverterPlan, InverterStatus, LimitStatus, Plan
from opendtu_dcload.state import State
from opendtu_dcload.tallies import CommandRecord
from opendtu_dcload.venus.services.device import reported_of


class Totals(NamedTuple):
    """What was counted since local midnight, also before an orderly restart."""

    exported_wh: float = 0.0
    avoidable_import_wh: float = 0.0
    """Imported although the inverters had room for it."""
    imported_wh: float = 0.0
    commands: int = 0
    commands_last_hour: int = 0


@dataclass(frozen=True, slots=True)
class InverterNow:
    """One inverter."""

    serial: str
    dtu: str
    """Its DTU's name in the state."""
    known: InverterStatus | None
    """What was heard last, however old."""
    status: InverterStatus | None
    """What counts of it."""
    limit: LimitStatus | None
    """What counts of its limit."""
    plan: InverterPlan | None
    record: CommandRecord
    age_s: float | None

    @property
    def limit_w(self) -> float | None:
        """The limit that it acknowledged, W."""
        return None if self.limit is None else watts_of(self.limit)

    @property
    def told_w(self) -> float | None:
        """The limit wanted, W; 0 when it is to be off."""
        return None if self.plan is None else self.plan.limit_w

    @property
    def rated_w(self) -> float | None:
        """Its rated power, W."""
        return None if self.limit is None else self.limit.rated_w


@dataclass(frozen=True, slots=True)
class Moment:
    """The plant."""

    now_s: float
    state: State
    live: LivePlant
    plan: Plan | None
    """None = the control does not decide now."""
    target_w: float
    totals: Totals
    commands_per_hour: int

    @property
    def meter_age_s(self) -> float | None:
        """Age of the last reading in s; None = there never was one."""
        return None if self.state.meter is None else max(self.now_s - self.state.meter.at_s, 0.0)

    @property
    def room_w(self) -> float | None:
        """What the inverters could give beyond what they do, W."""
        is_known = self.plan is not None and fresh(self.state.meter, self.now_s, METER_SHOWN_S) is not None
        return self.state.room_w if is_known else None

    @property
    def cap_w(self) -> float | None:
        """What the plant may give at most, W."""
        return None if self.plan is None else self.plan.cap_w

    @property
    def solar_w(self) -> float | None:
        """What plug-in solar gives, W."""
        return None if self.live.solar is None else self.live.solar.now_w

    @property
    def saved_w(self) -> float | None:
        """The difference at the grid that is left alone to save commands, import positive; 0 while none is.

        It is the one that remains when the inverters give what they are told: what is on its way is not left alone.
        """
        grid_w, output_w = self.live.grid.now_w, self.live.output.now_w
        if self.plan is None or grid_w is None or output_w is None:
            return None
        return grid_w + output_w - self.plan.setpoint_w - self.target_w if self.plan.wait else 0.0


class Eye:
    """Looks at the state with the rules of a configuration."""

    def __init__(self, config: Config, state: State) -> None:
        self._config = config
        self._state = state
        self._rules = freshness_of(config)
        self._dtus = {inverter.serial: config.dtu_of(inverter).name for inverter in config.inverters}
        self._sources: Mapping[str, Source] = {s: (dtu, self._rules[dtu]) for s, dtu in self._dtus.items()}
        self._commands_per_hour = sum(dtu.max_commands_per_hour for dtu in config.dtus)

    def moment(self, now_s: float, totals: Totals) -> Moment:
        """Return what is known of the plant."""
        state = self._state
        wished_w = state.overrides.target_w
        return Moment(
            now_s,
            state,
            LivePlant.of(state, self._sources, now_s),
            state.plan_at(now_s),
            self._config.control.target_w if wished_w is None else wished_w,
            totals,
            self._commands_per_hour,
        )

    def inverters(self, now_s: float) -> list[InverterNow]:
        """Return what is known of each inverter, in the order of the file."""
        state, plan = self._state, self._state.plan_at(now_s)
        plans = {inverter.serial: inverter for inverter in plan.inverters} if plan is not None else {}
        return [self._inverter(serial, dtu, plans.get(serial), now_s, state) for serial, dtu in self._dtus.items()]

    def _inverter(self, serial: str, dtu: str, plan: InverterPlan | None, now_s: float, state: State) -> InverterNow:
        told, known = reported_of(state, serial, dtu, self._rules[dtu], now_s), state.inverters.get(serial)
        record = state.commands.get(serial, CommandRecord())
        age_s = None if known is None else max(now_s - known.at_s, 0.0)
        return InverterNow(serial, dtu, known, told.status, told.limit, plan, record, age_s)
