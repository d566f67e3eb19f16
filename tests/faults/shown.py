"""What the bus and the live line would show of a played program, looked at each second: nothing older than promised.

How old a value is tell the simulated devices, and when it came into the state, not the time that it bears. Beside it
is looked at what waits: tasks, timers and commands must not become more and more.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterator

from opendtu_dcload.control.from_config import freshness_of
from opendtu_dcload.live.live_plant import LivePlant
from opendtu_dcload.live.live_text import live_line
from opendtu_dcload.sim.plant.sim_dtu import COMMANDS
from opendtu_dcload.sim.runs.invariants import Watch
from opendtu_dcload.sim.runs.program import Program
from opendtu_dcload.venus.bus.bus_address import resolve
from opendtu_dcload.venus.gx.service_watch import ServiceWatch
from opendtu_dcload.venus.services.acload import MeterService
from opendtu_dcload.venus.services.dcload import InverterService
from opendtu_dcload.venus.services.dcsystem import SummedInverter, sum_of
from opendtu_dcload.venus.services.plant_services import PlantServices
from opendtu_dcload.venus.services.switch import SwitchService

LOOK_S = 1.0
SLACK_S = 2 * LOOK_S
"""Between two looks, and on the way of an answer."""
METER_S, PLAN_S = 15.0, 10.0
ROUNDS, MORE_S = 3, 5.0
"""An inverter's values count for so many rounds of its DTU's polling, and so long."""
SUMMED_S = 10.0
"""The DC sum, without a good answer of the DTU."""
TASKS = 3 + 2
"""A DTU's commands, the POST on its way, and an earlier one that is about to end; and of the simulated DTU its end of a
websocket, and what pushes."""
TIMERS = 200
"""asyncio sweeps out cancelled ones when there are more than a hundred."""
COMMANDS_WAITING = 3
"""Of one inverter: a limit, a switch, and what somebody else wants."""


class ShownWatch:
    """Looks at a program that has been entered, and notes what is wrong."""

    def __init__(self, program: Program, watch: Watch) -> None:
        self._program = program
        self._watch = watch
        config, state, bus = program.config, program.state, resolve("unix:path=/nowhere")
        rules = freshness_of(config)
        services = PlantServices(config, state, bus, ServiceWatch(bus), rules, program.loop.time)
        self._services = services.by_name
        dtus = {inverter.serial: config.dtu_of(inverter) for inverter in config.inverters}
        self._sources = {serial: (dtu.name, rules[dtu.name]) for serial, dtu in dtus.items()}
        self._summed = [SummedInverter(s, d.name, d.poll_interval_s, rules[d.name]) for s, d in dtus.items()]
        self._counts_s = {s: ROUNDS * len(config.serials_of(d)) * d.poll_interval_s + MORE_S for s, d in dtus.items()}
        self._came: dict[str, tuple[object, float]] = {}
        self._lasting = len(asyncio.all_tasks(program.loop))

    def advance(self, until_s: float) -> None:
        """Let everything happen until a time, and look at it each second."""
        now_s = self._program.loop.time()
        while now_s < until_s:
            now_s = min(now_s + LOOK_S, until_s)
            self._program.advance(now_s)
            self._look(now_s)

    def _look(self, now_s: float) -> None:
        for what in self._outdated(now_s):
            self._watch.note("outdated", f"t={now_s:.0f} {what}")
        for what, count, most in self._waiting():
            if count > most:
                self._watch.note("queue", f"t={now_s:.0f} {count} {what}, not {most}")

    def _outdated(self, now_s: float) -> Iterator[str]:
        state = self._program.state
        line = live_line(state, self._sources, now_s)
        if self._age_s("meter", state.meter, now_s) > METER_S + SLACK_S:
            yield from self._shown("D-Bus meter", "/Ac/")
            if not re.match("grid +- ", line):
                yield f"live line: {line}"
        if self._age_s("plan", state.plan, now_s) > PLAN_S + SLACK_S:
            yield from self._shown("D-Bus controls", "/Plan/")
        shown = LivePlant.of(state, self._sources, now_s).inverters
        names = {inverter.serial: inverter.name for inverter in shown}
        for serial, status in state.inverters.items():
            if self._age_s(serial, status, now_s, self._measured_s(serial)) > self._counts_s[serial] + SLACK_S:
                yield from self._shown(f"D-Bus {serial}", "/Ac/Power", "/Dc/")
                if not re.search("load +- W", line) or re.search(rf"\b{names[serial]}: +\d+ [+=]", line):
                    yield f"live line: {line}"
        for name, dtu in state.dtus.items():
            parts = [source for source in self._summed if source.dtu == name]
            if self._age_s(name, dtu, now_s) > SUMMED_S + SLACK_S and sum_of(state, parts, now_s) is not None:
                yield f"DC sum of {name}"

    def _age_s(self, name: str, reading: object, now_s: float, measured_s: float = math.inf) -> float:
        """Return how old a reading is at least: since it came, or since the device measured last before that."""
        if reading is None:
            return math.inf
        known, since_s = self._came.get(name, (None, now_s))
        if known is not reading:
            since_s = min(now_s, measured_s)
            self._came[name] = reading, since_s
        return now_s - since_s

    def _measured_s(self, serial: str) -> float:
        """Return when the DTU last heard an inverter; infinity when it knows nothing of it."""
        known = [dtu.believed[serial].statistics for dtu in self._program.world.dtus if serial in dtu.believed]
        return known[0].at_s if known and known[0] is not None else math.inf

    def _shown(self, name: str, *begins: str) -> Iterator[str]:
        service = self._services[name]
        assert isinstance(service, MeterService | InverterService | SwitchService)
        for path, value in service.values().items():
            if value is not None and path.startswith(begins):
                yield f"{name}: {path} = {value}"

    def _waiting(self) -> Iterator[tuple[str, int, int]]:
        """Yield what waits: what it is, how many, and how many there may be."""
        program, dtus = self._program, self._program.world.dtus
        yield "tasks", len(asyncio.all_tasks(program.loop)), self._lasting + TASKS * len(dtus)
        yield "timers", len(program.loop._scheduled), TIMERS  # type: ignore[attr-defined]  # asyncio has no door to them
        for dtu in dtus:
            commands = [command for radio in dtu._radios for command in radio.queue if command.kind in COMMANDS]
            yield f"commands at {dtu.name}", len(commands), COMMANDS_WAITING * len(dtu.serials)
