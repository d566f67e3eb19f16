"""The task that asks one OpenDTU for its inverters and their limits, and puts what it tells into the state."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from opendtu_dcload.config import OpenDtuConfig
from opendtu_dcload.devices.http import Clock
from opendtu_dcload.devices.opendtu.opendtu_client import KnownInverter, OpenDtu
from opendtu_dcload.errors import DeviceAuthError, DeviceError
from opendtu_dcload.model import CommandState
from opendtu_dcload.state import State
from opendtu_dcload.tasks.availability import Availability, count

log = logging.getLogger(__name__)

LIMITS_PENDING_S = 1.0
"""How often the small limit document is asked for while a command is on its way."""
POSTED_S = 3.0
"""How long after a command to look for its acknowledgement even if the DTU does not call it pending."""
SYSTEM_S = 60.0


class DtuPoller:
    """Reads live data at the poll interval, limits more often while a command is on its way."""

    def __init__(
        self,
        config: OpenDtuConfig,
        dtu: OpenDtu,
        state: State,
        serials: Sequence[str],
        lost_after_s: float,
        clock: Clock,
    ) -> None:
        self._name = config.name
        self._label = config.label
        self._dtu = dtu
        self._state = state
        self._serials = serials
        self._interval_s = config.poll_interval_s
        self._clock = clock
        self._presence = Availability(config.label, state, clock(), lost_after_s=lost_after_s)
        self._noticed_post_at_s = dtu.posted_at_s
        self._is_login_wrong = False
        self._radio_interval_s = 0.0
        self._live_due_s = self._limits_due_s = self._system_due_s = clock()
        self.known: tuple[KnownInverter, ...] | None = None
        """All inverters that the DTU lists; None = not asked yet."""

    async def run(self) -> None:
        """Poll for ever."""
        pause_s = LIMITS_PENDING_S
        while True:
            try:
                await self._round()
                self._presence.answered(self._clock())
                pause_s = LIMITS_PENDING_S
            except DeviceError as err:
                self._presence.failed(self._clock(), err)
                self._limits_due_s = self._live_due_s = self._clock() + pause_s
                pause_s = min(2 * pause_s, max(self._interval_s, LIMITS_PENDING_S))
            await self._pause()

    async def _pause(self) -> None:
        """Wait until something is due, or a command was sent."""
        self._notice_posts()
        self._dtu.posted.clear()
        due_s = min(self._limits_due_s, self._live_due_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due_s - self._clock())):
                await self._dtu.posted.wait()
        self._notice_posts()

    def _notice_posts(self) -> None:
        """Let the acknowledgement of a command that was sent since be due."""
        if self._noticed_post_at_s != self._dtu.posted_at_s:
            self._noticed_post_at_s = self._dtu.posted_at_s
            self._limits_due_s = min(self._limits_due_s, self._noticed_post_at_s + LIMITS_PENDING_S)

    async def _round(self) -> None:
        if self._clock() >= self._system_due_s:
            before = self._state.dtus.get(self._name)
            system = await self._dtu.system(is_clock_set=before is None or before.is_clock_set)
            accepts_password = await self._check_password() if self._serials else True
            if accepts_password and self._serials and not self._radio_interval_s:
                with contextlib.suppress(DeviceError):  # good to know, but nothing depends on it alone
                    self._radio_interval_s = await self._dtu.poll_interval_s()
            serials = before.serials if before is not None else None
            system = replace(system, accepts_password=accepts_password, round_s=self._round_s(), serials=serials)
            self._state.set_dtu(self._name, system)
            self._system_due_s = self._clock() + SYSTEM_S
        if self._clock() >= self._limits_due_s:
            limits = await self._dtu.limits()
            self._state.set_limits(self._name, {s: limits[s] for s in self._serials if s in limits})
            self._answered(serials=frozenset(limits))
            self._limits_due_s = self._clock() + (LIMITS_PENDING_S if self._is_pending() else self._interval_s)
        if self._clock() >= self._live_due_s:
            self._live_due_s = self._clock() + self._interval_s
            live = await self._dtu.live(self._serials)
            self.known = live.known
            self._answered(is_clock_set=live.is_clock_set)
            for serial, status in live.inverters.items():
                known = self._state.inverters.get(serial)
                if status.reachable and known is not None and not known.reachable:
                    count(self._state, serial, reconnects=1)
            self._state.set_inverters(self._name, live.inverters)

    async def _check_password(self) -> bool:
        """Tell whether commands will be taken: reading alone needs no password, so it would not show."""
        try:
            await self._dtu.check_password()
        except DeviceAuthError as err:
            if not self._is_login_wrong:
                log.error("%s", err)  # noqa: TRY400  the sentence says it all, a traceback would not help
            self._is_login_wrong = True
            return False
        except DeviceError as err:  # the first command will tell
            log.debug("%s", err)
            return not self._is_login_wrong
        if self._is_login_wrong:
            log.info("Open%s accepts the password now", self._label)
        self._is_login_wrong = False
        return True

    def _round_s(self) -> float:
        """Return the time in which the DTU polls each of its inverters, ours or not, once."""
        return self._radio_interval_s * len(self.known or ())

    def _answered(self, **told: Any) -> None:
        if (status := self._state.dtus.get(self._name)) is not None:
            status = replace(status, at_s=self._clock(), round_s=self._round_s(), **told)
            self._state.set_dtu(self._name, status)

    def _is_pending(self) -> bool:
        limits = self._state.limits
        waiting = any(limits[s].state == CommandState.PENDING for s in self._serials if s in limits)
        return waiting or self._clock() - self._dtu.posted_at_s < POSTED_S
