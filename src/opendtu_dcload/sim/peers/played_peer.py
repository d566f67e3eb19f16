"""A program of other people on virtual time, in the place of ours."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping

import aiohttp

from opendtu_dcload.devices.http import Clock
from opendtu_dcload.sim.peers.on_battery import OnBattery
from opendtu_dcload.sim.peers.original import Original
from opendtu_dcload.sim.peers.peer import Peer, Setup, Unit
from opendtu_dcload.sim.peers.zero_export import ZeroExport
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.played import METER, PASSWORD, Played

PEERS: Mapping[str, type[Peer]] = {"original": Original, "zero export": ZeroExport, "on battery": OnBattery}
"""All by name."""
LATEST_S = 5.0
"""A program begins within this time: a DTU polls its inverters as often."""


def setup_for(world: World, hosts: Mapping[str, str], meter: str, *, minimum_w: float, cap_w: float) -> Setup:
    """Return what the user of such a program configures for a plant, whose DTUs' addresses are `hosts` by name."""
    models = world.house.models
    share = min(1.0, cap_w / sum(model.rated_w for model in models))
    units = [
        Unit(model.serial, model.rated_w, minimum_w, share * model.rated_w, hosts[world.dtu_of(model.serial).name])
        for model in models
    ]
    return Setup(meter, PASSWORD, units)


def make_peer(kind: type[Peer], setup: Setup, session: aiohttp.ClientSession, clock: Clock, world: World) -> Peer:
    """Return a program of other people; only one that is a part of the DTU's firmware is given the world."""
    return kind(setup, session, clock, world) if issubclass(kind, OnBattery) else kind(setup, session, clock)


def begins_after_s(seed: object) -> float:
    """Return after how many seconds a program begins: who asks by the clock meets the DTU's polling in all phases."""
    return random.Random(f"begins {seed}").uniform(0.0, LATEST_S)


async def run_from_some_time_on(peer: Peer, seed: object) -> None:
    """Run a program for ever, beginning at a moment that the seed sets."""
    await asyncio.sleep(begins_after_s(seed))
    await peer.run()


class PlayedPeer(Played):
    """Runs from some seconds after the world's present time on."""

    def __init__(self, world: World, kind: type[Peer], *, minimum_w: float, cap_w: float, seed: int = 1) -> None:
        super().__init__(world, seed=seed)
        self._kind = kind
        self._seed = seed
        self._setup = setup_for(world, {name: name for name in self.dtus}, METER, minimum_w=minimum_w, cap_w=cap_w)

    async def start(self) -> None:
        """Start the program."""
        peer = make_peer(self._kind, self._setup, self.wire.session, self.loop.time, self.world)
        self.tasks.append(self.loop.create_task(run_from_some_time_on(peer, self._seed), name=self._kind.__name__))
