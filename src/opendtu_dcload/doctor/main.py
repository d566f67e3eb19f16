"""What the command line starts: each function returns the exit code."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

from opendtu_dcload.config import Config, exposed_passwords, load_config
from opendtu_dcload.doctor.check import check
from opendtu_dcload.doctor.findings import Finding, Findings, print_finding
from opendtu_dcload.doctor.first_config import FirstConfig, Given
from opendtu_dcload.doctor.old_config import import_config
from opendtu_dcload.doctor.step import step_test
from opendtu_dcload.errors import ConfigError, ServiceError

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
    findings = Findings(_keep_quiet if is_json else print_finding)
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
    if has_step and not has_consent:
        _ask(len(config.inverters))
    try:
        asyncio.run(_check(config, findings, has_step=has_step))
    except asyncio.CancelledError:  # a signal ended it; the inverters are set back already
        findings.problem("interrupted before the end")
    finally:
        if is_json:
            print(findings.as_json())
    return PROBLEMS if findings.has_problems else 0


async def _check(config: Config, findings: Findings, *, has_step: bool) -> None:
    await check(config, findings)
    if has_step:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        await step_test(config, findings, time.monotonic, asyncio.sleep)


def _ask(count: int) -> None:
    """Return when the user wants the step.

    Raises:
        ConfigError: there is nobody to ask.
        ServiceError: the answer is no.
    """
    if not sys.stdin.isatty():
        raise ConfigError(["check --step asks before it sets anything: run it at a terminal, or add --yes"])
    print(
        f"Each of {count} inverters is told another limit for about half a minute (an HM for a minute or two), "
        "then the one it has now.\nThe service must not be running, nor any other controller. Go on? [y/N] ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise ServiceError("nothing was set")


def _keep_quiet(_: Finding) -> None:
    """Show nothing: the list is printed as a whole."""


def run_init(path: Path, given: Given) -> int:
    """Run `init`: 0 the file was written, 1 a device does not answer, 2 it exists or an answer is wrong.

    Raises:
        ServiceError: nothing was written.
    """
    is_terminal = sys.stdin.isatty()
    ask, ask_secret = (_question, _secret_question) if is_terminal else (None, None)
    findings = Findings()

    async def write() -> None:
        if is_terminal:  # asyncio would let Ctrl-C wait for the answer to the question
            signal.signal(signal.SIGINT, signal.default_int_handler)
        await FirstConfig(path, given, ask, ask_secret, findings).write()

    asyncio.run(write())
    return _tell_left(path, findings)


def run_import(old: Path, new: Path) -> int:
    """Run `import-config`: 0 the file was written.

    Raises:
        ConfigError: `old` cannot be read, or `new` exists.
    """
    findings = Findings()
    import_config(old, new)
    return _tell_left(new, findings)


def _tell_left(path: Path, findings: Findings) -> int:
    """Say that the file was written and what is to be filled in."""
    findings.ok(f"{path} is written")
    try:
        config = load_config(path)
    except ConfigError as err:
        for problem in err.problems:
            findings.note(f"to be filled in: {problem}")
    else:
        if config.is_read_only:
            findings.note(
                "no inverter is listed, so nothing will be set",
                "check prints the serial numbers; then fill in battery.min_voltage_v as well",
            )
    findings.note("next", f"opendtu-dcload check --config {path}")
    return 0


def _question(text: str) -> str:
    try:
        return input(text).strip()
    except EOFError as err:
        raise ServiceError("left at a question: nothing was written") from err


def _secret_question(text: str) -> str:
    try:
        from getpass import getpass  # noqa: PLC0415  a package of its own on a GX, which need not be there
    except ImportError:
        return _question(text)
    try:
        return getpass(text).strip()
    except EOFError as err:
        raise ServiceError("left at a question: nothing was written") from err
