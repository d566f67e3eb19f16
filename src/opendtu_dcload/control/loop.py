"""The thin loop around the controller: read the state, decide, show the plan, send the commands."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

from opendtu_dcload.config import Config, InverterConfig, OpenDtuConfig
from opendtu_dcload.control.bookkeeping.alarms import Alarms, Watched
from opendtu_dcload.control.bookkeeping.statistics import CommandLog, Ledger
from opendtu_dcload.control.commands.command_policy import Command, Reboot, SetLimit, SetPower
from opendtu_dcload.control.commands.dry_run import DryRun
from opendtu_dcload.control.commands.leave import Parting, leave_dtu, log_partings
from opendtu_dcload.control.controller import Controller
from opendtu_dcload.control.decision import Decision, Seen
from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.control.inverter.output_model import InverterParameters
from opendtu_dcload.control.overrides import with_overrides
from opendtu_dcload.control.protection.battery_guard import BatteryLimits
from opendtu_dcload.control.protection.meter_age import Ladder
from opendtu_dcload.control.protection.plant_guard import ExternalInputs, GuardSettings
from opendtu_dcload.control.reason_delays import log_after_s
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.devices.hoymiles import UNKNOWN, default_minimum_w, family_of
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.errors import DeviceError, DeviceRefusedError
from opendtu_dcload.freshness import dtu_silent_after_s, missed_rounds_s
from opendtu_dcload.model import Alarm, Cause, Outcome, Plan, Priority, Reason
from opendtu_dcload.state import State
from opendtu_dcload.tasks.seasonal_store import SeasonalStore

log = logging.getLogger(__name__)

TICK_S = 1.0
GUESSED_INPUT_W = 500.0
"""Rated power per DC input that no Hoymiles inverter exceeds; used until the DTU knows the real one."""
LARGEST_W = 2250.0
"""The same for an inverter of unknown family: what OpenDTU takes at most."""
LONGEST_COMMAND_S = 1.0
"""After a command that took longer the rest of a decision is out of date."""


def stale_after_s(config: Config, dtu: OpenDtuConfig) -> float:
    """Return the age in s from which values of a DTU's inverters are stale: it polls one inverter per interval."""
    return missed_rounds_s(max(len(config.serials_of(dtu)), 1) * dtu.poll_interval_s)


def dtu_silent_s(dtu: OpenDtuConfig) -> float:
    """Return the time in s without a good answer after which a DTU is silent: two polls have failed."""
    return dtu_silent_after_s(dtu.poll_interval_s)


def guards_of(config: Config, seasonal_highest_pct: float | None) -> GuardSettings:
    """Return what is to be guarded."""
    battery, solar = config.battery, config.solar
    return GuardSettings(
        battery=BatteryLimits(
            min_cell_voltage_v=battery.min_cell_voltage_v,
            resistance_ohm=battery.resistance_mohm / 1000,
            min_soc_pct=battery.min_soc_pct,
            soc_hysteresis_pct=battery.soc_hysteresis_pct,
            uses_ess_minimum=battery.use_ess_minimum,
            has_multiplus_guard=battery.multiplus_guard,
        ),
        is_seasonal=battery.seasonal_min_soc,
        seasonal_highest_pct=seasonal_highest_pct,
        surplus_soc_pct=battery.surplus_soc_pct,
        surplus_w=battery.surplus_w,
        solar_pessimistic_w=None if solar is None else solar.pessimistic_w,
    )


def settings_of(config: Config, seasonal_highest_pct: float | None = None) -> Settings:
    """Return what the pure controller needs of the configuration and of the last run."""
    control = config.control
    return Settings(
        target_w=control.target_w,
        max_feed_in_w=control.max_feed_in_w,
        base_load_w=control.base_load_w,
        max_temperature_c=control.max_temperature_c,
        min_voltage_v=config.battery.min_voltage_v or 0.0,
        ladder=Ladder(
            hold_s=control.meter_hold_s,
            ramp_s=control.meter_ramp_s,
            minimum_s=control.meter_minimum_s,
            off_s=control.meter_off_s,
        ),
        priority=Priority(control.priority),
        may_rest=control.standby,
        has_last_resorts=control.last_resorts,
        guards=guards_of(config, seasonal_highest_pct),
        dtus={
            dtu.name: DtuSettings(
                stale_after_s=stale_after_s(config, dtu),
                silent_s=dtu_silent_s(dtu),
                max_commands_per_hour=dtu.max_commands_per_hour,
            )
            for dtu in config.dtus
        },
    )


def unit_of(inverter: InverterConfig, dtu: str, rated_w: float | None) -> InverterParameters:
    """Return an inverter as the controller sees it; `rated_w` None = its DTU, named `dtu`, does not know it yet."""
    family = family_of(inverter.serial)
    guessed_w = LARGEST_W if family is UNKNOWN else GUESSED_INPUT_W * family.inputs
    assumed_w = rated_w or guessed_w
    maximum_w = min(inverter.max_power_w or assumed_w, assumed_w)
    minimum_w = inverter.min_power_w or default_minimum_w(inverter.serial, rated_w)
    return InverterParameters(
        serial=inverter.serial,
        minimum_w=min(minimum_w, maximum_w),
        maximum_w=maximum_w,
        rated_w=assumed_w,
        dead_time_s=family.dead_time_s,
        credit_s=family.credit_s,
        raise_spacing_s=family.raise_spacing_s,
        refresh_s=family.refresh_s,
        dtu=dtu,
        radio=f"{dtu}/{family.chip}",
    )


def alarms_of(config: Config, settings: Settings, now_s: float) -> Alarms:
    """Return what watches the devices of a configuration, from `now_s` on."""
    watched = [Watched(i.serial, config.dtu_of(i).name, i.name) for i in config.inverters]
    return Alarms(settings, tuple(watched), now_s)


def local_date() -> date:
    """Return today, by this machine's clock and time zone."""
    return datetime.now(UTC).astimezone().date()


class ControlLoop:
    """Decides at each change of the state, and once a second because ages grow without one."""

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
        self._seasonal = seasonal
        self._config = config
        self._state = state
        self._dtus = dtus
        self._clock = clock
        self._dry_run = DryRun() if dry_run else None
        self._rated_w: dict[str, float] = {}
        self._reason = Reason.STARTING
        self._reason_at_s = clock()
        self._is_logged = False
        self._unknown: set[str] = set()
        self._decision: Decision | None = None
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._posts: dict[str, asyncio.Task[None]] = {}
        units = [unit_of(inverter, config.dtu_of(inverter).name, None) for inverter in config.inverters]
        self._settings = settings_of(config, seasonal.highest_pct if seasonal else None)
        self._controller = make_controller(self._settings, units, clock())
        self._today = today
        self._alarms = alarms_of(config, self._settings, clock())
        self._commands = CommandLog()
        self._ledger = Ledger()

    async def run(self) -> None:
        """Regulate for ever."""
        async with asyncio.TaskGroup() as tasks:
            await self._regulate(tasks)

    async def _regulate(self, tasks: asyncio.TaskGroup) -> None:
        with self._state.listen() as changed:
            while True:
                changed.clear()
                self._decision = self._decide()
                self._state.set_plan(self._decision.plan)
                self._account()
                changed.clear()
                await self._send(self._decision, tasks)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_S):
                        await changed.wait()

    async def leave(self) -> None:
        """Tell every inverter what it does without us, within 5 s in all, and say what is known to have come of it."""
        if self._dry_run is not None or self._config.is_read_only:
            return
        how = self._config.control.on_stop
        commands = self._by_dtu(self._controller.leave(off=how == "off"))
        if not commands:
            return
        trackers = self._controller.trackers

        def leaving(name: str, part: Sequence[Command]) -> Awaitable[Parting]:
            posts = {s: post for s, post in self._posts.items() if trackers[s].unit.dtu == name}
            return leave_dtu(
                self._dtus[name],
                part,
                self._post,
                lambda s, c: trackers[c.serial].limits.acknowledges(s, c.limit_w),
                posts,
            )

        log_partings(how, await asyncio.gather(*(leaving(name, part) for name, part in commands.items())))

    def _decide(self) -> Decision:
        now_s = self._clock()
        if self._config.is_read_only:
            return Decision(Plan(now_s, 0.0, 0.0, Reason.READ_ONLY, is_dry=self._dry_run is not None))
        self._learn_rated()
        state = self._state
        self._controller.settings = with_overrides(self._settings, state.overrides)
        busy = frozenset(name for name, task in self._sending.items() if not task.done())
        external = ExternalInputs(state.battery, state.multiplus, state.solar, state.relay)
        seen = Seen(now_s, state.meter, state.inverters, state.limits, state.dtus, busy, external)
        if self._dry_run is not None:
            seen = self._dry_run.seen(seen, [tracker.unit for tracker in self._controller.trackers.values()])
        decision = self._controller.decide(seen)
        if self._dry_run is not None:
            decision = replace(decision, plan=replace(decision.plan, is_dry=True))
        if self._seasonal is not None:
            self._seasonal.keep(self._controller.guards.seasonal.highest_pct)
        self._log_reason(decision.plan)
        return decision

    def _account(self) -> None:
        """Show what is wrong and what was counted."""
        state, now_s = self._state, self._clock()
        alarms = self._alarms.update(state, now_s)
        if self._dry_run is not None:
            alarms = tuple(alarm for alarm in alarms if alarm.cause is not Cause.COMMAND_WITHOUT_EFFECT)
        if alarms != state.alarms:
            _log_alarms(state.alarms, alarms)
            state.set_alarms(alarms)
        for serial, tracker in self._controller.trackers.items():
            self._commands.add_limit_state(serial, tracker.limits)
        if self._dry_run is None and self._commands.records != state.commands:
            state.set_commands(self._commands.records)
        if state.meter is not None:
            self._ledger.add_reading(self._today(), state.meter, self._room_w())
            if self._ledger.today != state.today:
                state.set_today(self._ledger.today)

    def _room_w(self) -> float:
        """Return what the inverters could give beyond what they do, W: 0 for those that cannot be set."""
        if self._state.plan is None:
            return 0.0
        outputs_w = {s: status.ac_power_w or 0.0 for s, status in self._state.inverters.items()}
        usable = [t for t in self._controller.trackers.values() if t.is_usable]
        room_w = sum(max(t.ceiling_w - outputs_w.get(t.unit.serial, 0.0), 0.0) for t in usable)
        return min(room_w, max(self._state.plan.cap_w - sum(outputs_w.values()), 0.0))

    def _learn_rated(self) -> None:
        for inverter in self._config.inverters:
            limit = self._state.limits.get(inverter.serial)
            dtu = self._config.dtu_of(inverter)
            if limit is None:
                status = self._state.dtus.get(dtu.name)
                if status is not None and status.serials is not None and inverter.serial not in self._unknown:
                    self._unknown.add(inverter.serial)
                    log.warning(
                        "inverter %s is not known to the %s: add it there or correct the serial",
                        inverter.serial,
                        dtu.label,
                    )
                continue
            self._unknown.discard(inverter.serial)
            if limit.rated_w and limit.rated_w != self._rated_w.get(inverter.serial):
                self._rated_w[inverter.serial] = limit.rated_w
                self._controller.set_unit(unit_of(inverter, dtu.name, limit.rated_w))

    async def _send(self, decision: Decision, tasks: asyncio.TaskGroup) -> None:
        """Let each DTU take its commands in sequence, but none wait for another one that hangs."""
        sending = {
            name: tasks.create_task(self._send_to(commands, decision), name=f"commands to {name}")
            for name, commands in self._by_dtu(decision.commands).items()
        }
        for reboot in decision.reboots:
            if reboot.dtu not in sending and self._dry_run is None:
                sending[reboot.dtu] = tasks.create_task(self._reboot(reboot), name=f"reboot of {reboot.dtu}")
        self._sending |= sending
        if sending:
            await asyncio.wait(sending.values(), timeout=LONGEST_COMMAND_S)

    def _by_dtu(self, commands: Sequence[Command]) -> dict[str, list[Command]]:
        parts: dict[str, list[Command]] = {}
        for command in commands:
            parts.setdefault(self._controller.trackers[command.serial].unit.dtu, []).append(command)
        return parts

    async def _send_to(self, commands: Sequence[Command], decision: Decision) -> None:
        for command in commands:
            if self._decision is not decision:  # what is left of the cap may have been given away since
                return
            began_s = self._clock()
            self._controller.posted(command, began_s)
            self._commands.posted(command, began_s)
            outcome = Outcome.UNANSWERED
            try:
                await self._command(command)
                outcome = Outcome.TAKEN
            except DeviceRefusedError as err:
                outcome = Outcome.DECLINED
                self._controller.refused(command, self._clock())
                log.warning("%s", err)
            except DeviceError as err:
                log.debug("%s", err)
                self._controller.failed(command)
                return
            finally:
                self._controller.taken(command, self._clock())
                self._commands.ended(command.serial, outcome)
            if self._clock() - began_s > LONGEST_COMMAND_S:
                return

    async def _reboot(self, reboot: Reboot) -> None:
        """Reboot a DTU; one that has not done it will be asked again as if it had not helped."""
        now_s = self._clock()
        self._controller.rebooted(reboot, now_s)
        self._commands.restarted(reboot.dtu, "reboot", now_s)
        label = next(dtu.label for dtu in self._config.dtus if dtu.name == reboot.dtu)
        log.warning("%s reaches no inverter: reboot number %d since the start", label, reboot.number)
        outcome = Outcome.UNANSWERED
        try:
            await self._dtus[reboot.dtu].reboot()
            outcome = Outcome.TAKEN
        except DeviceError as err:
            log.warning("%s", err)
        finally:
            self._commands.ended(reboot.dtu, outcome)

    async def _command(self, command: Command) -> None:
        """Hand a command to its DTU; whoever waits for that may be cancelled, a POST on its way goes on."""
        post = self._posts[command.serial] = asyncio.create_task(self._post(command))
        try:
            await asyncio.shield(post)
        except asyncio.CancelledError:
            if not self._dtus[self._controller.trackers[command.serial].unit.dtu].is_posting:
                self._posts.pop(command.serial).cancel()
            raise

    async def _post(self, command: Command) -> None:
        log.debug("%s", command)
        unit = self._controller.trackers[command.serial].unit
        dtu = self._dtus[unit.dtu]
        if self._dry_run is not None:
            self._dry_run.take(command, unit, self._clock())
            dtu.look_for_acknowledgement()
        elif isinstance(command, SetLimit):
            await dtu.set_limit(command.serial, command.limit_w, minimum_w=unit.minimum_w, rated_w=unit.maximum_w)
        elif isinstance(command, SetPower):
            await dtu.set_power(command.serial, command.on)
        else:
            log.warning("inverter %s does not obey: restart number %d since the start", command.serial, command.number)
            await dtu.restart(command.serial)

    def _log_reason(self, plan: Plan) -> None:
        if plan.reason != self._reason:
            self._reason, self._reason_at_s, self._is_logged = plan.reason, plan.at_s, False
        if not self._is_logged and plan.at_s - self._reason_at_s >= log_after_s(plan.reason):
            self._is_logged = True
            log.warning("%s (set-point %.0f W, cap %.0f W)", plan.reason, plan.setpoint_w, plan.cap_w)


def _log_alarms(before: Sequence[Alarm], now: Sequence[Alarm]) -> None:
    for alarm in now:
        if alarm not in before:
            log.warning("%s: %s", alarm.severity.name.lower(), alarm.text)
    for alarm in before:
        if alarm not in now:
            log.info("%s over: %s", alarm.severity.name.lower(), alarm.text)
