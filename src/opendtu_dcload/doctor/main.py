"""What the command line starts: each function returns the exit code."""

from __future__ import annotations

import asyncio
from pathlib import Path

from opendtu_dcload.config import load_config
from opendtu_dcload.doctor.check import check
from opendtu_dcload.doctor.findings import Finding, Findings, print_finding
from opendtu_dcload.errors import ConfigError

PROBLEMS = 1
WRONG_CONFIG = 2


def run_check(path: Path, *, is_json: bool = False) -> int:
    """Run `check`: 0 all is well, 1 there are problems, 2 the configuration is wrong.

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
    asyncio.run(check(config, findings))
    if is_json:
        print(findings.as_json())
    return PROBLEMS if findings.has_problems else 0


def _keep_quiet(_: Finding) -> None:
    """Show nothing: the list is printed as a whole."""
