"""What a Hoymiles serial number tells about the inverter: its family, its inputs and how quickly it follows a limit.

The table of serial numbers is the one in OpenDTU's source (one class per model line); the times are what users measured
with the same firmware. They are starting values: the control loop learns the real ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Chip = Literal["NRF", "CMT"]
"""The radio chip of the DTU that serves an inverter: 2.4 GHz or sub-GHz. Both work in parallel, with a queue each."""


@dataclass(frozen=True, slots=True)
class Family:
    """What the inverters of one model line have in common."""

    name: str
    """HM, HMS, HMT, HERF or unknown."""
    chip: Chip
    inputs: int
    """DC inputs; 1 when the serial number is of no known model."""
    credit_s: float
    """How long a command that does not show at the meter yet is believed, in s."""
    dead_time_s: float
    """Typical time in s from the DTU's acknowledgement to the first change of output."""
    refresh_s: float
    """Time in s after which an unchanged limit is sent again."""
    raise_spacing_s: float
    """Least time in s between two raised limits: more often, and the inverter stops answering."""


def _quick(name: str, inputs: int) -> Family:
    # Sub-GHz radio. HMS firmware 2.x forgets a non-persistent limit 4 to 5 min after the last command, hence 210 s.
    return Family(name, "CMT", inputs, credit_s=8, dead_time_s=2, refresh_s=210, raise_spacing_s=5)


def _slow(name: str, inputs: int) -> Family:
    # 2.4 GHz radio. An HM loses its limit only with its DC supply, so a refresh each 15 min is enough.
    return Family(name, "NRF", inputs, credit_s=25, dead_time_s=6, refresh_s=900, raise_spacing_s=10)


UNKNOWN = _slow("unknown", 1)

# By the first four digits, and for what is not among them by the first three: so does OpenDTU.
_FAMILIES = {
    "1022": _slow("HM", 1),
    "1042": _slow("HM", 2),
    "1062": _slow("HM", 4),
    "112": _slow("HM", 1),
    "114": _slow("HM", 2),
    "116": _slow("HM", 4),
    "1124": _quick("HMS", 1),
    "1125": _quick("HMS", 1),
    "1400": _quick("HMS", 1),
    "1143": _quick("HMS", 2),
    "1144": _quick("HMS", 2),
    "1410": _quick("HMS", 2),
    "114a": _quick("HMS", 2),
    "1164": _quick("HMS", 4),
    "1166": _quick("HMS", 4),
    "1420": _quick("HMS", 4),
    "1361": _quick("HMT", 4),
    "1382": _quick("HMT", 6),
    "2841": _slow("HERF", 1),
    "2821": _slow("HERF", 2),
    "2801": _slow("HERF", 4),
}

MINIMUM_PCT = 2.0
"""Below 2 % of its rated power an inverter may shut down and then ignore the command to start."""
MINIMUM_PER_INPUT_W = 20.0
"""The limit is shared over the inputs; below 15 to 20 W each, users report inverters that hang."""

LOW_DC_V = 32.0
"""The voltage of a 24 V battery is below, even while it is charged."""
MEASURED_PER_INPUT_W = 200.0
"""Fed with 24 V an inverter measures less than it gives from 200 to 220 W per input on, and gives more than its limit:
HM-300 (OpenDTU#1169), HM-400 (lumapu/ahoy#1292, #1744), HM-600 (lumapu/ahoy#532), HM-800 (HoymilesZeroExport#174)."""


def family_of(serial: str) -> Family:
    """Return the model line of an inverter; `UNKNOWN`, with the most patient times, for a serial of none."""
    serial = serial.lower()
    return _FAMILIES.get(serial[:4]) or _FAMILIES.get(serial[:3], UNKNOWN)


def default_minimum_w(serial: str, rated_w: float | None) -> float:
    """Return the lowest limit in W that the inverter is known to bear; `rated_w` None = not known yet."""
    per_input_w = MINIMUM_PER_INPUT_W * family_of(serial).inputs
    return max(MINIMUM_PCT / 100 * rated_w, per_input_w) if rated_w else per_input_w


def measurable_w(serial: str, dc_voltage_v: float) -> float:
    """Return the highest output in W that the inverter is known to measure well at that DC voltage."""
    return MEASURED_PER_INPUT_W * family_of(serial).inputs if dc_voltage_v < LOW_DC_V else math.inf
