"""The task that takes what one OpenDTU pushes; where it pushes nothing, asking it is enough."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from opendtu_dcload.devices.http import BackOff, Clock
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.errors import DeviceError
from opendtu_dcload.tasks.poll_dtu import DtuPoller

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 1800.0
"""After a push that has ended, or never began."""
WORKS_S = 60.0
"""A push that has lasted so long works: when it ends, the next attempt may come soon."""


class PushFollower:
    """Holds one websocket, or none."""

    def __init__(self, label: str, dtu: OpenDtu, poller: DtuPoller, clock: Clock) -> None:
        """Hand what is pushed to `poller`; `label` is what the log calls the DTU."""
        self._label = label
        self._dtu = dtu
        self._poller = poller
        self._clock = clock
        self._back_off = BackOff(clock, first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)
        self._is_told = False

    async def run(self) -> None:
        """Follow for ever, from the DTU's first answer on."""
        await self._poller.has_begun.wait()
        while True:
            try:
                await self._follow()
            except DeviceError as err:
                log.log(
                    logging.DEBUG if self._is_told else logging.INFO,
                    "%s is asked for its live data: %s",
                    self._label,
                    err,
                )
                self._is_told = True
            await asyncio.sleep(self._back_off.start())

    async def _follow(self) -> None:
        began_s = self._clock()
        async with contextlib.aclosing(self._dtu.pushed()) as parts:
            async for part in parts:
                self._poller.take(part)
                self._is_told = True
                if self._clock() - began_s >= WORKS_S:
                    self._back_off.reset()
