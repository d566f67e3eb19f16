"""A plausible lie: what is played of it, and what is promised meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opendtu_dcload.sim.plant.house import WH_PER_WS, House, InverterModel, MeterSample
from opendtu_dcload.sim.plant.sim_dtu import COMMAND_WINDOW_S, ON_AIR_S, SimDtu
from opendtu_dcload.sim.servers.meter_view import MeterView

LOAD_W, FALLEN_LOAD_W = 500.0, 150.0
FALL_AFTER_S = 5.0
"""The load falls so long after the lie began."""
MINIMUM_W = 20.0
SETTLE_S = 100.0
LASTS_S = 280.0
"""Shorter than what takes the plant off for a meter that is silent: coming back from there takes the grid wait."""
TOLD_S = 120.0
BACK_S = 60.0
NEAR_W = 60.0
STEADY_S = 5.0
"""Back means within `NEAR_W` for so long."""
MOST_WH = {"HMS": 12.0, "HM": 18.0}
COMMANDS_PER_HOUR = 300
SPARE_COMMANDS = 5
SAME_VALUE_S = 60.0
ON_THE_WAY_S = 1.0
"""The program counts from sending, this from arriving, and a busy machine is not equally slow with both."""
HELD_W = 60.0
OLDER_W = 60.0


@dataclass(frozen=True)
class Promise:
    """What was promised of a row, what was seen, and whether that will do."""

    what: str
    seen: str
    ok: bool


@dataclass
class LieStage:
    """What a lie is played on, and what the program said and did meanwhile."""

    house: House
    dtu: SimDtu
    meter: MeterView
    said: list[tuple[float, str]] = field(default_factory=list)
    """(s, words): lines of the log, or reasons on virtual time."""
    posts: list[tuple[float, str, float]] = field(default_factory=list)
    """(s, serial, W) of each limit that reached the DTU."""
    liar: str = ""
    """Serial of the inverter that gave most when the lie began."""
    promises: list[Promise] = field(default_factory=list)
    """What came of it."""

    @property
    def now_s(self) -> float:
        return self.house.now_s

    def choose_liar(self) -> None:
        inverters = self.house.inverters
        self.liar = max(inverters, key=lambda serial: inverters[serial].output_w)

    def set_inverter(self, name: str, value: object) -> None:
        setattr(self.house.inverters[self.liar], name, value)

    def can_be_commanded(self, serial: str) -> bool:
        """Tell whether any command of anybody could lower the inverter now."""
        inverter, dtu = self.house.inverters[serial], self.dtu
        hears = inverter.is_in_reach and not inverter.is_deaf and inverter.obeys
        return hears and dtu.commands_enabled and not dtu.withholds_limits and not dtu.radio_hangs

    @property
    def reaction_s(self) -> float:
        """The quickest that anybody could answer a fall of the load: meter, radio window each, dead time, ramp."""
        model = self.house.models[0]
        slowest_s = model.dead_time_s * (1 + model.dead_time_spread) + 3 * model.time_constant_s
        return 2.0 + COMMAND_WINDOW_S * (len(self.house.models) - 1) + ON_AIR_S + slowest_s


class Ledger:
    """Counts what flows into the grid, and what of it no command could have prevented.

    That is: what flows while inverters that cannot be commanded stay as they are and all others are at their minimum;
    and everything until the quickest possible reaction to a fall of the load.
    """

    def __init__(self, stage: LieStage) -> None:
        self._stage = stage
        self.exported_wh = 0.0
        self.unavoidable_wh = 0.0
        self.forgiven_until_s = -1.0
        self.grid_w: list[tuple[float, float]] = []
        stage.house.watchers.append(self._watch)

    def _watch(self, sample: MeterSample, elapsed_s: float) -> None:
        self.grid_w.append((sample.at_s, sample.power_w))
        export_w = max(0.0, -sample.power_w)
        least_w = sum(
            min(inverter.output_w, inverter.model.steady_w(MINIMUM_W))
            if self._stage.can_be_commanded(serial)
            else inverter.output_w
            for serial, inverter in self._stage.house.inverters.items()
        )
        forced_w = max(0.0, least_w - sample.power_w - sample.output_w)
        if sample.at_s <= self.forgiven_until_s:
            forced_w = export_w
        self.exported_wh += export_w * elapsed_s * WH_PER_WS
        self.unavoidable_wh += min(export_w, forced_w) * elapsed_s * WH_PER_WS

    @property
    def avoidable_wh(self) -> float:
        return self.exported_wh - self.unavoidable_wh

    def back_after_s(self, since_s: float) -> float | None:
        """Return how long it took until the grid stayed near zero; None = it did not."""
        near_s: float | None = None
        for at_s, power_w in self.grid_w:
            if at_s < since_s:
                continue
            if abs(power_w) >= NEAR_W:
                near_s = None
            elif near_s is None:
                near_s = at_s
            if near_s is not None and at_s - near_s >= STEADY_S:
                return near_s - since_s
        return None


Act = Callable[[Any], None]
"""What is done on a `LieStage`, or on one that knows more."""


def _nothing(_: LieStage) -> None:
    pass


@dataclass(frozen=True)
class Lie:
    """One row: a plant, what it is told that is not so, and what is expected."""

    name: str
    family: str
    begin: Act
    end: Act = _nothing
    words: str = ""
    """What must be said within `told_s`, as a regular expression; empty = nothing."""
    never: str = ""
    """What must not be said."""
    count: int = 1
    rated_w: float = 800.0
    is_from_start: bool = False
    """It begins before the program does."""
    load_w: float = LOAD_W
    fallen_load_w: float = FALLEN_LOAD_W
    """From `FALL_AFTER_S` on."""
    lasts_s: float = LASTS_S
    back_s: float = BACK_S
    """It must regulate so long after the end."""
    watched_s: float = BACK_S + STEADY_S + 22.0
    """How long it is looked at after the end."""
    comes_back: bool = True
    """False: what the lie needed keeps the plant down for longer."""
    regulates: bool = False
    """It is regulated all the same while the lie lasts."""
    near_w: float = NEAR_W
    """So near to zero the mean of its last minute is then."""
    settings: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Sections of the configuration that differ from the usual; only on virtual time."""
    steps: tuple[tuple[float, float | Act], ...] = ()
    """(s after the beginning, load in W or what else happens then), instead of the one fall of the load."""
    model: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the inverters' model that differ from the usual."""
    most_wh: float | None = None
    """May be exported although commands could have prevented it; None = by the family."""
    most_commands: int | None = None
    """While it lasts; None = `COMMANDS_PER_HOUR` and some to spare."""
    told_s: float = TOLD_S
    not_kept: str = ""
    """Why a promise of this row is known not to be kept; empty = all are."""

    @property
    def models(self) -> list[InverterModel]:
        # HM: as the bench's, see opendtu_dcload/sim/bench/bench_plants.py.
        prefix, dead_s, tau_s = ("1144", 2.0, 1.0) if self.family == "HMS" else ("1141", 6.0, 2.5)
        return [
            InverterModel(
                f"{prefix}a000000{number}",
                f"{self.family}-{self.rated_w:.0f} {number}",
                self.rated_w,
                **{"inputs": 2, "dead_time_s": dead_s, "time_constant_s": tau_s, **self.model},
            )
            for number in range(1, self.count + 1)
        ]

    def script(self, stage: LieStage) -> Iterator[float]:
        """Play it on a stage that then holds the promises; yields the time in s to go on to."""
        ledger = Ledger(stage)
        if self.is_from_start:
            stage.choose_liar()
            self.begin(stage)
        yield stage.now_s + SETTLE_S
        began_s, exported_wh, unavoidable_wh = stage.now_s, ledger.exported_wh, ledger.unavoidable_wh
        if not self.is_from_start:
            stage.choose_liar()
            self.begin(stage)
        for after_s, step in self.steps or ((FALL_AFTER_S, self.fallen_load_w),):
            yield began_s + after_s
            if callable(step):
                step(stage)
                continue
            if step < stage.house.load_at(stage.now_s):
                ledger.forgiven_until_s = stage.now_s + stage.reaction_s
            stage.house.load_w = [step]
        yield began_s + self.lasts_s
        ended_s = stage.now_s
        self.end(stage)
        yield ended_s + self.watched_s
        ledger.exported_wh -= exported_wh
        ledger.unavoidable_wh -= unavoidable_wh
        self._judge(stage, ledger, began_s, ended_s)

    def _judge(self, stage: LieStage, ledger: Ledger, began_s: float, ended_s: float) -> None:
        promises = [self._exported(ledger)]
        if self.words:
            promises.append(self._told(stage, began_s))
        if self.never:
            wrong = [words for _, words in stage.said if re.search(self.never, words, re.IGNORECASE)]
            promises.append(Promise(f"never said: {self.never}", wrong[0] if wrong else "nothing of it", not wrong))
        promises += self._commands(stage, began_s, ended_s)
        if self.regulates:
            grid_w = [power_w for at_s, power_w in ledger.grid_w if ended_s - 60 <= at_s <= ended_s]
            mean_w = sum(grid_w) / len(grid_w)
            promises.append(
                Promise(f"regulated within {self.near_w:.0f} W meanwhile", f"{mean_w:.0f} W", abs(mean_w) < self.near_w)
            )
        if self.comes_back:
            promises.append(self._back(ledger, ended_s))
        stage.promises = promises

    def _exported(self, ledger: Ledger) -> Promise:
        most_wh = MOST_WH[self.family] if self.most_wh is None else self.most_wh
        seen = f"{ledger.avoidable_wh:.1f} Wh (and {ledger.unavoidable_wh:.1f} unavoidable)"
        return Promise(f"exported at most {most_wh:.0f} Wh", seen, ledger.avoidable_wh <= most_wh)

    def _told(self, stage: LieStage, began_s: float) -> Promise:
        since_s = -1.0 if self.is_from_start else began_s
        told = [
            (at_s, words)
            for at_s, words in stage.said
            if at_s >= since_s and re.search(self.words, words, re.IGNORECASE)
        ]
        seen = f"{told[0][0] - began_s:.0f} s: {told[0][1]}" if told else "never said"
        return Promise(f"told within {self.told_s:.0f} s", seen, bool(told) and told[0][0] - began_s <= self.told_s)

    def _commands(self, stage: LieStage, began_s: float, ended_s: float) -> list[Promise]:
        posts = [post for post in stage.posts if began_s <= post[0] <= ended_s]
        most = self.most_commands or int(COMMANDS_PER_HOUR * (ended_s - began_s) / 3600 + SPARE_COMMANDS)
        repeats = 0
        last: dict[str, tuple[float, float]] = {}
        for at_s, serial, limit_w in posts:
            before_s, before_w = last.get(serial, (-SAME_VALUE_S, -1.0))
            repeats += limit_w == before_w and at_s - before_s < SAME_VALUE_S - ON_THE_WAY_S
            last[serial] = (at_s, limit_w)
        return [
            Promise(f"at most {most} commands", str(len(posts)), len(posts) <= most),
            Promise(f"no value again within {SAME_VALUE_S:.0f} s", f"{repeats} times", not repeats),
        ]

    def _back(self, ledger: Ledger, ended_s: float) -> Promise:
        found_s = ledger.back_after_s(ended_s)
        seen = "not at all" if found_s is None else f"{found_s:.0f} s"
        is_back = found_s is not None and found_s <= self.back_s
        return Promise(f"regulates {self.back_s:.0f} s after the end", seen, is_back)
