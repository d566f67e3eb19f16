"""A house and the DTUs of its inverters, moved together on virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opendtu_dcload.sim.plant.house import House
from opendtu_dcload.sim.plant.sim_dtu import SimDtu


@dataclass(frozen=True, slots=True)
class World:
    """Everything that exists without a controller."""

    house: House
    dtus: Sequence[SimDtu]

    def dtu_of(self, serial: str) -> SimDtu:
        """Return the DTU that an inverter belongs to."""
        return next(dtu for dtu in self.dtus if serial in dtu.serials)

    def advance(self, now_s: float) -> None:
        """Move everything to `now_s`, event by event."""
        while (first := min(self.dtus, key=lambda dtu: dtu.next_event_s)).next_event_s <= now_s:
            first.advance(first.next_event_s)
        for dtu in self.dtus:
            dtu.advance(now_s)

    def advance_to_sample(self) -> float:
        """Move everything to the meter's next sample and return its time in s."""
        self.advance(self.house.next_sample_s)
        return self.house.now_s
