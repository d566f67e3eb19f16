"""Do the battery's values move? A service whose driver hangs repeats for ever what it knew last.

A battery at rest stands still for hours, so that alone proves nothing. But what our inverters draw from it must show.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from opendtu_dcload.model import BatteryStatus, InverterStatus

STILL_S = 60.0
CHANGED_W, SHOWN_WITHIN_S = 150.0, 20.0
"""A change of the inverters' DC power by more than this the battery must show in this time: some BMS are read every few
seconds, and the inverters' values have an age of their own."""


class BatteryMovement:
    """Compares what the battery's service tells with what the inverters have drawn since it last changed."""

    def __init__(self) -> None:
        self._told: tuple[object, ...] = ()
        self._since_s = -math.inf
        self._is_frozen = False
        self._measured: frozenset[str] = frozenset()
        """Inverters that were measured since the battery last changed."""
        self._drawn_w = (math.inf, -math.inf)
        """Lowest and highest sum of their DC powers since then."""
        self._changed_at_s = math.inf
        """When these two were first too far apart."""

    def is_frozen(self, battery: BatteryStatus, inverters: Collection[InverterStatus]) -> bool:
        """Take the battery's values and tell whether they have frozen; state of charge and limits play no role."""
        told = (battery.service, battery.voltage_v, battery.current_a, battery.power_w)
        if told != self._told:
            self._told, self._since_s, self._is_frozen = told, battery.at_s, False
            self._compare_with(frozenset())
        powers_w = {i.serial: i.dc_power_w for i in inverters if i.dc_power_w is not None and i.at_s > self._since_s}
        if powers_w.keys() != self._measured:
            self._compare_with(frozenset(powers_w))
        drawn_w = sum(powers_w.values())
        self._drawn_w = lowest_w, highest_w = min(self._drawn_w[0], drawn_w), max(self._drawn_w[1], drawn_w)
        if highest_w - lowest_w > CHANGED_W:
            self._changed_at_s = min(self._changed_at_s, battery.at_s)
        is_still = battery.at_s - self._since_s >= STILL_S and any(value is not None for value in told[1:])
        self._is_frozen |= is_still and battery.at_s - self._changed_at_s >= SHOWN_WITHIN_S
        return self._is_frozen

    def _compare_with(self, serials: frozenset[str]) -> None:
        self._measured, self._drawn_w, self._changed_at_s = serials, (math.inf, -math.inf), math.inf
