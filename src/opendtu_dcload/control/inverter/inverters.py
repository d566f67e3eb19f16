"""All listed inverters, as their DTUs tell of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from opendtu_dcload.control.decision import Seen
from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.settings import Settings

FOREIGN_COUNT, FOREIGN_WITHIN_S = 2, 600.0
"""So many limits that are not ours in this time are another controller's; a single one may be a user's trial."""


class Inverters:
    """The trackers by serial, and what holds for all of them."""

    def __init__(self, settings: Settings, units: Sequence[InverterParameters]) -> None:
        self.trackers = {unit.serial: InverterTracker(unit, settings.max_temperature_c) for unit in units}
        self._dtus = {unit.dtu: settings.dtus.get(unit.dtu, DtuSettings()) for unit in units}
        self._foreign_at_s: list[float] = []
        self._slowest_fresh_s = 0.0

    @property
    def is_shared(self) -> bool:
        """Whether another controller sets limits too."""
        return len(self._foreign_at_s) >= FOREIGN_COUNT

    @property
    def shown_within_s(self) -> float:
        """Time in s in which fresh data show what came of a command to any of them."""
        return max(t.output.credit_s for t in self.trackers.values()) + self._slowest_fresh_s

    def observe(self, seen: Seen, unwanted: Collection[str], standby_counts: Mapping[str, int]) -> None:
        """Take what the DTUs tell.

        Args:
            seen: what the decision is made from.
            unwanted: serials of those that the user has switched off.
            standby_counts: how often each of those in standby was put there.
        """
        self._foreign_at_s = [at_s for at_s in self._foreign_at_s if seen.now_s - at_s < FOREIGN_WITHIN_S]
        fresh_s = {name: dtu.freshness_s(seen.dtus.get(name)) for name, dtu in self._dtus.items()}
        self._slowest_fresh_s = max(fresh_s.values(), default=0.0)
        for serial, tracker in self.trackers.items():
            name = tracker.unit.dtu
            tracker.contact.trouble = self._dtus[name].trouble(seen.dtus.get(name), seen.now_s)
            tracker.contact.is_busy = name in seen.busy
            tracker.standby_count = standby_counts.get(serial, 0)
            tracker.is_switched_off = serial in unwanted or bool(tracker.standby_count)
            limit, status = seen.limits.get(serial), seen.inverters.get(serial)
            if tracker.apply_answers(seen.now_s, limit, status, fresh_s[name]):
                self._foreign_at_s.append(seen.now_s)

    def forget_limits(self) -> None:
        """Take every limit for unknown: the inverters were cut off from the grid, and start anew."""
        for tracker in self.trackers.values():
            tracker.forget()
