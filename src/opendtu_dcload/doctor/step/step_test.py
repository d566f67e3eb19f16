"""`check --step`: does the meter answer a step of each inverter, with the right sign and size?

Each inverter is taken from its limit to another one and back, with limits that are not stored in it. Whatever happens,
it is set back to what was found.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

import aiohttp

from opendtu_dcload.config import Config, InverterConfig
from opendtu_dcload.control.from_config import parameters_of
from opendtu_dcload.control.inverter.output_rules import TESTED_W
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.protection.meter_response import ANSWER_SHARE
from opendtu_dcload.devices.http import open_session
from opendtu_dcload.devices.meter import Meter, make_meter
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.doctor.checks.check import Sleep, changed_limits, commanded
from opendtu_dcload.doctor.checks.check_bus import looking, running_names
from opendtu_dcload.doctor.checks.check_inverter import counts_s, unknown
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.step.step_answer import (
    StepAnswer,
    answer_of,
    choose_limit,
    has_shown,
    is_quiet,
    level_w,
    verdict,
)
from opendtu_dcload.doctor.step.step_limits import (
    ACKNOWLEDGED_WITHIN_S,
    SEE_CHECK,
    SHOWN_SLACK_W,
    STOP_IT,
    RefusedError,
    all_limits,
    check_taken,
    highest_w,
    is_done,
    lower,
    new_commands,
)
from opendtu_dcload.errors import BusError, ConfigError, DeviceError
from opendtu_dcload.freshness import believed
from opendtu_dcload.limit_reading import speaks_of, watts_of
from opendtu_dcload.model import CommandState, LimitStatus
from opendtu_dcload.single_instance import alone

QUIET_WITHIN_S = 60.0
"""How long the house may take to become quiet: an estimate."""
SPARE_S = 10.0
"""How much longer than the control does the test wait for a step to show: an estimate."""
TAIL_S = 3.0
"""Until the rest of a step has come too: three times the inverter's time constant."""
FAILED_READINGS = 3
OWN_VALUES_WITHIN_S = 30.0
"""How long to wait for the inverter's own values after the step: an estimate, some polls of the DTU."""
PUT_BACK_TRIES = 5
PUT_BACK_PAUSE_S = 2.0
SET_BY_HAND = "set it in OpenDTU (not persistent), or start the service"


@dataclass(slots=True)
class _Subject:
    """The inverter under test."""

    name: str
    unit: InverterParameters
    dtu: OpenDtu
    output_w: float
    """What it gave before."""
    home_w: float
    """The limit that was found."""
    told_w: float
    """The limit that it was sent last."""
    is_home: bool = True
    """The DTU has taken the command to go back, or there was none to leave."""


Agree = Callable[[float | None], None]
"""Returns when the user agrees; takes the sum of the limits in W when it is above the cap and they would be lowered."""


async def step_test(
    config: Config, findings: Findings, clock: Callable[[], float], sleep: Sleep, agree: Agree | None = None
) -> None:
    """Let each listed inverter make a step and a way back, one after the other, and say what the meter did.

    Args:
        config: all settings.
        findings: takes what was found.
        clock: monotonic time in s.
        sleep: waits for a time in s.
        agree: asks the user before anything is set; None = steps only, limits above the cap are not lowered before.
    """
    if not config.inverters:
        findings.problem("no inverter is listed, so there is none to make a step", "add [[inverter]] blocks")
        return
    try:
        if names := await running_names(config):
            _refuse_beside(", ".join(sorted(names)))
        async with alone(commanded(config), lambda: _refuse_beside("on this machine")):
            await _step_alone(config, findings, clock, sleep, agree)
    except RefusedError as refused:
        findings.problem(refused.text, refused.advice)
    except DeviceError as err:
        findings.error(err)


def _refuse_beside(where: str) -> NoReturn:
    raise RefusedError(f"the service runs ({where}), so no step was made", STOP_IT)


async def _step_alone(
    config: Config, findings: Findings, clock: Callable[[], float], sleep: Sleep, agree: Agree | None
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session())
        watch = None
        if config.meter.is_on_gx:
            try:
                _, watch = await stack.enter_async_context(looking(config))
            except BusError as err:
                findings.error(err)
                return
        meter = make_meter(config.meter, session, watch, clock)
        test = _StepTest(config, findings, session, meter, clock, sleep)
        if agree is not None:
            await test.prepare(agree)
        for inverter in config.inverters:
            try:
                await test.run(inverter)
            except RefusedError as refused:
                findings.problem(refused.text, refused.advice)
            except (ConfigError, DeviceError) as err:
                findings.error(err)


class _StepTest:
    def __init__(
        self,
        config: Config,
        findings: Findings,
        session: aiohttp.ClientSession,
        meter: Meter,
        clock: Callable[[], float],
        sleep: Sleep,
    ) -> None:
        self._config = config
        self._findings = findings
        self._clock = clock
        self._sleep = sleep
        self._meter = meter
        self._dtus = {dtu.name: OpenDtu(dtu, session, config.serials_of(dtu), clock) for dtu in config.dtus}

    async def prepare(self, agree: Agree) -> None:
        """Ask, and take the inverters to their minimum when their limits allow more than the cap.

        Raises:
            RefusedError: one of them did not take it.
            DeviceError: a DTU does not answer.
        """
        allowed_w = highest_w(self._config, await all_limits(self._dtus))
        is_above = allowed_w > self._config.control.max_feed_in_w + SHOWN_SLACK_W
        agree(allowed_w if is_above else None)
        if is_above:
            await lower(self._config, self._dtus, self._findings, self._clock, self._sleep)

    async def run(self, inverter: InverterConfig) -> None:
        """Test one inverter and say what was found.

        Raises:
            RefusedError: it cannot or must not be tested, or did not do what it was told.
            DeviceError: a device does not answer.
            ConfigError: the meter does not fit the configuration.
        """
        subject, room_w = await self._subject(inverter)
        target_w = choose_limit(subject.home_w, subject.unit, room_w)
        if target_w is None:
            raise RefusedError(
                f"{subject.name} is at {subject.home_w:.0f} W and cannot change enough for the meter to show it",
                "raise control.max_feed_in_w, or let inverter.min_power_w and max_power_w be further apart",
            )
        try:
            there = await self._leg(subject, target_w)
            if abs(there.share) < ANSWER_SHARE:
                await self._check_output(subject, there)
            back = await self._leg(subject, subject.home_w)
        finally:
            if not subject.is_home:
                await self._put_back(subject)
        self._findings.add(verdict(subject.name, there, back))

    async def _subject(self, inverter: InverterConfig) -> tuple[_Subject, float]:
        """Return the inverter and how many W more the plant may give; refuse what must not be tested."""
        asked = self._config.dtu_of(inverter)
        dtu = self._dtus[asked.name]
        name = f"inverter {inverter.serial}"
        await dtu.check_password()
        live = await dtu.live(self._config.serials_of(asked))
        status, limits = live.inverters.get(inverter.serial), await all_limits(self._dtus)
        limit = limits.get(inverter.serial)
        if status is None or limit is None:
            raise RefusedError(*unknown(self._config, inverter, live))
        interval_s = 0.0
        with contextlib.suppress(DeviceError):  # good to know, but an odd firmware is no reason to refuse
            interval_s = await dtu.poll_interval_s()
        max_age_s = counts_s(self._config, asked, live, interval_s)
        if not live.is_clock_set or believed(status, status.answered_at_s, max_age_s) is None:
            raise RefusedError(f"{name}: OpenDTU has no fresh values of it", SEE_CHECK)
        home_w = watts_of(limit)
        if home_w is None:
            raise RefusedError(
                f"{name}: OpenDTU does not know its rated power or its limit", "start the service for a minute, stop it"
            )
        self._check_battery(name, [i.battery_voltage_v for i in live.inverters.values()])
        if (status.ac_power_w or 0.0) < TESTED_W:
            raise RefusedError(
                f"{name} gives no power", "switch it on in OpenDTU, and wait until it has joined the grid"
            )
        unit = parameters_of(inverter, asked.name, limit.rated_w)
        return _Subject(name, unit, dtu, status.ac_power_w or 0.0, home_w, home_w), self._room_w(limits)

    def _check_battery(self, name: str, voltages_v: list[float | None]) -> None:
        floor_v = self._config.battery.min_voltage_v
        seen_v = [voltage_v for voltage_v in voltages_v if voltage_v is not None]
        if floor_v is None or not seen_v:
            raise RefusedError(f"{name}: the battery's voltage is not known", SEE_CHECK)
        if min(seen_v) < floor_v:
            raise RefusedError(
                f"{name}: battery {min(seen_v):.1f} V is below battery.min_voltage_v = {floor_v:g}", "charge it first"
            )

    def _room_w(self, limits: Mapping[str, LimitStatus]) -> float:
        """Return how many W the limits of all listed inverters leave below the cap."""
        allowed_w, cap_w = highest_w(self._config, limits), self._config.control.max_feed_in_w
        if allowed_w > cap_w + SHOWN_SLACK_W:
            raise RefusedError(
                f"the inverters' limits allow {allowed_w:.0f} W, more than control.max_feed_in_w = {cap_w:g}",
                "start the service for a minute and stop it, which leaves them at their minimum",
            )
        return cap_w - allowed_w

    async def _leg(self, subject: _Subject, target_w: float) -> StepAnswer:
        """Take the inverter to `target_w` and return what the meter did."""
        change_w = target_w - subject.told_w
        base_w = await self._quiet_level_w(subject, change_w)
        before = await all_limits(self._dtus)
        self._check_untouched(subject, before, before)
        posted_at_s = self._clock()
        await self._post(subject, target_w)
        readings: list[tuple[float, float]] = []
        acknowledged_at_s: float | None = None
        shown_at_s = math.inf
        while True:
            readings.append(await self._read())
            now_s = self._clock()
            if acknowledged_at_s is None:
                limit = (await subject.dtu.limits()).get(subject.unit.serial)
                if limit is not None and is_done(limit, target_w) and speaks_of(now_s, posted_at_s):
                    acknowledged_at_s = now_s
                else:
                    check_taken(subject.name, target_w, now_s - posted_at_s)
            if has_shown(base_w, readings, change_w):
                shown_at_s = min(shown_at_s, now_s)
            waited = "acknowledged" if acknowledged_at_s is not None else "not acknowledged yet"
            self._tell(subject, f"told {target_w:.0f} W", f"{now_s - posted_at_s:.0f} s, {waited}", readings)
            if acknowledged_at_s is None:
                continue
            if now_s >= shown_at_s + TAIL_S or now_s - acknowledged_at_s > subject.unit.credit_s + SPARE_S:
                self._check_untouched(subject, before, await all_limits(self._dtus))
                return answer_of(base_w, readings, posted_at_s, change_w, subject.unit)

    def _check_untouched(
        self, subject: _Subject, before: Mapping[str, LimitStatus], now: Mapping[str, LimitStatus]
    ) -> None:
        """Refuse to judge a meter while somebody else sets limits."""
        mine = now.get(subject.unit.serial)
        if mine is None or not is_done(mine, subject.told_w):
            changes = [f"the limit of {subject.name}"]
        else:
            listed = {i.serial for i in self._config.inverters} - {subject.unit.serial}
            others = {serial: limit for serial, limit in before.items() if serial in listed}
            changes = changed_limits(others, now) or new_commands(others, now)
        if changes:
            raise RefusedError(f"another controller sets {', '.join(changes)}", STOP_IT)

    def _tell(self, subject: _Subject, phase: str, detail: str, readings: list[tuple[float, float]]) -> None:
        self._findings.progress(f"{subject.name}: {phase}", f"{detail}, grid {readings[-1][1]:.0f} W")

    async def _quiet_level_w(self, subject: _Subject, change_w: float) -> float:
        began_s = self._clock()
        readings: list[tuple[float, float]] = []
        while not is_quiet(readings, change_w):
            if self._clock() - began_s > QUIET_WITHIN_S:
                raise RefusedError(
                    f"the house is too restless to see a step of {abs(change_w):.0f} W",
                    "repeat it when no large appliance switches",
                )
            readings.append(await self._read())
            self._tell(subject, "waiting for a quiet meter", f"{self._clock() - began_s:.0f} s", readings)
        return level_w(readings)

    async def _read(self) -> tuple[float, float]:
        """Return the next reading; one that fails is no reason to give up."""
        for failed in range(1, FAILED_READINGS + 1):
            await self._sleep(self._config.meter.poll_interval_s)
            try:
                reading = await self._meter.read()
            except DeviceError:
                if failed == FAILED_READINGS:
                    raise
            else:
                return reading.at_s, reading.power_w
        raise AssertionError("the last attempt returns or raises")

    async def _post(self, subject: _Subject, limit_w: float) -> None:
        unit = subject.unit
        is_home = limit_w == subject.home_w
        subject.is_home = False
        lowest_w = min(limit_w, unit.minimum_w)  # the limit that was found may be lower
        await subject.dtu.set_limit(unit.serial, limit_w, minimum_w=lowest_w, rated_w=unit.rated_w)
        subject.told_w = limit_w
        subject.is_home = is_home

    async def _check_output(self, subject: _Subject, there: StepAnswer) -> None:
        """Refuse to blame the meter when the inverter itself says that it did not follow."""
        since_s = self._clock()
        while self._clock() - since_s < OWN_VALUES_WITHIN_S:
            self._findings.progress(
                f"{subject.name}: the meter shows nothing, waiting for its own values",
                f"{self._clock() - since_s:.0f} s",
            )
            await self._sleep(1.0)
            status = (await subject.dtu.live([subject.unit.serial])).inverters.get(subject.unit.serial)
            if status is None or status.at_s < since_s or status.ac_power_w is None:
                continue
            if abs(status.ac_power_w - subject.output_w) < ANSWER_SHARE * abs(there.change_w):
                raise RefusedError(
                    f"{subject.name} did not follow its limit from {subject.home_w:.0f} to {subject.told_w:.0f} W: "
                    f"it gave {subject.output_w:.0f} W before and {status.ac_power_w:.0f} W after",
                    "look whether it is fed by the battery at all",
                )
            return

    async def _put_back(self, subject: _Subject) -> None:
        """Set the inverter to what was found, however the test ended."""
        told = f"{subject.name} is set back to {subject.home_w:.0f} W"
        if subject.home_w > subject.told_w:
            await self._wait_while_pending(subject)
        for _ in range(PUT_BACK_TRIES):
            try:
                await self._post(subject, subject.home_w)
            except DeviceError as err:
                problem = err
                await self._sleep(PUT_BACK_PAUSE_S)
            else:
                self._findings.note(told)
                return
        self._findings.problem(
            f"{subject.name} could not be set back to {subject.home_w:.0f} W ({problem})", SET_BY_HAND
        )

    async def _wait_while_pending(self, subject: _Subject) -> None:
        """Let a command that is on its way arrive: a limit is not raised before."""
        until_s = self._clock() + ACKNOWLEDGED_WITHIN_S
        with contextlib.suppress(DeviceError):
            while self._clock() < until_s:
                limit = (await subject.dtu.limits()).get(subject.unit.serial)
                if limit is None or limit.state is not CommandState.PENDING:
                    return
                await self._sleep(1.0)
