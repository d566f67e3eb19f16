"""The loop around the controller: read the state, decide, show the plan, send the commands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from opendtu_dcload.config import Config
from opendtu_dcload.control.bookkeeping.books import Books, local_date
from opendtu_dcload.control.commands.command_policy import Command
from opendtu_dcload.control.commands.deliveries import Deliveries
from opendtu_dcload.control.commands.dry_run import DryRun
from opendtu_dcload.control.commands.leave import log_partings
from opendtu_dcload.control.commands.sender import LONGEST_COMMAND_S, Sender
from opendtu_dcload.control.controller import Controller
from opendtu_dcload.control.decision import Decision, Seen
from opendtu_dcload.control.from_config import alarms_of, settings_of
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.overrides import with_overrides
from opendtu_dcload.control.protection.plant_guard import ExternalInputs
from opendtu_dcload.control.rated_powers import RatedPowers
from opendtu_dcload.control.reason_log import ReasonLog
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.model import Plan, Reason, UserOverrides
from opendtu_dcload.state import State
from opendtu_dcload.tasks.seasonal_store import SeasonalStore

TICK_S = 1.2
"""Ages grow without any change of the state: the shortest that is acted on is 5 s. It is more than a second because a
healthy meter answers within one: then nothing is decided for the ages alone."""


class ControlLoop:
    """Decides at each change of the state, and every 1.2 s because ages grow without one."""

    def __init__(
        self,
        config: Config,
        state: State,
        dtus: Mapping[str, OpenDtu],
        clock: Callable[[], float],
        *,
        dry_run: bool = False,
        seasonal: SeasonalStore | None = None,
        today: Callable[[], date] = local_date,
        make_controller: Callable[[Settings, Sequence[InverterParameters], float], Controller] = Controller,
    ) -> None:
        """Send nothing yet.

        Args:
            config: all settings.
            state: where readings come from and the plan goes to.
            dtus: take the commands, by name.
            clock: monotonic time in s.
            dry_run: decide and publish, command nothing but a shadow of the inverters.
            seasonal: keeps the seasonal minimum SoC over restarts; None = it is not wanted.
            today: the local date, by which energies are counted.
            make_controller: makes the controller from settings, inverters and time; another one records it.
        """
        self._config = config
        self._state = state
        self._clock = clock
        self._seasonal = seasonal
        self._dry_run = DryRun() if dry_run else None
        self._rated_powers = RatedPowers(config)
        self._settings = settings_of(config, seasonal.highest_pct if seasonal else None)
        self._controller = make_controller(self._settings, self._rated_powers.all_guessed(), clock())
        trackers, deliveries = self._controller.trackers, Deliveries(self._controller)
        self._senders = {
            dtu.name: Sender(dtus[dtu.name], dtu.label, trackers, deliveries, clock, self._dry_run)
            for dtu in config.dtus
        }
        alarms = alarms_of(config, self._settings, clock())
        self._books = Books(state, alarms, deliveries.log, trackers, today, is_dry=dry_run)
        self._reasons = ReasonLog(clock())
        self._overrides = UserOverrides()
        self._is_asked_to_end = False

    async def run(self) -> None:
        """Regulate for ever."""
        async with asyncio.TaskGroup() as tasks:
            with self._state.listen() as changed:
                while True:
                    changed.clear()
                    decision = self._decide()
                    self._state.set_plan(decision.plan)
                    self._books.update(self._clock())
                    changed.clear()
                    await self._send(decision, tasks)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(TICK_S):
                            await changed.wait()

    def end(self) -> None:
        """Take back what still waits for its turn, before anything that it waits for ends: we are asked to end."""
        self._is_asked_to_end = True
        for sender in self._senders.values():
            sender.stop()

    async def leave(self) -> None:
        """Tell every inverter what it does without us, within 5 s in all, and say what is known to have come of it."""
        if self._dry_run is not None or self._config.is_read_only:
            return
        how = self._config.control.on_stop
        commands = self._by_dtu(self._controller.leave(off=how == "off", asked=self._is_asked_to_end))
        if commands:
            partings = (self._senders[name].leave(part) for name, part in commands.items())
            told = {command.serial for part in commands.values() for command in part}
            untold = [serial for serial in self._controller.trackers if serial not in told]
            log_partings(how, await asyncio.gather(*partings), untold)

    def _decide(self) -> Decision:
        now_s, state = self._clock(), self._state
        if self._config.is_read_only:
            return Decision(Plan(now_s, 0.0, 0.0, Reason.READ_ONLY, is_dry=self._dry_run is not None))
        for unit in self._rated_powers.learned(state):
            self._controller.set_unit(unit)
        if state.overrides != self._overrides:
            self._overrides = state.overrides
            self._controller.settings = with_overrides(self._settings, state.overrides)
        busy = frozenset(name for name, sender in self._senders.items() if sender.is_busy)
        external = ExternalInputs(state.battery, state.multiplus, state.solar, state.relay)
        seen = Seen(now_s, state.meter, state.inverters, state.limits, state.dtus, busy, external)
        if self._dry_run is not None:
            seen = self._dry_run.seen(seen, [tracker.unit for tracker in self._controller.trackers.values()])
        decision = self._controller.decide(seen)
        if self._dry_run is not None:
            decision = replace(decision, plan=replace(decision.plan, is_dry=True))
        if self._seasonal is not None:
            self._seasonal.keep(self._controller.protection.guards.seasonal.highest_pct)
        self._reasons.add(decision.plan)
        return decision

    async def _send(self, decision: Decision, tasks: asyncio.TaskGroup) -> None:
        """Let each DTU take its commands in sequence, but none wait for another one that hangs."""
        commands = self._by_dtu(decision.commands)
        reboots = {reboot.dtu: reboot for reboot in decision.reboots}
        begun = [
            sender.send(commands.get(name, ()), reboots.get(name), tasks) for name, sender in self._senders.items()
        ]
        if sending := [task for task in begun if task is not None]:
            await asyncio.wait(sending, timeout=LONGEST_COMMAND_S)

    def _by_dtu(self, commands: Sequence[Command]) -> dict[str, list[Command]]:
        parts: dict[str, list[Command]] = {}
        for command in commands:
            parts.setdefault(self._controller.trackers[command.serial].unit.dtu, []).append(command)
        return parts
