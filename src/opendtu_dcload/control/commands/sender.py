"""One DTU is given its commands, one after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from opendtu_dcload.control.commands.command_policy import Command, Reboot, SetLimit, SetPower
from opendtu_dcload.control.commands.deliveries import Deliveries
from opendtu_dcload.control.commands.dry_run import DryRun
from opendtu_dcload.control.commands.leave import Parting, leave_dtu
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.errors import DeviceError, DeviceRefusedError
from opendtu_dcload.tallies import Outcome

log = logging.getLogger(__name__)

LONGEST_COMMAND_S = 1.0
"""After a command that took longer the rest of a decision is out of date: the meter has told something new."""


class Sender:
    """Hands commands to a DTU that may hang, while others do not."""

    def __init__(
        self,
        dtu: OpenDtu,
        label: str,
        trackers: Mapping[str, InverterTracker],
        deliveries: Deliveries,
        clock: Callable[[], float],
        dry_run: DryRun | None = None,
    ) -> None:
        """Send nothing yet.

        Args:
            dtu: takes the commands.
            label: what the log calls it.
            trackers: all inverters, by serial.
            deliveries: is told what becomes of each command.
            clock: monotonic time in s.
            dry_run: takes the commands instead; None = they are sent.
        """
        self._dtu = dtu
        self._label = label
        self._trackers = trackers
        self._deliveries = deliveries
        self._clock = clock
        self._dry_run = dry_run
        self._wanted: Sequence[Command] = ()
        self._sending: asyncio.Task[None] | None = None
        self._posts: dict[str, asyncio.Task[None]] = {}
        """The last command to each inverter, also one that is over."""

    @property
    def is_busy(self) -> bool:
        """Whether the DTU has not answered an earlier command yet: it can be given no further one now."""
        return self._sending is not None and not self._sending.done()

    def send(
        self, commands: Sequence[Command], reboot: Reboot | None, tasks: asyncio.TaskGroup
    ) -> asyncio.Task[None] | None:
        """Begin to send what was decided now; what is left of an earlier decision is out of date and stays here.

        Return the task that sends it, None when there is nothing. A reboot waits while there are commands.
        """
        self._wanted = commands
        if commands:
            self._sending = tasks.create_task(self._send(commands), name=f"commands to {self._label}")
        elif reboot is not None and self._dry_run is None:
            self._sending = tasks.create_task(self._reboot(reboot), name=f"reboot of {self._label}")
        else:
            return None
        return self._sending

    def stop(self) -> None:
        """Take back the command that waits for its turn; a POST on its way goes on."""
        if not self._dtu.is_posting:
            for post in self._posts.values():
                post.cancel()

    async def leave(self, commands: Sequence[Command]) -> Parting:
        """Tell the inverters what they do without us, within 5 s, and return what is known to have come of it."""
        return await leave_dtu(
            self._dtu,
            commands,
            self._post,
            lambda s, c: self._trackers[c.serial].limits.acknowledges(s, c.limit_w),
            self._posts,
        )

    async def _send(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if self._wanted is not commands:  # what is left of the cap may have been given away since
                return
            began_s = self._clock()
            self._deliveries.posted(command, began_s)
            outcome = Outcome.UNANSWERED
            try:
                await self._command(command)
                outcome = Outcome.TAKEN
            except DeviceRefusedError as err:
                outcome = Outcome.DECLINED
                log.warning("%s", err)
            except DeviceError as err:
                log.debug("%s", err)
            finally:
                self._deliveries.ended(command, outcome, self._clock())
            if outcome is Outcome.UNANSWERED or self._clock() - began_s > LONGEST_COMMAND_S:
                return

    async def _reboot(self, reboot: Reboot) -> None:
        self._deliveries.reboot_posted(reboot, self._clock())
        log.warning("%s reaches no inverter: reboot number %d since the start", self._label, reboot.number)
        outcome = Outcome.UNANSWERED
        try:
            await self._dtu.reboot()
            outcome = Outcome.TAKEN
        except DeviceError as err:
            log.warning("%s", err)
        finally:
            self._deliveries.reboot_ended(reboot, outcome)

    async def _command(self, command: Command) -> None:
        """Hand over a command; whoever waits for that may be cancelled, a POST on its way goes on."""
        post = self._posts[command.serial] = asyncio.create_task(self._post(command))
        try:
            await asyncio.shield(post)
        except asyncio.CancelledError:
            if not self._dtu.is_posting:
                self._posts.pop(command.serial).cancel()
            post.add_done_callback(lambda over: over.cancelled() or over.exception())  # else asyncio reports it
            raise

    async def _post(self, command: Command) -> None:
        log.debug("%s", command)
        unit = self._trackers[command.serial].unit
        if self._dry_run is not None:
            self._dry_run.take(command, unit, self._clock())
            self._dtu.look_for_acknowledgement()
        elif isinstance(command, SetLimit):
            await self._dtu.set_limit(command.serial, command.limit_w, minimum_w=unit.minimum_w, rated_w=unit.maximum_w)
        elif isinstance(command, SetPower):
            await self._dtu.set_power(command.serial, command.on)
        else:
            log.warning("inverter %s does not obey: restart number %d since the start", command.serial, command.number)
            await self._dtu.restart(command.serial)
