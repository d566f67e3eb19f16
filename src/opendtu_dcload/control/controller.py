"""One decision: from what is known now to a plan with its reason and the commands that bring it about.

No clock, no I/O: the same object regulates a house through HTTP and a simulated year on virtual time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from opendtu_dcload.control.commands.command_policy import (
    Command,
    Reboot,
    Restart,
    SetLimit,
    SetPower,
    shutdown_commands,
)
from opendtu_dcload.control.commands.outbox import Outbox
from opendtu_dcload.control.decision import Decision, Seen
from opendtu_dcload.control.explanation import plan_of
from opendtu_dcload.control.inverter.inverters import Inverters
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.protection.meter_evidence import MeterEvidence
from opendtu_dcload.control.protection.permit import Protection
from opendtu_dcload.control.reason import reason_of
from opendtu_dcload.control.regulation.allocation import Allocation, outputs_for
from opendtu_dcload.control.regulation.available_moves import available_moves_of
from opendtu_dcload.control.regulation.desired_states import desired_states
from opendtu_dcload.control.regulation.operating_range import operating_range_of
from opendtu_dcload.control.regulation.plant_regulation import PlantRegulation
from opendtu_dcload.control.settings import Settings


class Controller:
    """Turns what is seen into plans; remembers what was commanded and what came of it."""

    def __init__(self, settings: Settings, units: Sequence[InverterParameters], now_s: float) -> None:
        self.settings = settings
        self.inverters = Inverters(settings, units)
        self.trackers = self.inverters.trackers
        self.meter = MeterEvidence(self.inverters, now_s)
        self.protection = Protection(settings, obeyed_s=max((unit.credit_s for unit in units), default=0.0))
        self.outbox = Outbox(settings, self.trackers, now_s)
        self.regulation = PlantRegulation(settings.priority, self.meter)
        self.allocation = Allocation(self.trackers, self.outbox.budgets, now_s)

    # ---- what the loop calls

    def decide(self, seen: Seen) -> Decision:
        """Decide once; the commands must be reported with `posted` before they are sent."""
        now_s, settings, trackers = seen.now_s, self.settings, self.trackers
        # observe
        self.inverters.observe(seen, settings.switched_off, self.allocation.standby_counts)
        self.meter.hear(seen.meter, settings.ladder.hold_s)
        if self.protection.guards.has_relay_opened(seen.external.relay):
            self.inverters.forget_limits()
        # protect
        meter = self.meter.state(now_s, seen.meter)
        permit = self.protection.permit(now_s, settings, trackers.values(), seen.external, meter)
        guarded = self.protection.result
        restarts, reboots = self.outbox.last_resorts(now_s, seen.dtus, settings, guarded.cap_w, meter.age_s)
        plant_range = operating_range_of(trackers.values(), permit)
        # regulate
        headrooms = self.allocation.headrooms(now_s, permit)
        moves = partial(available_moves_of, now_s, headrooms, trackers, self.outbox.radio_free_s, self.outbox.budgets)
        goal_w = settings.target_w, guarded.surplus_w
        setpoint_w = self.regulation.setpoint_w(permit, plant_range, headrooms, goal_w, moves)
        if permit.may_regulate:
            self.protection.regulated_w = plant_range.committed_w
        # allocate
        outputs_w = outputs_for(setpoint_w, plant_range, headrooms)
        if permit.reason is None and self.meter.is_calm:
            outputs_w = self.allocation.work_quietly(now_s, permit, settings, outputs_w)
        desired = desired_states(now_s, outputs_w, trackers, permit, may_begin=self.meter.has_heard)
        # command
        commands = self.outbox.due_commands(now_s, desired, permit, restarts)
        # explain
        doubt, is_shared = self.meter.response.doubt, self.inverters.is_shared
        reason = reason_of(seen, permit, plant_range, trackers, settings, doubt, is_shared=is_shared)
        plan = plan_of(now_s, desired, trackers, permit.cap_w, reason, guarded.relay, self.regulation.wait)
        return Decision(plan, tuple(commands), tuple(reboots))

    def posted(self, command: Command, now_s: float) -> None:
        """Note that a command is being sent: from now on it may be in force."""
        tracker = self.trackers[command.serial]
        radio_free_s = self.outbox.posted(now_s, command)
        if isinstance(command, SetPower):
            tracker.power.switch(now_s, on=command.on)
        elif isinstance(command, Restart):
            tracker.post_restart()
        else:
            trusted = [t.output.trust.is_trusted for t in self.trackers.values() if t.is_usable]
            before_w = tracker.final_w
            tracker.post(now_s, command.limit_w, radio_free_s)
            change_w = tracker.final_w - before_w
            is_trusted = all(trusted) and not self.regulation.is_ahead
            self.meter.stepped(now_s, command.serial, change_w, is_trusted=is_trusted)
            self.allocation.stepped(now_s, change_w)

    def taken(self, command: Command, now_s: float) -> None:
        """Note that the POST of a command is over, well or not: what the DTU says from now on counts for it."""
        if isinstance(command, SetLimit):
            self.trackers[command.serial].limits.taken(now_s)

    def refused(self, command: Command, now_s: float) -> None:
        """Note that the DTU declined a command."""
        tracker = self.trackers[command.serial]
        self.outbox.declined(command)
        if isinstance(command, SetLimit):
            tracker.decline(now_s)
        elif isinstance(command, SetPower):
            tracker.power.failed()

    def failed(self, command: Command) -> None:
        """Note that nobody knows whether a command arrived; of a limit the DTU's status will tell."""
        tracker = self.trackers[command.serial]
        self.outbox.failed(command)
        if isinstance(command, SetPower):
            tracker.power.failed()
        elif isinstance(command, SetLimit):
            tracker.output.trust.is_trusted = False
            self.meter.failed()

    def rebooted(self, reboot: Reboot, now_s: float) -> None:
        """Note that a DTU is being rebooted."""
        self.outbox.rebooted(now_s, reboot)

    def set_unit(self, unit: InverterParameters) -> None:
        """Replace what is known of an inverter, when the DTU has learned its rated power."""
        self.trackers[unit.serial].set_unit(unit)

    def leave(self, *, off: bool, asked: bool) -> list[Command]:
        """Return what each inverter is told when the program ends, because it is `asked` to or because it fails."""
        return shutdown_commands(self.trackers.values(), off=off, asked=asked)
