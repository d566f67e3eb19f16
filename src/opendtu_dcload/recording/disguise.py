"""Names that tell nothing about a house, in place of serial numbers and the names of DTUs."""

from __future__ import annotations

from collections.abc import Sequence

from opendtu_dcload.control.inverter.parameters import InverterParameters


class Disguise:
    """What the inverters and DTUs of one plant are called in its recording; others' inverters have no name there.

    The family, which the first four digits of a serial number tell, and the order of the serials are kept. A plant
    that wears its disguise already keeps it.
    """

    def __init__(self, units: Sequence[InverterParameters], origin_s: float) -> None:
        """Take the whole seconds from which times are counted: so nothing of them is lost."""
        self.origin_s = origin_s
        serials = sorted(unit.serial for unit in units)
        self._serials = {serial: f"{serial[:4]}{number:08d}" for number, serial in enumerate(serials, start=1)}
        self._dtus: dict[str, str] = {}
        self._radios: dict[str, str] = {}

    def serial(self, serial: str) -> str | None:
        """Return what stands for a serial number; None = it is no inverter of ours."""
        return self._serials.get(serial)

    def dtu(self, name: str) -> str:
        """Return what stands for the name of a DTU."""
        return self._dtus.setdefault(name, f"dtu{len(self._dtus) + 1}")

    def radio(self, name: str) -> str:
        """Return what stands for the name of a radio."""
        return self._radios.setdefault(name, f"radio{len(self._radios) + 1}")
