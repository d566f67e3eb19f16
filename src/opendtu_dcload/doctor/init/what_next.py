"""What is told after a configuration was written: is it whole, does it work, and what takes it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

from opendtu_dcload.config import Config, load_config
from opendtu_dcload.config.reading import read_table
from opendtu_dcload.doctor.checks.check import check
from opendtu_dcload.doctor.findings import Findings, Level
from opendtu_dcload.errors import ConfigError
from opendtu_dcload.program_name import VARIABLE, command

UNIT = Path("/etc/systemd/system/opendtu-dcload.service")
"""Where the service's unit is on Debian."""
_WAITS = "the service takes this file within a minute and sets the inverters from then on; at once with"


def tell_what_is_next(path: Path, readers: str, findings: Findings) -> None:
    """Say that the file was written, what is still to be filled in, what the checks find, and what to do.

    Args:
        path: the file.
        readers: who may read it, empty when everybody may.
        findings: takes all that.
    """
    findings.ok(f"{path} is written, only {readers} may read it" if readers else f"{path} is written")
    try:
        config = load_config(path)
    except ConfigError as err:
        for problem in err.problems:
            findings.note(f"to be filled in: {problem}")
        if _lists_none(path):
            findings.note("to be filled in: [[inverter]], once for each, with its serial, and battery.min_voltage_v")
    else:
        if config.is_read_only:
            findings.note(
                "no inverter is listed, so nothing will be set",
                f"{command('check', '--config', path)} prints the serial numbers; battery.min_voltage_v is needed too",
            )
        else:
            _check(config, findings)
    step = command("check", "--config", path)
    findings.note("to try everything", f"{step}; with --step it moves the inverters too, and looks at the meter")
    for text, advice in _services():
        findings.note(text, advice)


def _lists_none(path: Path) -> bool:
    """Tell whether a file that can be read lists no inverter."""
    try:
        return not read_table(path).get("inverter")
    except ConfigError:  # told already
        return False


def _check(config: Config, findings: Findings) -> None:
    """Run the checks that take no time, and tell what is wrong."""
    findings.progress("checking it")
    seen = Findings(lambda finding: findings.add(finding) if finding.level is Level.PROBLEM else None)
    asyncio.run(check(config, seen, has_time=False))
    findings.ok(f"checked: {seen.summary()}")


def _services() -> Iterator[tuple[str, str]]:
    """Yield for each service that is installed here how it takes a configuration, and how one sees how it gets on."""
    beside = Path(os.environ.get(VARIABLE, os.devnull)).absolute()
    if (status := beside.with_name("status")).is_file():
        yield f"{_WAITS} {beside.with_name('restart.sh')}", f"{status} shows how it gets on"
    if UNIT.exists():
        yield f"{_WAITS} systemctl restart {UNIT.stem}", f"systemctl status {UNIT.stem} shows how it gets on"
