"""The original's inverters, which it knows by their places in OpenDTU only: what they are, OpenDTU tells."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opendtu_dcload.devices.http import open_session
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.init.battery_questions import ask_floor
from opendtu_dcload.doctor.init.candidates import Candidate, lowest_v
from opendtu_dcload.doctor.init.tries import Talk, Tries
from opendtu_dcload.doctor.questions import Ask
from opendtu_dcload.doctor.written.draft import Block, Draft, Value
from opendtu_dcload.errors import ConfigError, DeviceError

INVERTERS = 3
"""The original commands INVERTER0 to INVERTER2."""
_SHARES = {
    "minpercent": ("min_power_w", 5, 500, frozenset([1, 2])),
    "maxpercent": ("max_power_w", 10, 2250, frozenset([85, 90, 100])),
}
"""The setting that follows from a share of the rated power, its bounds in W, and the shares that nobody has chosen."""

Values = Mapping[str, Mapping[str, str]]
"""The config.ini by section and key."""


async def known_inverters(opendtu: Mapping[str, Any], old: Path, findings: Findings) -> list[Candidate]:
    """Return the inverters that an OpenDTU knows, in its order; none, with a note, when it does not answer.

    Args:
        opendtu: the settings of `[opendtu]`.
        old: the original's configuration, from which they are, as an absolute path.
        findings: takes what there is to tell.
    """
    async with open_session() as session:
        try:
            _, found = await Tries(old.parent, session, Talk(None, None, findings)).opendtu(opendtu)
        except ConfigError as err:
            for problem in err.problems:
                findings.note(f"the serial numbers are to be filled in, as {old} has no OpenDTU to ask: {problem}")
            return []
        except DeviceError as err:
            findings.note(f"the serial numbers are to be filled in: {err}")
            return []
    return found


def list_inverters(
    values: Values, found: Sequence[Candidate], draft: Draft, findings: Findings, ask: Ask | None
) -> None:
    """Write a block for each inverter of the original, and the floor if somebody tells it.

    Args:
        values: the original's configuration.
        found: OpenDTU's inverters in its order.
        draft: is filled in.
        findings: takes what there is to tell.
        ask: asks the user; None = there is nobody.
    """
    blocks, on_battery = [], []
    for section in filter(is_inverter, values):
        place = int(section.removeprefix("INVERTER"))
        inverter = found[place] if place < len(found) else None
        if inverter is None:
            blocks.append(Block("", f"of [{section}]", _options(values, section, None), is_active=False))
            continue
        on_battery.append(inverter)
        options = _options(values, section, inverter.rated_w)
        blocks.append(Block(inverter.serial, f"[{section}], {inverter.note}", options))
        findings.ok(f"[{section}] is inverter {inverter}")
    draft.set_inverters(sorted(blocks, key=lambda block: not block.is_active))
    if not on_battery or ask is None:
        return
    floor_v = ask_floor(ask, lowest_v(on_battery), None, findings)
    if floor_v is not None:
        draft.set("battery", "min_voltage_v", floor_v)


def is_inverter(section: str) -> bool:
    """Whether a section is that of an inverter that the original commands."""
    match = re.fullmatch(r"INVERTER(\d{1,3})", section)
    return match is not None and int(match[1]) < INVERTERS


def instance_of(value: str) -> int | None:
    """Return a device instance, None when it is none."""
    return int(value) if re.fullmatch(r"\d{1,3}", value) and int(value) <= 247 else None


def _options(values: Values, section: str, rated_w: float | None) -> dict[str, Value]:
    keys = {key.lower(): value for key, value in values[section].items()}
    shares = {key.lower(): value for key, value in values.get("DEFAULT", {}).items()}
    options: dict[str, Value] = {}
    if rated_w is not None:
        for key, (setting, lowest_w, highest_w, usual) in _SHARES.items():
            share = shares.get(key, "")
            if re.fullmatch(r"\d{1,2}", share) and int(share) not in usual:
                options[setting] = round(min(max(rated_w * int(share) / 100, lowest_w), highest_w))
    if (instance := instance_of(keys.get("deviceinstance", ""))) is not None:
        options["device_instance"] = instance
    return options
