"""When a service with nothing to tell leaves the bus, and when it comes back."""

from __future__ import annotations


class Presence:
    """Whether a service is to be on the bus: from its first value on, and not after it fell silent.

    Clients of the GX take an invalid value for 0, or no longer look for another source; an absent service they ignore.
    """

    def __init__(self, *, leave_after_s: float, back_after_s: float) -> None:
        """Nothing is known yet.

        Args:
            leave_after_s: without values for longer than this it leaves.
            back_after_s: once it has left, it must have had values for this long; one that comes and goes stays away.
        """
        self._leave_after_s = leave_after_s
        self._back_after_s = back_after_s
        self.is_here = False
        """As last seen."""
        self._known_at_s = float("-inf")
        self._missing_at_s = float("-inf")

    def update(self, now_s: float, *, is_known: bool) -> bool:
        """Return whether the service is to be there, now that its values are known or not."""
        if is_known:
            self._known_at_s = now_s
            self.is_here |= now_s - self._missing_at_s >= self._back_after_s
        elif now_s - self._known_at_s > self._leave_after_s:
            self.is_here = False
        """As last seen."""
        if not is_known and self._known_at_s > float("-inf"):
            self._missing_at_s = now_s
        return self.is_here
