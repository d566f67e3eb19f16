"""The task that keeps the relay armed while everything that it depends on is well."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence

from opendtu_dcload.control.protection.relay_guard import TIMER_S, DeadMan, RelayCommand
from opendtu_dcload.devices.shelly.shelly_relay import ShellyRelay
from opendtu_dcload.errors import ConfigError, DeviceError
from opendtu_dcload.model import RelayOrder, RelayStatus
from opendtu_dcload.state import State
from opendtu_dcload.tasks.availability import Availability

log = logging.getLogger(__name__)

TICK_S = 1.0
LOST_AFTER_S = 30.0


class RelayTask:
    """Tells the relay what the plan allows; when this task stops, the relay opens 300 s later."""

    def __init__(
        self, relay: ShellyRelay, state: State, dtus: Sequence[str], clock: Callable[[], float], *, is_dry: bool
    ) -> None:
        """Tell the relay nothing yet.

        Args:
            relay: the device.
            state: has the plan and the ages, and gets the relay's state.
            dtus: names of all DTUs: each must answer.
            clock: monotonic time in s.
            is_dry: only read the relay.
        """
        self._relay = relay
        self._state = state
        self._dtus = dtus
        self._clock = clock
        self._is_dry = is_dry
        self._dead_man = DeadMan()
        self._presence = Availability("relay", state, clock(), lost_after_s=LOST_AFTER_S)
        self._is_verified = False

    async def run(self) -> None:
        """Look after the relay for ever, and at once at each change of the plan.

        Raises:
            ConfigError: the first contact shows that it may come on by itself.
        """
        with self._state.listen() as changed:
            while True:
                changed.clear()
                await self.rearm()
                try:
                    async with asyncio.timeout(TICK_S):
                        await changed.wait()
                except TimeoutError:
                    continue

    async def rearm(self) -> None:
        """Do what is due now; nothing most of the time."""
        plan = self._state.plan
        order = RelayOrder.HOLD if plan is None or self._is_dry else plan.relay
        command = self._dead_man.next(self._clock(), order, self._ages_s(), self._state.relay)
        if command is None or (self._is_dry and command is not RelayCommand.READ):
            return
        try:
            status = await self._do(command, order)
        except ConfigError as err:
            if self._state.relay is None:
                raise
            self._failed(err)
        except DeviceError as err:
            self._failed(err)
        else:
            self._note(status)
            is_armed = command is RelayCommand.ARM and status.is_on
            self._dead_man.done(RelayCommand.ARM if is_armed else RelayCommand.READ, self._clock())

    async def _do(self, command: RelayCommand, order: RelayOrder) -> RelayStatus:
        if not self._is_verified:
            model = await self._relay.verify()
            self._is_verified = True
            if self._state.relay is None:
                log.info("relay %s: opens %d s after it was last armed", model, TIMER_S)
        if command is RelayCommand.OPEN:
            return await self._relay.open()
        if command is RelayCommand.READ or order is not RelayOrder.CONNECT:
            status = await self._relay.read()
            if command is RelayCommand.READ or not status.is_on:  # it has opened meanwhile: the limits come first
                return status
        return await self._relay.arm(TIMER_S)

    def _note(self, status: RelayStatus) -> None:
        before = self._state.relay
        self._presence.answered(self._clock())
        if before is not None and before.is_on != status.is_on:
            log.log(logging.INFO if status.is_on else logging.WARNING, "relay %s", "closed" if status.is_on else "open")
        self._state.set_relay(status)

    def _failed(self, error: ConfigError | DeviceError) -> None:
        self._is_verified = False  # it may be another one when it is back, or have other settings
        self._presence.failed(self._clock(), error)
        self._dead_man.failed(self._clock())

    def _ages_s(self) -> tuple[float, ...]:
        """Return the ages of the meter's and each DTU's last answer and of the decision; infinite for none."""
        state, now_s = self._state, self._clock()
        known = (state.meter, state.plan, *(state.dtus.get(name) for name in self._dtus))
        return tuple(math.inf if one is None else now_s - one.at_s for one in known)
