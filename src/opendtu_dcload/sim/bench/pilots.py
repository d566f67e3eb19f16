"""Whoever sets the limits of a simulated plant: the real controller, and those it is compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from types import MappingProxyType
from typing import Any

from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.sim.bench.omniscient import Foresighted, Omniscient
from opendtu_dcload.sim.bench.pilot import Pilot
from opendtu_dcload.sim.peers.on_battery import OnBattery
from opendtu_dcload.sim.peers.original import Original
from opendtu_dcload.sim.peers.peer import TARGET_W, Peer
from opendtu_dcload.sim.peers.played_peer import PlayedPeer, begins_after_s
from opendtu_dcload.sim.peers.zero_export import ZeroExport
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.invariants import SLACK_W, InvariantChecker
from opendtu_dcload.sim.runs.played import Played
from opendtu_dcload.sim.runs.program import Program, plant_config


class Playing(Pilot):
    """Lets tasks of its own talk to the plant's devices, as late as over a network."""

    def __init__(self, world: World, played: Played) -> None:
        super().__init__(world)
        self._stack = ExitStack()
        self._played = self._stack.enter_context(played)

    def advance(self, at_s: float) -> None:
        """Let everything happen until a time."""
        self._played.advance(at_s)

    def close(self) -> None:
        """End all tasks."""
        self._stack.close()


class Told(Playing):
    """A program of other people."""

    def __init__(self, peer: type[Peer], world: World, minimum_w: float, cap_w: float) -> None:
        super().__init__(world, PlayedPeer(world, peer, minimum_w=minimum_w, cap_w=cap_w, seed=world.house.seed))


class Ours(Playing):
    """The service's own tasks, watched.

    `commands_per_hour` is what each DTU may be given, None = the default; `control` is what that section of the
    configuration says beside the cap.
    """

    def __init__(
        self,
        world: World,
        minimum_w: float,
        cap_w: float,
        commands_per_hour: int | None = None,
        control: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._limits_w = math.inf
        config = plant_config(
            world,
            minimum_w=minimum_w,
            cap_w=cap_w,
            commands_per_hour=commands_per_hour,
            sections={"control": control},
        )
        seed = world.house.seed
        world.advance(world.house.now_s + begins_after_s(seed))
        self.program = Program(world, config, self._make_controller, seed=seed)
        super().__init__(world, self.program)

    def _make_controller(
        self, settings: Settings, units: Sequence[InverterParameters], now_s: float
    ) -> InvariantChecker:
        self.controller = InvariantChecker(settings, units, now_s)
        return self.controller

    def act(self) -> None:
        """Look whether the limits that rule are within the cap."""
        limits_w = sum(min(i.limit_w, i.model.rated_w) for i in self._world.house.inverters.values())
        cap_w = self.controller.settings.max_feed_in_w
        if limits_w > max(cap_w, self._limits_w) + SLACK_W:
            at_s = self._world.house.now_s
            self.controller.watch.note("in force", f"t={at_s:.1f} {limits_w:.0f} W, cap {cap_w:.0f} W")
        self._limits_w = limits_w

    def violations(self) -> list[str]:
        """Return what was done against the rules since the start, one sentence each."""
        wrong = [f"{kind}: {texts[0]} ({len(texts)} times)" for kind, texts in self.controller.watch.found.items()]
        for dtu in self._world.dtus:
            if count := dtu.counters.persistent:
                wrong.append(f"persistent: {count} limits that wear the EEPROM")
            if count := dtu.counters.raised_or_repeated_while_pending:
                wrong.append(f"pending: {count} limits raised or repeated while one was on its way")
        return wrong


CONTROLLERS = ("ours", "original", "zero export", "on battery", "omniscient")
"""Those that are compared, in the order of the table."""
BUDGETED: Mapping[str, int] = {f"ours {budget}/h": budget for budget in (60, 120, 600)}
"""The real controller with other budgets than the default one, in commands per hour."""
NO_EXPORT = "ours no-export"
UNLIMITED, FORESIGHT = "ours unlimited", "foresight"
YARDSTICKS = (NO_EXPORT, UNLIMITED, FORESIGHT)
"""They play all cases: that `no-export` exports least is promised at the others' target, and the others tell what is
lost to what."""
MOST_PER_H = 1800
"""A radio takes a command in 2 s."""
VARIANTS: Mapping[str, Sequence[str]] = {"hms": (*BUDGETED,)}
"""The real controller with other budgets, by the plant whose tuning cases it plays."""
PILOTS: Mapping[str, Callable[[World, float, float], Pilot]] = {
    "ours": Ours,
    "original": partial(Told, Original),
    "zero export": partial(Told, ZeroExport),
    "on battery": partial(Told, OnBattery),
    "omniscient": Omniscient,
    **{name: partial(Ours, commands_per_hour=budget) for name, budget in BUDGETED.items()},
    NO_EXPORT: partial(Ours, control={"priority": "no-export", "target_w": TARGET_W}),
    UNLIMITED: partial(Ours, commands_per_hour=MOST_PER_H),
    FORESIGHT: Foresighted,
}
"""All by name; made from world, lowest limit of each inverter in W, and cap in W."""
