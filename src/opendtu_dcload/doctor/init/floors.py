"""Which floor suits a battery: from its voltage to the cells that it can consist of.

A floor lies above where the battery's own protection acts, and leaves about a tenth. LiFePO4: 3.2 V nominal, at 2.8 V
3 % are left (Victron, manual of the LiFePO4 battery 12,8 V and 25,6 V Smart, 7.3), charged with up to 3.65 V. Li-ion of
nickel, manganese and cobalt: 3.6 to 3.7 V nominal, full at 4.2 V, systems stop at 3.2 to 3.45 V
(https://www.heatedbattery.com/?p=26090). Lead: 2.0 V nominal, charged with 2.4 V. The floors per cell are estimates on
the safe side of that.
"""

from __future__ import annotations

from dataclasses import dataclass

CLEARLY_BELOW = 0.98
"""A floor that is suggested is at most this share of the voltage now."""


@dataclass(frozen=True, slots=True)
class _Chemistry:
    name: str
    cells: tuple[int, ...]
    """In series, as batteries for these inverters are sold; those of 12 V are below what the inverters need."""
    lowest_v: float
    highest_v: float
    """Per cell, while it is in use or being charged gently."""
    floor_v: float
    """Per cell."""


_CHEMISTRIES = (
    _Chemistry("LiFePO4", (8, 15, 16), 3.0, 3.5, 3.0),
    _Chemistry("Li-ion (NMC)", (7, 13, 14), 3.3, 4.2, 3.3),
    _Chemistry("lead", (12, 24), 1.95, 2.4, 1.95),
)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A floor, and the battery that it is for."""

    floor_v: float
    battery: str


def suggestions(now_v: float) -> list[Suggestion]:
    """Return the floors for each battery that can have `now_v`, the highest first: it protects all of them."""
    found = [
        Suggestion(floor_v, f"{cells} cells {kind.name}")
        for kind in _CHEMISTRIES
        for cells in kind.cells
        if kind.lowest_v * cells <= now_v <= kind.highest_v * cells
        and (floor_v := round(kind.floor_v * cells, 1)) <= CLEARLY_BELOW * now_v
    ]
    return sorted(found, key=lambda suggestion: -suggestion.floor_v)
