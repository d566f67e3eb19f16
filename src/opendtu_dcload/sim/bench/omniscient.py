"""The second and the third yardstick: controllers that know everything, without the future and with it.

At each meter sample it is told the true load and the exact state of the plant, with every limit that is still on its
way. It is bound by radio windows, lost packets, dead time and ramp as everybody else, and it never waits to see whether
a load lasts: so on loads that come and go a controller that learns from the past can waste less. One with foresight
sees the load as it will be when a command rules: what it wastes nobody can save.
"""

from __future__ import annotations

import math

from opendtu_dcload.sim.bench.pilot import Pilot
from opendtu_dcload.sim.plant.house import InverterModel
from opendtu_dcload.sim.plant.world import World

WORTH_W = 10.0
"""Least difference that is worth a command: a radio busy with less is not free for the next step of the load."""
RADIO_S = 0.2
"""A limit is on air so long, see `score.IDEAL_LAG_S`."""
SAMPLE_S = 1.0
"""A limit posted now goes out before the next sample if the radio is free by then."""


class Omniscient(Pilot):
    """Keeps the sum of the final outputs at the load as it is now: no filter, no offset, no guess."""

    def __init__(self, world: World, minimum_w: float, cap_w: float) -> None:
        super().__init__(world)
        self._minimum_w = minimum_w
        self._models = {model.serial: model for model in world.house.models}
        self._lowest_w = {s: m.steady_w(minimum_w) for s, m in self._models.items()}
        self._highest_w = {s: m.steady_w(m.rated_w) for s, m in self._models.items()}
        self._cap_w = cap_w
        self._ahead_s = 0.0

    def act(self) -> None:
        """Give the radios that can take it the limits that bring the plant closest to the load, one each at most."""
        world = self._world
        final_w = {serial: self._final_w(serial) for serial in self._models}
        load_w = world.house.load_at(world.house.now_s + self._ahead_s)
        missing_w = min(load_w, self._cap_w) - sum(final_w.values())
        open_to = [
            serials
            for dtu in world.dtus
            for free_s, all_serials in dtu.radios
            if (serials := self._open_to(free_s, all_serials))
        ]
        while abs(missing_w) >= WORTH_W:
            serial = self._fittest([s for serials in open_to for s in serials], final_w, missing_w)
            if serial is None:
                return
            change_w = math.copysign(min(abs(missing_w), self._room_w(serial, final_w[serial], missing_w)), missing_w)
            self._post(serial, final_w[serial] + change_w)
            missing_w -= change_w
            open_to = [serials for serials in open_to if serial not in serials]

    def _open_to(self, free_s: float, serials: list[str]) -> list[str]:
        """Return the inverters that a radio may be given a limit for now: those that wait, or any if it is idle."""
        waiting = [s for s in serials if self._world.dtu_of(s).is_waiting(s)]
        return waiting or (serials if free_s <= self._world.house.now_s + SAMPLE_S else [])

    def _final_w(self, serial: str) -> float:
        in_flight_w = self._world.dtu_of(serial).in_flight_w(serial)
        limit_w = self._world.house.inverters[serial].final_limit_w if in_flight_w is None else in_flight_w
        return self._models[serial].steady_w(limit_w)

    def _room_w(self, serial: str, final_w: float, missing_w: float) -> float:
        return self._highest_w[serial] - final_w if missing_w > 0 else final_w - self._lowest_w[serial]

    def _fittest(self, serials: list[str], final_w: dict[str, float], missing_w: float) -> str | None:
        """Return the inverter with just enough room, so that the others keep theirs for a large step; or the most."""
        room_w = {s: self._room_w(s, final_w[s], missing_w) for s in serials}
        enough = [s for s in serials if room_w[s] >= abs(missing_w)]
        best = min(enough, key=room_w.__getitem__) if enough else max(serials, key=room_w.__getitem__, default=None)
        return best if best is not None and room_w[best] >= WORTH_W else None

    def _post(self, serial: str, output_w: float) -> None:
        limit_w = limit_for(self._models[serial], output_w)
        limit_w = round(min(max(limit_w, self._minimum_w), self._models[serial].rated_w), 1)
        self._world.dtu_of(serial).post_limit(serial, 0, limit_w)


class Foresighted(Omniscient):
    """Keeps the sum of the final outputs at the load as it will be when they are half reached."""

    def __init__(self, world: World, minimum_w: float, cap_w: float) -> None:
        super().__init__(world, minimum_w, cap_w)
        lags_s = [model.dead_time_s + math.log(2) * model.time_constant_s for model in world.house.models]
        self._ahead_s = RADIO_S + sum(lags_s) / len(lags_s)


def limit_for(model: InverterModel, output_w: float) -> float:
    """Return the limit in W that leads to an output in W: `InverterModel.steady_w` turned round."""
    edge_w = model.low_range * model.rated_w
    if output_w >= model.gain * edge_w:
        return output_w / model.gain
    # gain * (1 - e) * limit + gain * e / edge * limit^2 = output
    error, linear = model.low_error, 1 - model.low_error
    if error == 0:
        return output_w / model.gain
    return edge_w / (2 * error) * (math.sqrt(linear**2 + 4 * error * output_w / model.gain / edge_w) - linear)
