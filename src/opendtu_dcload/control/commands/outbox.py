"""Which commands go out now: what the policy allows, what the budgets pay for, refreshes and last resorts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from opendtu_dcload.control.commands.command_budget import Budget
from opendtu_dcload.control.commands.command_gate import Gate
from opendtu_dcload.control.commands.command_policy import (
    Command,
    DesiredState,
    Reboot,
    Restart,
    allowed,
    refresh,
    room_left_w,
)
from opendtu_dcload.control.commands.last_resort import LastResort
from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.control.inverter.dead_time import WINDOW_S
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.protection.permit import Permit
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import DtuStatus


class Outbox:
    """Remembers what went out, and when each radio will be free again."""

    def __init__(self, settings: Settings, trackers: Mapping[str, InverterTracker], now_s: float) -> None:
        """Take the trackers by serial."""
        self._trackers = trackers
        counts = Counter(tracker.unit.dtu for tracker in trackers.values())
        self.budgets = {
            name: Budget(settings.dtus.get(name, DtuSettings()).max_commands_per_hour, now_s, count)
            for name, count in counts.items()
        }
        self.radio_free_s: dict[str, float] = {}
        self.last_resort = LastResort()
        self._gate = Gate(self.budgets)

    def last_resorts(
        self, now_s: float, dtus: Mapping[str, DtuStatus], settings: Settings, cap_w: float, meter_age_s: float
    ) -> tuple[list[Restart], list[Reboot]]:
        """Return the restarts and reboots that are due; who is restarted counts as rated from now on.

        Args:
            now_s: monotonic time.
            dtus: what the DTUs tell, by name.
            settings: whether they are wanted, and how old the meter's answer may be for one.
            cap_w: what the guards allow, also while the meter is doubted because an inverter does not obey.
            meter_age_s: age of the meter's last answer.
        """
        if not settings.has_last_resorts:
            return [], []
        cap_w = cap_w if meter_age_s < settings.ladder.hold_s else 0.0
        found = self.last_resort.due(now_s, self._trackers, dtus, cap_w)
        for serial, tracker in self._trackers.items():
            tracker.contact.is_restarting = serial in self.last_resort.rated
        return found

    def due_commands(
        self, now_s: float, desired: Mapping[str, DesiredState], permit: Permit, restarts: Sequence[Restart]
    ) -> list[Command]:
        """Return what may go out now; DTUs that cannot be commanded are left out, but count for the cap."""
        trackers = self._trackers
        free = {s: t for s, t in trackers.items() if t.contact.is_free and t.contact.is_known}
        wanted = allowed(now_s, {s: desired[s] for s in free}, trackers, permit.cap_w)
        wanted += [restart for restart in restarts if restart.serial in free]
        commands = self._gate.admitted(now_s, wanted, desired, trackers)
        told = {trackers[command.serial].unit.dtu for command in commands}
        for dtu in [name for name in self.budgets if name not in told]:
            left_w = room_left_w(trackers, commands, permit.cap_w) if permit.may_regulate else 0.0
            due = refresh(now_s, desired, {s: t for s, t in free.items() if t.unit.dtu == dtu}, left_w)
            commands += self._gate.admitted_again(now_s, due, trackers)
        return commands

    def posted(self, now_s: float, command: Command) -> float:
        """Note a command that is being sent, before its tracker knows of it; return when its radio gets to it."""
        tracker = self._trackers[command.serial]
        free_s = max(self.radio_free_s.get(tracker.unit.radio, now_s), now_s)
        self.radio_free_s[tracker.unit.radio] = free_s + WINDOW_S
        self._gate.posted(now_s, command, tracker)
        if isinstance(command, Restart):
            self.last_resort.restarted(now_s, command.serial)
        return free_s

    def failed(self, command: Command) -> None:
        """Note that nobody knows whether a command arrived: it may be given again at once."""
        self._gate.failed(command)

    def declined(self, command: Command) -> None:
        """Note that the DTU declined a command."""
        if isinstance(command, Restart):
            self.last_resort.declined(command.serial)

    def rebooted(self, now_s: float, reboot: Reboot) -> None:
        """Note that a DTU is being rebooted."""
        self.last_resort.rebooted(now_s, reboot.dtu)
