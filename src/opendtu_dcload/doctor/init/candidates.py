"""The inverters that an OpenDTU knows: what each is, and which of them are likely to be on the battery."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opendtu_dcload.devices.opendtu.opendtu_client import KnownInverter
from opendtu_dcload.model import InverterStatus, LimitStatus

SAME_SHARE = 0.02
"""Inverters on one battery show its voltage to within this: cables, and the tenths that they round to; an estimate."""
ALL = frozenset(["all", "a", "alle", "*"])
NONE = frozenset(["none", "keine", "keiner", "0"])


@dataclass(frozen=True, slots=True)
class Candidate:
    """An inverter that may be on the battery."""

    serial: str
    note: str
    """What is known of it, for people and for good."""
    rated_w: float | None
    """None = not known."""
    voltage_v: float | None
    """Its DC input, None = not known now."""
    power_w: float | None
    """What it gives now."""

    def __str__(self) -> str:
        """Return it with what it does now."""
        parts = [f"{self.serial} {self.note}"]
        if self.power_w is not None:
            parts.append(f"gives {self.power_w:.0f} W")
        return ", ".join(parts)


def candidates(
    known: Sequence[KnownInverter],
    types: Mapping[str, str],
    limits: Mapping[str, LimitStatus],
    live: Mapping[str, InverterStatus],
) -> list[Candidate]:
    """Return what is known of each inverter."""
    found = []
    for inverter in known:
        status, limit = live.get(inverter.serial), limits.get(inverter.serial)
        is_there = status is not None and status.reachable
        voltage_v = status.dc_voltage_v if status is not None and is_there and status.dc_voltage_v else None
        rated_w = limit.rated_w if limit is not None and limit.rated_w else None
        rated = f"{rated_w:.0f} W" if rated_w else ""
        voltage = f"{voltage_v:.1f} V" if voltage_v else "" if is_there else "not reached now"
        note = ", ".join(filter(None, (inverter.name, types.get(inverter.serial, ""), rated, voltage)))
        power_w = status.ac_power_w if status is not None and is_there else None
        found.append(Candidate(inverter.serial, note, rated_w, voltage_v, power_w))
    return found


def likely(found: Sequence[Candidate]) -> list[int]:
    """Return the places of those that are on one battery as it seems; none where that cannot be told.

    Modules on a roof have voltages of their own, a battery has one. So: the only inverter there is, or the largest
    group with one voltage when it is larger than any other.
    """
    if len(found) == 1:
        return [0]
    groups = [
        [
            place
            for place, other in enumerate(found)
            if other.voltage_v and abs(other.voltage_v - base.voltage_v) <= SAME_SHARE * base.voltage_v
        ]
        for base in found
        if base.voltage_v
    ]
    largest = max(groups, key=len, default=[])
    is_alone = all(set(group) <= set(largest) or len(group) < len(largest) for group in groups)
    return largest if len(largest) > 1 and is_alone else []


def chosen(answer: str, found: Sequence[Candidate]) -> list[int] | None:
    """Return the places that are meant by an answer such as `1 3`, `1-2`, `all` or serial numbers; None = none is."""
    word = answer.casefold().strip(" .!")
    if word in ALL:
        return list(range(len(found)))
    if word in NONE:
        return []
    serials = {candidate.serial: place for place, candidate in enumerate(found)}
    places: set[int] = set()
    for part in re.split(r"[\s,;+]+|\bund\b|\band\b", re.sub(r"\s*-\s*", "-", word)):
        if part in serials:
            places.add(serials[part])
        elif match := re.fullmatch(r"([0-9]{1,2})(?:-([0-9]{1,2}))?", part):
            first, last = int(match[1]), int(match[2] or match[1])
            if not 1 <= first <= last <= len(found):
                return None
            places |= set(range(first - 1, last))
        elif part:
            return None
    return sorted(places) or None


def lowest_v(found: Sequence[Candidate]) -> float | None:
    """Return the lowest voltage of these in V, None = not known."""
    return min((candidate.voltage_v for candidate in found if candidate.voltage_v), default=None)
