"""Many days of the whole program on virtual time, with weather, guests and faults at random: what must always hold."""

from __future__ import annotations

import hashlib
import heapq
import logging
import re
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Self

from opendtu_dcload.control.bookkeeping.alarms import CLEAR_S, LAST_RESORT_S
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import Alarm, Cause, Reason
from opendtu_dcload.sim.plant.house import WH_PER_WS, House, InverterModel, MeterSample
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.invariants import InvariantChecker
from opendtu_dcload.sim.runs.program import Program, plant_config
from opendtu_dcload.sim.runs.score import ideal_waste_wh
from tests.faults.fault import FaultStage, broken_rules
from tests.soak.books import OPEN_SHARE, ROLLED_OVER_S, Books
from tests.soak.growth import Size, grown
from tests.soak.troubles import SURE_AGAIN_S, Trouble, troubles_of
from tests.soak.weather import DAY_S, MonthLoad

MODELS = (
    InverterModel("1144a0000001", "HMS-800 1", 800.0, 2),
    InverterModel("1144a0000002", "HMS-800 2", 800.0, 2),
    InverterModel("1141a0000003", "HM-800 3", 800.0, 2, dead_time_s=6.0, time_constant_s=2.5),
)
"""Two radio chips, and more power than may be fed in."""
MINIMUM_W, CAP_W = 20.0, 1600.0
BATTERY = {"min_voltage_v": 48.6}
"""Reached when a tenth is left: after dull days."""
ROOF_W = 5000.0
"""What the panels on the roof charge the battery with in full sun."""
LOOK_S = 60.0
NEAR_S = 1e-6
"""The house comes no closer to a time."""
HOUR_S = 3600.0
BOOKS_BEFORE_MIDNIGHT_S = 10.0
OVER_AFTER_S = 1800.0
"""So long after a fault's end nothing may be told of it any more."""
OF_THE_BATTERY = (Cause.VOLTAGE_LOW, Reason.BATTERY_LOW)
LAST_RESORTS = (Cause.INVERTER_RESTARTED, Cause.DTU_REBOOTED)
"""Told for `LAST_RESORT_S`, and until it is sure that they are over."""


class BrokenPromiseError(Exception):
    """What was promised for all the time was not so; says what, and when."""


@dataclass(frozen=True, slots=True)
class DayFigures:
    """What a day was like."""

    number: int
    sky: str
    has_guests: bool
    faults: int
    load_wh: float
    exported_wh: float
    waste_over_j0: float
    commands: int
    log_lines: int
    open_share: float
    counted_share: float
    """Of the export that the house knows."""
    size: Size
    cpu_s: float
    digest: str

    def __str__(self) -> str:
        """Return the line that is printed."""
        return (
            f"day {self.number:2} {self.sky:8} {'guests' if self.has_guests else '      '} {self.faults:2} faults | "
            f"load {self.load_wh / 1000:5.2f} kWh, exported {self.exported_wh / 1000:.3f}, "
            f"waste/J0 {self.waste_over_j0:.2f}, {self.commands} commands, {self.log_lines} log lines | "
            f"books open {100 * self.open_share:.4f} %, counted {100 * self.counted_share:.1f} % | "
            f"{self.size.memory_kb / 1024:.1f} MB, {self.size.objects} objects, {self.size.tasks} tasks, "
            f"{self.size.elements} kept | {self.cpu_s:.0f} s CPU | {self.digest}"
        )


class _Log(logging.Handler):
    """Counts the lines, and keeps those that must never come."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines = 0
        self.wrong: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += 1
        if record.levelno >= logging.ERROR or record.exc_info or record.name == "asyncio":
            self.wrong.append(record.getMessage())


class Month:
    """Plays day after day; use it as a context manager.

    Raises:
        BrokenPromiseError: at the first promise that is broken, also when used.
    """

    def __init__(self, days: int, seed: int) -> None:
        self.seed = seed
        self.load_w = MonthLoad(days, seed)
        self.house = House(self.load_w, MODELS, seed=seed, cap_w=CAP_W)
        dtu = SimDtu(self.house, seed=seed)
        world = World(self.house, [dtu])
        config = plant_config(world, minimum_w=MINIMUM_W, cap_w=CAP_W, sections={"battery": BATTERY})
        self.program = Program(world, config, self._make_controller, seed=seed)
        self.stage = FaultStage(self.house, dtu, self.program.meter.meter, program=self.program)
        self.books = Books(self.house, self.program)
        self.house.watchers.append(self._watch)
        self._digest = hashlib.sha256()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._load_wh = 0.0
        self._sizes: list[Size] = []
        self._last: Trouble | None = None
        self._stack = ExitStack()
        self.log = _Log()

    @property
    def digest(self) -> str:
        """What happened until now, in short."""
        return self._digest.hexdigest()[:12]

    def _make_controller(
        self, settings: Settings, units: Sequence[InverterParameters], now_s: float
    ) -> InvariantChecker:
        self.controller = InvariantChecker(settings, units, now_s)
        return self.controller

    def _watch(self, sample: MeterSample, elapsed_s: float) -> None:
        self._digest.update(struct.pack("ddd", sample.at_s, sample.power_w, sample.output_w))
        battery = self.house.battery
        sun = self.load_w.day.sun[int(sample.at_s) % DAY_S]
        battery.soc = min(1.0, battery.soc + ROOF_W * sun * elapsed_s * WH_PER_WS / battery.capacity_wh)

    def __enter__(self) -> Self:
        for name in ("opendtu_dcload", "asyncio"):
            logger = logging.getLogger(name)
            self._stack.callback(logger.setLevel, logger.level)
            self._stack.callback(setattr, logger, "propagate", logger.propagate)
            self._stack.callback(logger.removeHandler, self.log)
            logger.addHandler(self.log)
            logger.setLevel(logging.INFO if name == "opendtu_dcload" else logging.WARNING)
            logger.propagate = False
        self._stack.enter_context(self.program)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # Days ----------------------------------------------------------------------------------------------------------

    def days(self) -> Iterator[DayFigures]:
        """Play all days, and yield the figures of each."""
        first: list[Size] = []
        for number in range(len(self.load_w) // DAY_S):
            figures = self._play_day(number)
            sizes, self._sizes = self._sizes, []
            first = first or sizes
            yield figures
            self._promise(grown(first, sizes))

    def _play_day(self, number: int) -> DayFigures:
        began = time.process_time(), self.log.lines, replace(self.house.energy), self.stage.dtu.counters.limits
        faults = self.plan_day(number)
        end_s = (number + 1) * DAY_S
        if number:
            self.play_until(number * DAY_S + ROLLED_OVER_S)
            self._promise(self.books.rolled_over())
        self.play_until(end_s - BOOKS_BEFORE_MIDNIGHT_S)
        day = self.load_w.day
        self._load_wh += day.load_wh
        self._promise(self.books.shown_wrong())
        self.play_until(end_s)
        open_share = self.books.open_share(self._load_wh)
        if open_share > OPEN_SHARE:
            self._promise([f"load and grid + inverters are {100 * open_share:.3f} % apart"])
        cpu_s, lines, energy, commands = began
        now, sure = self.house.energy, self.books.sure
        wasted_wh = now.waste_wh - energy.waste_wh
        minimum_w = MINIMUM_W * len(MODELS)
        return DayFigures(
            number + 1,
            day.sky,
            day.has_guests,
            faults,
            day.load_wh,
            now.exported_wh - energy.exported_wh,
            wasted_wh / ideal_waste_wh(day.load_w, minimum_w=minimum_w, maximum_w=CAP_W),
            self.stage.dtu.counters.limits - commands,
            self.log.lines - lines,
            open_share,
            sure.counted_exported_wh / max(sure.house_exported_wh, 1.0),
            self._sizes[-1],
            time.process_time() - cpu_s,
            self.digest,
        )

    def plan_day(self, number: int) -> int:
        """Let a day's faults happen when it is played; return how many there are."""
        troubles = troubles_of(number, self.seed)
        for trouble in troubles:
            self._plan(trouble.begin_s, partial(self._begin, trouble))
            for at_s, act in trouble.acts():
                self._plan(at_s, partial(act, self.stage))
            self._plan(trouble.end_s + SURE_AGAIN_S, self.books.trust)
        return len(troubles)

    def _begin(self, trouble: Trouble) -> None:
        self._last = trouble
        self.books.doubt()

    def _plan(self, at_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at_s, next(self._numbers), act))

    def play_until(self, at_s: float) -> None:
        """Let everything happen until a time, and look each minute whether all is as it was promised."""
        while (now_s := self.house.now_s + NEAR_S) < at_s:
            look_s = min(at_s, (now_s // LOOK_S + 1) * LOOK_S)
            while self._due and self._due[0][0] <= look_s:
                due_s, _, act = heapq.heappop(self._due)
                self.program.advance(due_s)
                act()
            self.program.advance(look_s)
            self._look()
            if look_s % HOUR_S == 0:
                self._sizes.append(Size.of(self.program))

    def _look(self) -> None:
        self.log.wrong = [line for line in self.log.wrong if not self._is_promised(line)]
        self._promise([*broken_rules(self.controller, self.stage.dtu), *self.log.wrong])
        if self._last is None or self.house.now_s > self._last.end_s + OVER_AFTER_S:
            alarms = [alarm.text for alarm in self.program.state.alarms if must_be_over(alarm, self.house.now_s)]
            self._promise([f"nothing has been wrong for half an hour, and it says: {text}" for text in alarms])
        self.controller.sent.clear()
        for server in self.program.dtus.values():
            server.posted.clear()

    def _is_promised(self, line: str) -> bool:
        """Whether a line is what the last fault's row says that it is told in."""
        words = self._last.row.words if self._last else ""
        return bool(words and re.search(words, line, re.IGNORECASE))

    def _promise(self, wrong: list[str]) -> None:
        if wrong:
            day, second = divmod(int(self.house.now_s), DAY_S)
            at = f"day {day + 1}, {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
            last = f", last fault: {self._last}" if self._last else ""
            raise BrokenPromiseError(f"{at}, seed {self.seed}{last}: {'; '.join(wrong)}")


def must_be_over(alarm: Alarm, now_s: float) -> bool:
    """Tell whether an alarm may not be told when nothing has been wrong for `OVER_AFTER_S`."""
    if alarm.cause in LAST_RESORTS:
        return now_s - alarm.since_s > LAST_RESORT_S + CLEAR_S + LOOK_S
    return alarm.cause not in OF_THE_BATTERY
