"""What becomes of each command, for all who have to know; the service and the simulator report it here."""

from __future__ import annotations

from typing import Protocol

from opendtu_dcload.control.bookkeeping.statistics import CommandLog
from opendtu_dcload.control.commands.command_policy import Command, Reboot
from opendtu_dcload.tallies import Outcome


class Commander(Protocol):
    """Who decided on the commands, and learns from what came of them."""

    def posted(self, command: Command, now_s: float) -> None:
        """Note that a command is being sent: from now on it may be in force."""

    def taken(self, command: Command, now_s: float) -> None:
        """Note that the POST of a command is over, well or not: what the DTU says from now on counts for it."""

    def refused(self, command: Command, now_s: float) -> None:
        """Note that the DTU declined a command."""

    def failed(self, command: Command) -> None:
        """Note that nobody knows whether a command arrived."""

    def rebooted(self, reboot: Reboot, now_s: float) -> None:
        """Note that a DTU is being rebooted."""


class Deliveries:
    """Tells the commander, and counts."""

    def __init__(self, commander: Commander) -> None:
        self._commander = commander
        self.log = CommandLog()

    def posted(self, command: Command, now_s: float) -> None:
        """Note that a command is being sent."""
        self._commander.posted(command, now_s)
        self.log.posted(command, now_s)

    def ended(self, command: Command, outcome: Outcome, now_s: float) -> None:
        """Note that its POST is over, and how."""
        if outcome is Outcome.DECLINED:
            self._commander.refused(command, now_s)
        elif outcome is Outcome.UNANSWERED:
            self._commander.failed(command)
        self._commander.taken(command, now_s)
        self.log.ended(command.serial, outcome)

    def reboot_posted(self, reboot: Reboot, now_s: float) -> None:
        """Note that a DTU is being rebooted."""
        self._commander.rebooted(reboot, now_s)
        self.log.restarted(reboot.dtu, "reboot", now_s)

    def reboot_ended(self, reboot: Reboot, outcome: Outcome) -> None:
        """Note that its POST is over, and how; a DTU that has not done it is asked again as if it had not helped."""
        self.log.ended(reboot.dtu, outcome)
