"""Which request tells the grid power, for each kind of Shelly and each wish of the user."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from opendtu_dcload.devices import json_fields
from opendtu_dcload.devices.shelly import shelly_answers as answers
from opendtu_dcload.errors import ConfigError

_EVERYTHING = "/rpc/Shelly.GetStatus"
_PM1_COUNTS_BOTH = 3
"""From this generation on recordings show that a PM1 counts what was returned as consumed too."""
_PHASES = {"a": "a", "b": "b", "c": "c", "0": "a", "1": "b", "2": "c"}


class ChannelError(ConfigError):
    """The channel is missing, or is none of the device's."""

    def __init__(self, problem: str, offered: tuple[str, ...]) -> None:
        """Keep those that there are."""
        super().__init__([problem])
        self.offered = offered


@dataclass(frozen=True, slots=True)
class MeterChannel:
    """A request and how to read its answer."""

    path: str
    read: answers.Read
    energy_path: str | None = None
    """Where the counters are when they are not in the same answer."""
    read_energies: answers.ReadEnergies | None = None
    shows_export: bool = True
    """False: power is shown as a magnitude, whichever way it flows."""


@dataclass(frozen=True, slots=True)
class ChannelChoice:
    """What the user wrote about the channel, and below which section."""

    channel: str | None
    section: str = "meter"


def gen1_source(device: str, emeters: int, meters: int, wish: ChannelChoice) -> MeterChannel | None:
    """Return how to read a Shelly of generation 1 with so many clamps and relay meters; None = it is no meter.

    Raises:
        ConfigError: the channel is missing or is none of this device's.
    """
    if emeters == 3:
        wanted = _choose(device, wish, ("sum", *_PHASES), "sum")
        if wanted != "sum":
            return MeterChannel(f"/emeter/{'abc'.index(_PHASES[wanted])}", answers.emeter)
    elif emeters:
        wanted = _choose_one(device, wish, range(emeters))
        if wanted != "sum":
            return MeterChannel(f"/emeter/{wanted}", answers.emeter)
    elif meters:
        wanted = _choose_one(device, wish, range(meters))
        if wanted != "sum":
            return MeterChannel(f"/meter/{wanted}", answers.meter, shows_export=False)
        return MeterChannel("/status", partial(answers.meters, count=meters), shows_export=False)
    else:
        return None
    return MeterChannel("/status", partial(answers.emeters, count=emeters))


def count_load_meters(status: object) -> int:
    """Return how many relay loads a Shelly of generation 1 measures, from its `/status`.

    A lamp or a dimmer is no meter, nor is a Shelly 1, which shows the power that its user typed in and counts nothing.
    """
    entries = json_fields.items(status, "meters")
    is_meter = "lights" not in json_fields.keys(status) and all("total" in json_fields.keys(entry) for entry in entries)
    return len(entries) if is_meter else 0


def gen2_source(device: str, generation: int, status: object, wish: ChannelChoice) -> MeterChannel | None:
    """Return how to read a Shelly of a later generation with the components in `status` (Shelly.GetStatus).

    None = it is no meter. The components decide, not the model: a Pro 3EM has one EM or three EM1, as its profile
    says, and a Pro EM-50 has a Switch beside its clamps, which is not the one to read.

    Raises:
        ConfigError: the channel is missing or is none of this device's.
    """
    if _ids(status, "em"):
        wanted = _choose(device, wish, ("sum", *_PHASES), "sum")
        letters = "abc" if wanted == "sum" else _PHASES[wanted]
        return MeterChannel(
            "/rpc/EM.GetStatus?id=0",
            partial(answers.em, letters=letters),
            "/rpc/EMData.GetStatus?id=0",
            partial(answers.em_energies, letters=letters),
        )
    if ids := _ids(status, "em1"):
        wanted = _choose_one(device, wish, ids)
        if wanted == "sum":  # one document, so that all are of the same moment
            return MeterChannel(_EVERYTHING, partial(answers.components, kind="em1", ids=ids, read=answers.em1))
        return MeterChannel(
            f"/rpc/EM1.GetStatus?id={wanted}",
            answers.em1,
            f"/rpc/EM1Data.GetStatus?id={wanted}",
            answers.em1_energies,
        )
    if ids := _ids(status, "pm1"):
        return _load_source(device, status, "pm1", "PM1", ids, wish, counts_both=generation >= _PM1_COUNTS_BOTH)
    if ids := [
        i for i in _ids(status, "switch") if "apower" in json_fields.keys(json_fields.child(status, f"switch:{i}"))
    ]:
        return _load_source(device, status, "switch", "Switch", ids, wish, counts_both=True)
    return None


def _load_source(
    device: str,
    status: object,
    kind: str,
    namespace: str,
    ids: Sequence[int],
    wish: ChannelChoice,
    *,
    counts_both: bool,
) -> MeterChannel:
    wanted = _choose_one(device, wish, ids)
    used = ids if wanted == "sum" else [int(wanted)]
    shows_export = all(
        "ret_aenergy" in json_fields.keys(json_fields.child(status, f"{kind}:{index}")) for index in used
    )
    read = partial(answers.load_meter, counts_both=counts_both)
    if wanted == "sum":
        read = partial(answers.components, kind=kind, ids=ids, read=read)
        return MeterChannel(_EVERYTHING, read, shows_export=shows_export)
    return MeterChannel(f"/rpc/{namespace}.GetStatus?id={wanted}", read, shows_export=shows_export)


def _ids(status: object, component: str) -> list[int]:
    matches = (re.fullmatch(rf"{component}:([0-3])", key) for key in json_fields.keys(status))
    return sorted(int(match[1]) for match in matches if match)


def _choose_one(device: str, wish: ChannelChoice, ids: Sequence[int]) -> str:
    offered = tuple(str(index) for index in ids)
    if len(offered) == 1:
        return _choose(device, wish, offered, offered[0])
    return _choose(device, wish, (*offered, "sum"), None)


def _choose(device: str, wish: ChannelChoice, offered: tuple[str, ...], default: str | None) -> str:
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
    raise ChannelError(problem, offered)
