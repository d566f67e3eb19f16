"""The service's own tasks against a simulated plant, on virtual time: pollers, control loop, senders, relay, alarms.

What the service has beside them is left out: D-Bus, the supervisor, and aiohttp, in whose place the devices answer in
the same process with the latencies that are known of real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any

from opendtu_dcload.config import Config, parse_config
from opendtu_dcload.control.controller import Controller
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.loop import ControlLoop
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.lasting import Task
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.played import METER, PASSWORD, Played, end_tasks, host_of
from opendtu_dcload.state import State
from opendtu_dcload.tasks.device_tasks import arming, reading

FIRST_DAY = date(2026, 1, 1)
"""The program's date at time 0, which is midnight: what it counts by day is the same whenever it is played."""
DAY_S = 86400

MakeController = Callable[[Settings, Sequence[InverterParameters], float], Controller]


def plant_config(
    world: World,
    *,
    minimum_w: float,
    cap_w: float,
    commands_per_hour: int | None = None,
    sections: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> Config:
    """Return the configuration that a user of this plant would write; `sections` add to it, or replace keys."""
    budget = {} if commands_per_hour is None else {"max_commands_per_hour": commands_per_hour}
    dtus = [{"name": dtu.name, "host": host_of(dtu.name), "password": PASSWORD, **budget} for dtu in world.dtus]
    table: dict[str, Any] = {
        "meter": {"host": METER},
        "opendtu": dtus,
        "inverter": [
            {"serial": model.serial, "opendtu": world.dtu_of(model.serial).name, "min_power_w": minimum_w}
            for model in world.house.models
        ],
        "battery": {"min_voltage_v": 40.0},
        "control": {"max_feed_in_w": cap_w},
        "dbus": {"enabled": False},
        "web": {"enabled": False},
    }
    for name, section in sections.items():
        table[name] = {**table.get(name, {}), **section}
    return parse_config(table)


class Program(Played):
    """Runs from the world's present time on; use it as a context manager.

    Args:
        world: house and DTUs, moved along with the program.
        config: as `plant_config` returns it.
        make_controller: makes the controller from settings, inverters and time.
        seed: of the answers' latencies.
    """

    def __init__(
        self, world: World, config: Config, make_controller: MakeController = Controller, *, seed: int = 1
    ) -> None:
        super().__init__(world, seed=seed)
        self.config = config
        self.state = State()
        self._make_controller = make_controller

    async def start(self) -> None:
        """Start the tasks."""
        config, state, session, clock = self.config, self.state, self.wire.session, self.loop.time
        dtus = {dtu.name: OpenDtu(dtu, session, config.serials_of(dtu), clock) for dtu in config.dtus}
        self.control = ControlLoop(config, state, dtus, clock, today=self._today, make_controller=self._make_controller)
        for task in (
            *reading(config, state, session, None, dtus, clock),
            *arming(config, state, session, clock, is_dry=False),
            Task("control", self.control.run()),
        ):
            self.tasks.append(self.loop.create_task(task.coroutine, name=task.name))

    def kill(self) -> None:
        """End it in the middle of whatever it does, as when its computer dies; plant and time go on without it."""
        self.loop.run_until_complete(end_tasks(self.tasks))
        self.tasks.clear()

    def _today(self) -> date:
        return FIRST_DAY + timedelta(days=self.loop.time() // DAY_S)
