"""Which request tells the grid power, for each kind of Shelly and each wish of the user."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from opendtu_dcload.devices import parse
from opendtu_dcload.devices import shelly_answers as answers
from opendtu_dcload.errors import ConfigError

_PHASES = {"a": "a", "b": "b", "c": "c", "0": "a", "1": "b", "2": "c"}


@dataclass(frozen=True, slots=True)
class Source:
    """A request and how to read its answer."""

    path: str
    read: answers.Read
    energy_path: str | None = None
    """Where the counters are when they are not in the same answer."""
    read_energies: answers.ReadEnergies | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user wrote about the channel, and below which section."""

    channel: str | None
    section: str = "meter"


def gen1_source(device: str, emeters: int, meters: int, wish: Wish) -> Source | None:
    """Return how to read a Shelly of generation 1 with so many clamps and relay meters; None = it measures nothing.

    Raises:
        ConfigError: the channel is missing or is none of this device's.
    """
    if emeters == 3:
        wanted = _choose(device, wish, ("sum", *_PHASES), "sum")
        if wanted == "sum":
            return Source("/status", answers.emeters)
        return Source(f"/emeter/{'abc'.index(_PHASES[wanted])}", answers.emeter)
    if emeters:
        return Source(f"/emeter/{_choose_one(device, wish, range(emeters))}", answers.emeter)
    if meters:
        return Source(f"/meter/{_choose_one(device, wish, range(meters))}", answers.meter)
    return None


def gen2_source(device: str, status: object, wish: Wish) -> Source | None:
    """Return how to read a Shelly of a later generation with the components in `status` (Shelly.GetStatus).

    None = it measures nothing. The components decide, not the model: a Pro 3EM has one EM or three EM1, as its profile
    says, and a Pro EM-50 has a Switch beside its clamps, which is not the one to read.

    Raises:
        ConfigError: the channel is missing or is none of this device's.
    """
    if _ids(status, "em"):
        wanted = _choose(device, wish, ("sum", *_PHASES), "sum")
        letters = "abc" if wanted == "sum" else _PHASES[wanted]
        return Source(
            "/rpc/EM.GetStatus?id=0",
            partial(answers.em, letters=letters),
            "/rpc/EMData.GetStatus?id=0",
            partial(answers.em_energies, letters=letters),
        )
    if ids := _ids(status, "em1"):
        wanted = _choose_one(device, wish, ids, extra=("sum",) if ids == [0, 1, 2] else ())
        if wanted == "sum":  # one document, so that the three are of the same moment
            return Source("/rpc/Shelly.GetStatus", answers.em1_sum)
        return Source(
            f"/rpc/EM1.GetStatus?id={wanted}",
            answers.em1,
            f"/rpc/EM1Data.GetStatus?id={wanted}",
            answers.em1_energies,
        )
    if ids := _ids(status, "pm1"):
        return Source(f"/rpc/PM1.GetStatus?id={_choose_one(device, wish, ids)}", answers.power_meter)
    if ids := _metering_switches(status):
        return Source(f"/rpc/Switch.GetStatus?id={_choose_one(device, wish, ids)}", answers.power_meter)
    return None


def _ids(status: object, component: str) -> list[int]:
    matches = (re.fullmatch(rf"{component}:([0-9])", key) for key in parse.keys(status))
    return sorted(int(match[1]) for match in matches if match)


def _metering_switches(status: object) -> list[int]:
    return [i for i in _ids(status, "switch") if "apower" in parse.keys(parse.child(status, f"switch:{i}"))]


def _choose_one(device: str, wish: Wish, ids: Sequence[int], extra: tuple[str, ...] = ()) -> str:
    offered = tuple(str(index) for index in ids)
    return _choose(device, wish, offered + extra, offered[0] if len(offered) == 1 else None)


def _choose(device: str, wish: Wish, offered: tuple[str, ...], default: str | None) -> str:
    wanted = default if wish.channel is None else wish.channel
    if wanted in offered:
        return wanted
    choice = " or ".join(f'"{name}"' for name in offered)
    key = f"{wish.section}.channel"
    if wish.channel is None:
        which = "the grid's" if wish.section == "meter" else "the one to read"
        problem = f"{key}: missing, and {device} has several; write {which}, channel = {choice}"
    else:
        problem = f'{key}: "{wish.channel}" is none of what {device} offers; write channel = {choice}'
    raise ConfigError([problem])
