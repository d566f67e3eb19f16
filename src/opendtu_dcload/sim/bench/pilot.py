"""What sets the limits of a simulated plant, and moves it on."""

from __future__ import annotations

from opendtu_dcload.sim.plant.world import World


class Pilot:
    """Sets limits through the world's DTUs; this one leaves them as they are."""

    def __init__(self, world: World) -> None:
        self._world = world

    def advance(self, at_s: float) -> None:
        """Let everything happen until a time."""
        self._world.advance(at_s)

    def act(self) -> None:
        """Act; called after each meter sample, when the world stands at it."""

    def close(self) -> None:
        """End, when nothing more is asked of it."""
