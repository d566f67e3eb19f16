"""What the DTUs know of the listed inverters' rated power, and which inverters they do not know at all."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from opendtu_dcload.config import Config
from opendtu_dcload.control.from_config import parameters_of
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.state import State

log = logging.getLogger(__name__)


class RatedPowers:
    """Remembers them, for a DTU forgets them when it restarts."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._rated_w: dict[str, float] = {}
        self._unknown: set[str] = set()

    def all_guessed(self) -> list[InverterParameters]:
        """Return all inverters as they are taken for until their DTUs have told more."""
        return [
            parameters_of(inverter, self._config.dtu_of(inverter).name, None) for inverter in self._config.inverters
        ]

    def learned(self, state: State) -> Iterator[InverterParameters]:
        """Give the inverters of which another rated power is known now; warn of those that their DTU lacks."""
        for inverter in self._config.inverters:
            dtu, limit = self._config.dtu_of(inverter), state.limits.get(inverter.serial)
            if limit is None:
                told = state.dtus.get(dtu.name)
                if told is not None and told.serials is not None:
                    self._warn_once(inverter.serial, dtu.label)
                continue
            self._unknown.discard(inverter.serial)
            if limit.rated_w and limit.rated_w != self._rated_w.get(inverter.serial):
                self._rated_w[inverter.serial] = limit.rated_w
                yield parameters_of(inverter, dtu.name, limit.rated_w)

    def _warn_once(self, serial: str, dtu_label: str) -> None:
        if serial not in self._unknown:
            self._unknown.add(serial)
            log.warning("inverter %s is not known to the %s: add it there or correct the serial", serial, dtu_label)
