"""What asks a DTU, and nothing else, on virtual time; the tests post limits themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence

from opendtu_dcload.config import Config, parse_config
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.sim.plant.house import House
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.played import PASSWORD, Played
from opendtu_dcload.sim.runs.simulated_plant import default_models
from opendtu_dcload.sim.servers.latency import Latency
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.state import State
from opendtu_dcload.tasks.device_tasks import asking


class PolledDtu(Played):
    """A DTU with three inverters, all or some of them ours; use it as a context manager."""

    def __init__(self, *, ours: Sequence[int] = (0, 1, 2), poll_interval_s: float = 5.0, loss: float = 0.0) -> None:
        models = default_models(3)
        house = House([600.0], models)
        self.plant = SimDtu(house, loss=loss)
        super().__init__(World(house, [self.plant]))
        self.server.latency = Latency(0.08)
        self.serials = [models[number].serial for number in ours]
        self.state = State()
        self.config = self._config(poll_interval_s)
        (section,) = self.config.dtus
        self.client = OpenDtu(section, self.wire.session, self.serials, self.loop.time)

    @property
    def server(self) -> OpenDtuServer:
        return self.dtus["opendtu"]

    @property
    def now_s(self) -> float:
        return self.world.house.now_s

    async def start(self) -> None:
        for task in asking(self.config, self.state, {"opendtu": self.client}, self.loop.time):
            self.tasks.append(self.loop.create_task(task.coroutine, name=task.name))

    def play(self, seconds: float) -> None:
        self.advance(self.now_s + seconds)

    def count(self, words: str = "") -> int:
        """Return how many requests with these words have arrived."""
        return sum(n for path, n in self.server.asked.items() if words in path)

    def asked(self, words: str, seconds: float) -> int:
        """Return how many more requests with these words arrive in a time."""
        before = self.count(words)
        self.play(seconds)
        return self.count(words) - before

    def post(self, serial: str, limit_w: float) -> None:
        """Send a limit."""
        self.loop.run_until_complete(self.client.set_limit(serial, limit_w, minimum_w=20.0, rated_w=400.0))

    def lag_s(self, serial: str) -> float:
        """Return for how long the DTU has known more than we do, 0 = it does not."""
        statistics, known = self.plant.believed[serial].statistics, self.state.inverters.get(serial)
        known_at_s = known.at_s if known else -math.inf
        return self.now_s - statistics.at_s if statistics and statistics.at_s > known_at_s + 0.5 else 0.0

    def _config(self, poll_interval_s: float) -> Config:
        section = {"host": "opendtu", "password": PASSWORD, "poll_interval_s": poll_interval_s}
        listed = [{"serial": serial, "min_power_w": 20.0} for serial in self.serials]
        return parse_config(
            {"meter": {"host": "meter"}, "opendtu": section, "inverter": listed, "battery": {"min_voltage_v": 40.0}}
        )
