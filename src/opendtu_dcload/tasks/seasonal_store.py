"""The one number of the seasonal minimum SoC, kept in a small file over restarts; written about once a day."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from opendtu_dcload.devices import json_fields

log = logging.getLogger(__name__)

FILE_NAME = "seasonal_soc.json"
_KEY = "highest_pct"


class SeasonalStore:
    """The file; when it cannot be read or written, that is logged once and regulation goes on."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._kept_pct = self._load()
        self._has_failed = False

    @property
    def highest_pct(self) -> float | None:
        """What is kept; None = nothing usable."""
        return self._kept_pct

    def keep(self, highest_pct: float) -> None:
        """Write the number if it is another one than before."""
        if highest_pct == self._kept_pct:
            return
        self._kept_pct = highest_pct
        new = self._path.with_suffix(".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                file.write(f'{{"{_KEY}": {highest_pct:g}}}\n')
                file.flush()
                os.fsync(file.fileno())  # a power cut must not leave an empty file
            new.replace(self._path)
        except OSError as err:
            if not self._has_failed:
                log.warning("%s cannot be written (%s): the seasonal SoC begins anew at each start", self._path, err)
            self._has_failed = True

    def _load(self) -> float | None:
        try:
            highest_pct = json_fields.number(json_fields.document(self._path.read_bytes()[:1000]), _KEY, 0, 200)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as err:
            log.warning("%s cannot be read (%s): the seasonal SoC begins anew", self._path, err)
            return None
        return highest_pct
