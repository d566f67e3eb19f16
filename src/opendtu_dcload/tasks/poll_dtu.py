"""The task that asks one OpenDTU for its inverters and their limits, and puts what it tells into the state."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from opendtu_dcload.config import OpenDtuConfig
from opendtu_dcload.devices.http import Clock
from opendtu_dcload.devices.opendtu.opendtu_client import KnownInverter, LivePart, OpenDtu
from opendtu_dcload.errors import DeviceAnswerError, DeviceAuthError, DeviceError
from opendtu_dcload.freshness import contents
from opendtu_dcload.model import CommandState, LimitStatus
from opendtu_dcload.state import State
from opendtu_dcload.tasks.availability import Availability
from opendtu_dcload.tasks.live_values import LiveValues

log = logging.getLogger(__name__)

PENDING_S = 1.0
"""How often the small limit document is asked for while a command is on its way."""
ACKNOWLEDGED_S = 2.0
"""A command keeps the DTU's radio for so long, and is not acknowledged before."""
TAKEN_S, SURELY_TAKEN_S = 3.0, 20.0
"""How long after a command to look often, and now and then, for its acknowledgement while the DTU shows nothing."""
LIMITS_S = 6.0
"""How often to ask for the limits in any case: that somebody else has sent one is told nowhere else, and only until the
next one of ours takes its place."""
SILENCE_S = 2.0
"""A DTU that was asked nothing for so long beyond the poll interval is asked for the limits: is it still there?"""
SYSTEM_S = 60.0


class DtuPoller:
    """Reads live data when there are new ones, and limits when something has become of a command."""

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
        self._is_answering = self._is_login_wrong = False
        self._radio_interval_s = 0.0
        self._limits_before: Mapping[str, LimitStatus] = {}
        """What was told of the limits when the last command was sent."""
        self._silent_s = self._limits_due_s = self._system_due_s = self._known_due_s = clock()
        self._values = LiveValues(config.name, state, serials, self._interval_s, clock())
        self.known: tuple[KnownInverter, ...] | None = None
        """All inverters that the DTU lists; None = not asked yet."""
        self.has_begun = asyncio.Event()
        """Set once the DTU has answered all that is asked first."""

    async def run(self) -> None:
        """Poll for ever."""
        pause_s = PENDING_S
        while True:
            try:
                await self._round()
                self.has_begun.set()
                self._is_answering = True
                self._presence.answered(self._clock())
                pause_s = PENDING_S
            except DeviceError as err:
                self._is_answering = False
                self._presence.failed(self._clock(), err)
                self._limits_due_s = self._silent_s = self._clock() + pause_s
                self._values.postpone(self._limits_due_s)
                pause_s = min(2 * pause_s, max(self._interval_s, PENDING_S))
            await self._pause()

    def take(self, part: LivePart) -> None:
        """Take what the DTU tells without being asked: no sign of life while it does not answer what it is asked."""
        self._values.add_pushed(part.inverters)
        if self._is_answering:
            self._answered(is_clock_set=part.is_clock_set)

    async def _pause(self) -> None:
        """Wait until something is due, or a command was sent."""
        self._notice_posts()
        self._dtu.posted.clear()
        due_s = min(self._next_limits_s, self._values.next_due_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due_s - self._clock())):
                await self._dtu.posted.wait()
        self._notice_posts()

    def _notice_posts(self) -> None:
        """Let the acknowledgement of a command that was sent since be due."""
        if self._noticed_post_at_s == self._dtu.posted_at_s:
            return
        self._noticed_post_at_s = self._dtu.posted_at_s
        limits = self._limits_before = self._ours
        # Where the rated power is not known, that it was pending is all that tells of it.
        is_echoed = bool(limits) and all(limit.rated_w for limit in limits.values())
        first_s = ACKNOWLEDGED_S if is_echoed else PENDING_S
        self._limits_due_s = min(self._limits_due_s, self._noticed_post_at_s + first_s)

    async def _round(self) -> None:
        if self._clock() >= self._system_due_s:
            await self._ask_system()
            self._system_due_s = self._clock() + SYSTEM_S
        if self._clock() >= self._next_limits_s:
            limits = await self._dtu.limits()
            self._state.set_limits(self._name, {s: limits[s] for s in self._serials if s in limits})
            self._answered(serials=frozenset(limits))
            self._limits_due_s = self._clock() + self._limits_pause_s()
        if self._clock() >= self._known_due_s:
            live = await self._dtu.live(())
            self.known = live.known
            round_s = self._round_s() or self._interval_s * len(live.known)
            self._values.round_s = max(round_s, self._interval_s)
            self._answered(is_clock_set=live.is_clock_set)
            self._known_due_s = self._clock() + SYSTEM_S
        for serial in self._values.due(self._clock()):
            part = await self._dtu.live_of(serial)
            self._values.add(part.inverters, self._clock(), asked=serial)
            if part.spoilt and self._values.is_empty:
                raise DeviceAnswerError(f"{self._label} tells of no inverter: {part.spoilt}")
            self._answered(is_clock_set=part.is_clock_set)

    async def _ask_system(self) -> None:
        before = self._state.dtus.get(self._name)
        system = await self._dtu.system(is_clock_set=before is None or before.is_clock_set)
        accepts_password = await self._check_password() if self._serials else True
        if accepts_password and self._serials and not self._radio_interval_s:
            with contextlib.suppress(DeviceError):  # good to know, but nothing depends on it alone
                self._radio_interval_s = await self._dtu.poll_interval_s()
        serials = before.serials if before is not None else None
        system = replace(system, accepts_password=accepts_password, round_s=self._round_s(), serials=serials)
        self._state.set_dtu(self._name, system)

    async def _check_password(self) -> bool:
        """Tell whether commands will be taken: reading alone needs no password, so it would not show."""
        try:
            if self._clock() - self._dtu.admitted_at_s >= SYSTEM_S:
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
        now_s = self._clock()
        self._silent_s = now_s + self._interval_s + SILENCE_S
        if (status := self._state.dtus.get(self._name)) is not None:
            status = replace(status, at_s=now_s, round_s=self._round_s(), **told)
            self._state.set_dtu(self._name, status)

    @property
    def _ours(self) -> dict[str, LimitStatus]:
        """The limits of our inverters, as last told."""
        return {s: self._state.limits[s] for s in self._serials if s in self._state.limits}

    @property
    def _next_limits_s(self) -> float:
        """When to ask for the limits, if only to hear something."""
        return min(self._limits_due_s, self._silent_s)

    def _limits_pause_s(self) -> float:
        """Return for how long the limits just told will do."""
        limits = self._ours
        if any(limit.state == CommandState.PENDING for limit in limits.values()):
            return PENDING_S
        since_s = self._clock() - self._dtu.posted_at_s
        if since_s >= SURELY_TAKEN_S or contents(limits) != contents(self._limits_before):
            return LIMITS_S
        return PENDING_S if since_s < TAKEN_S else self._interval_s
