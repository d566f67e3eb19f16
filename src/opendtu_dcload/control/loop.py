"""The thin loop around the controller: read the state, decide, show the plan, send the commands."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from opendtu_dcload.config import Config, InverterConfig
from opendtu_dcload.control.controller import Controller, Decision, Seen, Settings
from opendtu_dcload.control.dtu import DtuSettings
from opendtu_dcload.control.guard import Ladder
from opendtu_dcload.control.output import Unit
from opendtu_dcload.control.policy import Command, SetLimit
from opendtu_dcload.devices.hoymiles import UNKNOWN, default_minimum_w, family_of
from opendtu_dcload.devices.opendtu import OpenDtu
from opendtu_dcload.errors import DeviceError, DeviceRefusedError
from opendtu_dcload.model import Plan, Reason
from opendtu_dcload.state import State

log = logging.getLogger(__name__)

TICK_S = 1.0
LEAVE_S = 5.0
GUESSED_INPUT_W = 500.0
"""Rated power per DC input that no Hoymiles inverter exceeds; used until the DTU knows the real one."""
LARGEST_W = 2250.0
"""The same for an inverter of unknown family: what OpenDTU takes at most."""
LONGEST_COMMAND_S = 1.0
"""After a command that took longer the rest of a decision is out of date."""

SUSPICION_S = 20.0
"""A suspicion against the meter is logged when the fall to the minimum has not lifted it in this time."""
LONGEST_GRID_WAIT_S = 330.0
"""A switched-on inverter gives nothing for 1 to 5 min, and that is no news."""
LOGGED_AFTER_S = {
    Reason.METER_STALE_RAMP: 0.0,
    Reason.METER_STALE_MINIMUM: 0.0,
    Reason.METER_LOST_OFF: 0.0,
    Reason.METER_BLIND: SUSPICION_S,
    Reason.METER_REVERSED: SUSPICION_S,
    Reason.CAP_UNREACHABLE: SUSPICION_S,
    Reason.BATTERY_LOW: 0.0,
    Reason.BATTERY_UNSEEN: 0.0,
    Reason.NO_INVERTER: LONGEST_GRID_WAIT_S,
    Reason.FOREIGN_LIMITS: 0.0,
}
"""Reasons worth a line in the log, and how long in s they must last. A lost device has its line already."""


def stale_after_s(config: Config) -> float:
    """Return the age in s from which an inverter's values are stale: the DTU polls one inverter per interval."""
    return 3 * max(len(config.inverters), 1) * config.opendtu.poll_interval_s + 5


def dtu_silent_s(config: Config) -> float:
    """Return the time in s without a good answer after which the DTU is silent: two polls have failed."""
    return max(15.0, 2 * config.opendtu.poll_interval_s + 5)


def settings_of(config: Config) -> Settings:
    """Return what the pure controller needs of the configuration."""
    control = config.control
    return Settings(
        target_w=control.target_w,
        max_feed_in_w=control.max_feed_in_w,
        base_load_w=control.base_load_w,
        max_temperature_c=control.max_temperature_c,
        min_voltage_v=config.battery.min_voltage_v or 0.0,
        ladder=Ladder(control.meter_hold_s, control.meter_ramp_s, control.meter_minimum_s, control.meter_off_s),
        dtus={"opendtu": DtuSettings(stale_after_s(config), dtu_silent_s(config))},
    )


def unit_of(inverter: InverterConfig, rated_w: float | None) -> Unit:
    """Return an inverter as the controller sees it; `rated_w` None = the DTU does not know it yet."""
    family = family_of(inverter.serial)
    guessed_w = LARGEST_W if family is UNKNOWN else GUESSED_INPUT_W * family.inputs
    assumed_w = rated_w or guessed_w
    maximum_w = min(inverter.max_power_w or assumed_w, assumed_w)
    minimum_w = inverter.min_power_w or default_minimum_w(inverter.serial, rated_w)
    return Unit(
        serial=inverter.serial,
        minimum_w=min(minimum_w, maximum_w),
        maximum_w=maximum_w,
        rated_w=assumed_w,
        dead_time_s=family.dead_time_s,
        credit_s=family.credit_s,
        raise_spacing_s=family.raise_spacing_s,
        refresh_s=family.refresh_s,
    )


class ControlLoop:
    """Decides at each change of the state, and once a second because ages grow without one."""

    def __init__(
        self,
        config: Config,
        state: State,
        dtu: OpenDtu,
        posted: Callable[[], None],
        clock: Callable[[], float],
        *,
        dry_run: bool = False,
    ) -> None:
        """Send nothing yet.

        Args:
            config: all settings.
            state: where readings come from and the plan goes to.
            dtu: takes the commands.
            posted: called when a command was sent.
            clock: monotonic time in s.
            dry_run: decide and publish, command nothing.
        """
        self._config = config
        self._state = state
        self._dtu = dtu
        self._posted = posted
        self._clock = clock
        self._is_dry = dry_run
        self._rated_w: dict[str, float] = {}
        self._reason = Reason.STARTING
        self._reason_at_s = clock()
        self._is_logged = False
        self._unknown: set[str] = set()
        units = [unit_of(inverter, None) for inverter in config.inverters]
        self._controller = Controller(settings_of(config), units, clock())

    async def run(self) -> None:
        """Regulate for ever."""
        with self._state.listen() as changed:
            while True:
                changed.clear()
                decision = self._decide()
                self._state.set_plan(decision.plan)
                changed.clear()
                if not self._is_dry:
                    await self._send(decision)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_S):
                        await changed.wait()

    async def leave(self) -> None:
        """Tell every inverter once what it does without us, within 5 s in all."""
        if self._is_dry or self._config.is_read_only:
            return
        how = self._config.control.on_stop
        commands = self._controller.leave(off=how == "off")
        if not commands:
            return
        failed: list[str] = []
        try:
            async with asyncio.timeout(LEAVE_S):
                for command in commands:
                    try:
                        await self._command(command)
                    except DeviceError as err:
                        failed.append(f"{command.serial}: {err}")
        except TimeoutError:
            failed.append(f"no answer within {LEAVE_S:g} s")
        if failed:
            log.warning("stopping: not every inverter could be set to %s (%s)", how, "; ".join(failed))
        else:
            log.info("stopping: inverters set to %s", how)

    def _decide(self) -> Decision:
        now_s = self._clock()
        if self._config.is_read_only:
            return Decision(Plan(now_s, 0.0, 0.0, Reason.READ_ONLY))
        self._learn_rated()
        state = self._state
        decision = self._controller.step(Seen(now_s, state.meter, state.inverters, state.limits, state.dtus))
        self._log_reason(decision.plan)
        return decision

    def _learn_rated(self) -> None:
        for inverter in self._config.inverters:
            limit = self._state.limits.get(inverter.serial)
            if limit is None:
                if self._state.limits and inverter.serial not in self._unknown:
                    self._unknown.add(inverter.serial)
                    log.warning(
                        "inverter %s is not known to the DTU: add it there or correct the serial", inverter.serial
                    )
                continue
            self._unknown.discard(inverter.serial)
            if limit.rated_w and limit.rated_w != self._rated_w.get(inverter.serial):
                self._rated_w[inverter.serial] = limit.rated_w
                self._controller.set_unit(unit_of(inverter, limit.rated_w))

    async def _send(self, decision: Decision) -> None:
        for command in decision.commands:
            began_s = self._clock()
            self._controller.posted(command, began_s)
            try:
                await self._command(command)
            except DeviceRefusedError as err:
                self._controller.refused(command, self._clock())
                log.warning("%s", err)
            except DeviceError as err:
                log.debug("%s", err)
                self._controller.failed(command)
                return
            finally:
                self._controller.taken(command, self._clock())
                self._posted()
            if self._clock() - began_s > LONGEST_COMMAND_S:
                return

    async def _command(self, command: Command) -> None:
        log.debug("%s", command)
        if isinstance(command, SetLimit):
            unit = self._controller.tracks[command.serial].unit
            await self._dtu.set_limit(command.serial, command.limit_w, minimum_w=unit.minimum_w, rated_w=unit.maximum_w)
        else:
            await self._dtu.set_power(command.serial, command.on)

    def _log_reason(self, plan: Plan) -> None:
        if plan.reason != self._reason:
            self._reason, self._reason_at_s, self._is_logged = plan.reason, plan.at_s, False
        delay_s = LOGGED_AFTER_S.get(plan.reason)
        if delay_s is not None and not self._is_logged and plan.at_s - self._reason_at_s >= delay_s:
            self._is_logged = True
            log.warning("%s (set-point %.0f W, cap %.0f W)", plan.reason, plan.setpoint_w, plan.cap_w)
