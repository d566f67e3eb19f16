"""What is fixed about one inverter."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InverterParameters:
    """What does not change about one inverter while it is being controlled."""

    serial: str
    minimum_w: float
    """Lowest limit that it may be given while it is on."""
    maximum_w: float
    """Highest limit that it may be given."""
    rated_w: float
    """What it may put out when its limit is unknown."""
    dead_time_s: float
    """Usual time from receiving a limit to acting on it, until it has been learned."""
    credit_s: float
    """A command is no longer believed to be on its way after this time, until the dead time has been learned."""
    raise_spacing_s: float
    """Shortest time between two raises of its limit."""
    refresh_s: float
    """A limit that rules is sent again after this time, lest the inverter forgets it."""
    time_constant_s: float = 1.0
    """Of its approach to a new output once it acts."""
    rise_per_s: float = 0.25
    """Fastest rise as a share of rated power (grid profiles limit rising power only)."""
    dtu: str = "opendtu"
    """Name of the DTU that commands it."""
    radio: str = "opendtu/CMT"
    """Name of the radio that serves it: the chip of its DTU, one command at a time."""
