"""Notifications of the GX with a text of their own: /Notifications/Inject of com.victronenergy.platform.

Since venus-platform 2.04 (Venus OS 3.70). They are shown until somebody has read them, without a sound.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NoReturn

from opendtu_dcload.errors import BusError
from opendtu_dcload.venus.bus.item import printable
from opendtu_dcload.venus.gx.service_watch import PREFIX, ServiceWatch

log = logging.getLogger(__name__)

WAIT_S = 5.0
"""A platform that is absent or silent for this long after our start is taken for one without notifications."""
AWAY_S = 60.0
"""So is one that took notifications and has been away for this long; sooner it may only be restarting."""

_PLATFORM = f"{PREFIX}.platform"
_INJECT = "/Notifications/Inject"
_ALARM = "1"
_SENDER = "Inverters"


class Platform:
    """Knows whether the platform takes notifications, and hands them over."""

    def __init__(
        self, watch: ServiceWatch, *, wait_s: float = WAIT_S, away_s: float = AWAY_S, tick_s: float = 1.0
    ) -> None:
        """Ask nothing yet; somebody else runs `watch`."""
        self.takes_notifications: bool | None = None
        """None = not known yet."""
        self._watch = watch
        self._wait_s = wait_s
        self._away_s = away_s
        self._tick_s = tick_s

    async def run(self) -> NoReturn:
        """Look for ever; a platform may come late, go, and be another one after an update."""
        await self._watch.wait_ready()
        clock = asyncio.get_running_loop().time
        seen_at_s, is_asked = clock(), False
        with self._watch.listen() as changed:
            while True:
                is_asked &= not changed.is_set()  # it may have gone and come between two looks
                changed.clear()
                is_asked = _PLATFORM in (self._watch.names or ()) and (is_asked or await self._ask())
                if is_asked:
                    seen_at_s = clock()
                elif clock() - seen_at_s > (self._away_s if self.takes_notifications else self._wait_s):
                    self.takes_notifications = False
                await asyncio.sleep(self._tick_s)

    async def _ask(self) -> bool:
        try:
            self.takes_notifications = await self._watch.has(_PLATFORM, _INJECT)
        except BusError as err:  # it is starting, or hangs
            log.debug("%s", err)
            return False
        return True

    async def notify(self, text: str) -> bool:
        """Show an alarm's text; return whether the platform took it."""
        try:
            is_taken = await self._watch.write(_PLATFORM, _INJECT, "\t".join([_ALARM, _SENDER, printable(text)]))
        except BusError as err:
            log.debug("%s", err)
            return False
        self.takes_notifications = is_taken
        return is_taken
