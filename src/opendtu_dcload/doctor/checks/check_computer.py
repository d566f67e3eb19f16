"""The computer that the program runs on: Python, packages, clock."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from importlib import metadata

from opendtu_dcload import __version__
from opendtu_dcload.doctor.findings import Findings

PACKAGE = "opendtu-dcload"
FIRST_YEAR = 2026
"""This program is not older: an earlier year is the clock of a computer that lost its time."""


def check_computer(findings: Findings, now: datetime | None = None) -> None:
    """Tell the versions of Python and of the packages, and whether the clock can be right; `now` None = the clock's."""
    versions = []
    for requirement in metadata.requires(PACKAGE) or []:
        if ";" in requirement:  # only of an extra
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)\s*(.*)", requirement)
        assert match is not None
        name, wanted = match.groups()
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            findings.problem(f"the package {name} is not installed properly", f"install {name}{wanted} again")
            continue
        versions.append(f"{name} {version}")
        if not is_allowed(version, wanted):
            findings.problem(f"{name} {version} does not fit, {wanted} is wanted", "install this program anew")
    findings.ok(f"{PACKAGE} {__version__}, Python {sys.version.split()[0]}, {', '.join(versions)}")
    now = now or datetime.now(UTC)
    if now.year < FIRST_YEAR:
        findings.problem(
            f"the clock of this computer says {now:%Y-%m-%d}", "let it get the time from the network (NTP)"
        )
    else:
        findings.ok(f"clock {now:%Y-%m-%d %H:%M} UTC")


def is_allowed(version: str, wanted: str) -> bool:
    """Tell whether a version fits `>=a.b.c` or `==a.b.c`, the two forms in which this program names its packages."""
    is_exact = wanted.startswith("==")
    bounds = [_numbers(bound) for bound in re.findall(r"[\d.]+", wanted)]
    return all(_numbers(version) == bound if is_exact else _numbers(version) >= bound for bound in bounds)


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"[\d.]*", version)
    return tuple(int(number) for number in re.findall(r"\d+", release[0] if release else ""))
