"""What the command line starts: each function returns the exit code."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opendtu_dcload.config import Config, exposed_passwords, load_config
from opendtu_dcload.doctor.checks.check import check
from opendtu_dcload.doctor.findings import Finding, Findings, Level
from opendtu_dcload.doctor.init.candidates import Candidate
from opendtu_dcload.doctor.init.first_config import FirstConfig, Given
from opendtu_dcload.doctor.init.what_next import tell_what_is_next
from opendtu_dcload.doctor.migration.old_config import import_config
from opendtu_dcload.doctor.migration.old_inverters import known_inverters
from opendtu_dcload.doctor.questions import ask_secret, ask_user, is_yes
from opendtu_dcload.doctor.screen import Screen
from opendtu_dcload.doctor.step.step_test import step_test
from opendtu_dcload.errors import ConfigError, DeviceError, DevicePauseError, ServiceError
from opendtu_dcload.program_name import command

PROBLEMS = 1
WRONG_CONFIG = 2


def run_check(path: Path, *, is_json: bool = False, has_step: bool = False, has_consent: bool = False) -> int:
    """Run `check`: 0 all is well, 1 there are problems, 2 the configuration is wrong.

    Args:
        path: the configuration.
        is_json: print all findings at the end, as JSON.
        has_step: let each inverter make a step as well.
        has_consent: the user was asked already.

    Raises:
        ConfigError: the configuration is wrong; not with `is_json`, then the mistakes are in the list.
    """
    screen = Screen()
    findings = Findings(_keep_quiet) if is_json else screen.findings()
    try:
        config = load_config(path)
    except ConfigError as err:
        if not is_json:
            raise
        findings.error(err)
        print(findings.as_json())
        return WRONG_CONFIG
    findings.ok(f"{path} is valid")
    if exposed := exposed_passwords(config, path):
        findings.note(exposed)
    if has_step and not has_consent and not sys.stdin.isatty():
        raise ConfigError(
            [f"{command('check', '--step')} asks before it sets anything: run it at a terminal, or add --yes"]
        )
    try:
        asyncio.run(_check(config, findings, has_step=has_step, has_consent=has_consent))
    except asyncio.CancelledError:  # a signal ended it; the inverters are set back already
        findings.problem("interrupted before the end")
    finally:
        screen.print(findings.as_json() if is_json else findings.summary())
    return PROBLEMS if findings.has_problems else 0


async def _check(config: Config, findings: Findings, *, has_step: bool, has_consent: bool) -> None:
    if not has_step:
        await check(config, findings)
        return
    _hear_signals()
    await check(config, findings)

    def agree(above_cap_w: float | None) -> None:
        if not has_consent:
            _ask_for_step(config, above_cap_w)

    await step_test(config, findings, time.monotonic, asyncio.sleep, agree)


def _hear_signals() -> None:
    """Let a signal end the running task in good order."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _ask_for_step(config: Config, above_cap_w: float | None) -> None:
    """Return when the user wants the step.

    Raises:
        ServiceError: the answer is no.
    """
    lowered = (
        ""
        if above_cap_w is None
        else (
            f"Their limits allow {above_cap_w:.0f} W together, more than control.max_feed_in_w = "
            f"{config.control.max_feed_in_w:g}: before that each is set to its minimum, which it then has instead.\n"
        )
    )
    signal.signal(signal.SIGINT, signal.default_int_handler)  # asyncio would let Ctrl-C wait for the answer
    if not is_yes(
        ask_user,
        f"Each of {len(config.inverters)} inverters is told another limit for about half a minute (an HM for a minute "
        f"or two), then the one it had before.\n{lowered}Nothing else may command them meanwhile. Go on?",
    ):
        raise ServiceError("nothing was set")
    _hear_signals()


def _keep_quiet(_: Finding) -> None:
    """Show nothing: the list is printed as a whole."""


def run_init(path: Path, given: Given) -> int:
    """Run `init`: 0 the file was written, 1 a device does not answer as it should, 2 it exists or an answer is wrong.

    Raises:
        ServiceError: nothing was written, or something was wrong and there was nobody to correct it.
    """
    is_terminal = sys.stdin.isatty()
    findings = Screen().findings()

    async def write() -> str:
        if is_terminal:  # asyncio would let Ctrl-C wait for the answer to the question
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return await FirstConfig(
            path, given, ask_user if is_terminal else None, ask_secret if is_terminal else None, findings
        ).write()

    try:
        readers = asyncio.run(write())
    except DeviceError as err:
        problem = err.problem if isinstance(err, DevicePauseError) else err
        raise ServiceError(f"{problem}; {path} is not written, start {command('init')} again then") from err
    tell_what_is_next(path, readers, findings)
    if not is_terminal:
        _refuse_problems(path, findings)
    return 0


def run_import(old: Path, new: Path) -> int:
    """Run `import-config`: 0 the file was written.

    Raises:
        ConfigError: `old` cannot be read, or `new` exists.
        ServiceError: something was wrong and there was nobody to correct it.
    """
    findings = Screen().findings()
    ask = ask_user if sys.stdin.isatty() else None

    def look_up(opendtu: Mapping[str, Any]) -> list[Candidate]:
        return asyncio.run(known_inverters(opendtu, old.absolute(), findings))

    tell_what_is_next(new, import_config(old, new, findings, look_up, ask), findings)
    if ask is None:
        _refuse_problems(new, findings)
    return 0


def _refuse_problems(path: Path, findings: Findings) -> None:
    """Let a script know that what was written is not all that it should be.

    Raises:
        ServiceError: there are problems; the file stays.
    """
    problems = [finding for finding in findings.found if finding.level is Level.PROBLEM]
    if problems:
        told = "; ".join(
            f"{finding.text}: {finding.advice}" if finding.advice else finding.text for finding in problems
        )
        raise ServiceError(f"{path} is written, but not all is well with it: {told}")
