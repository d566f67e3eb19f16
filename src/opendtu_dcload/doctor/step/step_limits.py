"""The limits of all inverters before and while one of them makes a step: are they below the cap, are they ours?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opendtu_dcload.config import Config
from opendtu_dcload.control.from_config import parameters_of
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.doctor.checks.check import Sleep
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.limit_reading import is_same, speaks_of, watts_of
from opendtu_dcload.model import CommandState, LimitStatus
from opendtu_dcload.program_name import command

ACKNOWLEDGED_WITHIN_S = 12.0
"""Five transmissions of 2 s each, and whatever waits before them."""
SHOWN_SLACK_W = 1.0
"""Limits are compared with the cap to within this: OpenDTU shows them in tenths of a percent."""

STOP_IT = f"stop it, then repeat {command('check', '--step')}"
SEE_CHECK = f"see what {command('check')} says of it"

Limits = Mapping[str, LimitStatus]
"""By serial."""


class RefusedError(Exception):
    """A step is not possible, or must not be."""

    def __init__(self, text: str, advice: str) -> None:
        """Keep what is the matter, and what to do about it."""
        super().__init__(text)
        self.text = text
        self.advice = advice


async def all_limits(dtus: Mapping[str, OpenDtu]) -> dict[str, LimitStatus]:
    """Return the limits that all DTUs know; raises DeviceError."""
    return {serial: limit for dtu in dtus.values() for serial, limit in (await dtu.limits()).items()}


def highest_w(config: Config, limits: Limits) -> float:
    """Return what the limits of all listed inverters allow together, in W; rated power where one is not known."""
    allowed_w = 0.0
    for inverter in config.inverters:
        limit = limits.get(inverter.serial)
        rated_w = parameters_of(inverter, "", limit.rated_w if limit else None).rated_w
        shown_w = watts_of(limit, rated_w) if limit is not None else None
        allowed_w += rated_w if shown_w is None else shown_w
    return allowed_w


async def lower(
    config: Config, dtus: Mapping[str, OpenDtu], findings: Findings, clock: Callable[[], float], sleep: Sleep
) -> None:
    """Set each listed inverter that may give more to its minimum, where it stays.

    Raises:
        RefusedError: one does not take it.
        DeviceError: a device does not answer.
    """
    for inverter in config.inverters:
        dtu = dtus[config.dtu_of(inverter).name]
        limit = (await dtu.limits()).get(inverter.serial)
        if limit is None or limit.rated_w is None:  # the step refuses it
            continue
        unit = parameters_of(inverter, "", limit.rated_w)
        shown_w = watts_of(limit)
        if shown_w is not None and shown_w <= unit.minimum_w + SHOWN_SLACK_W:
            continue
        posted_at_s = clock()
        await dtu.set_limit(unit.serial, unit.minimum_w, minimum_w=unit.minimum_w, rated_w=unit.rated_w)
        findings.note(f"inverter {unit.serial} is set to its minimum of {unit.minimum_w:.0f} W, which it keeps")
        while not speaks_of(clock(), posted_at_s) or limit is None or not is_done(limit, unit.minimum_w):
            check_taken(f"inverter {unit.serial}", unit.minimum_w, clock() - posted_at_s)
            await sleep(1.0)
            limit = (await dtu.limits()).get(unit.serial)


def check_taken(name: str, limit_w: float, waited_s: float) -> None:
    """Raise RefusedError when an acknowledgement is no longer to be expected."""
    if waited_s > ACKNOWLEDGED_WITHIN_S:
        raise RefusedError(
            f"{name} did not take the limit of {limit_w:.0f} W in {waited_s:.0f} s",
            f"{SEE_CHECK}, about commands and radio",
        )


def new_commands(before: Limits, now: Limits) -> list[str]:
    """Return in words which inverters have been given a command that was not on its way before."""
    return [
        f"the limit of inverter {serial}"
        for serial, was in before.items()
        if was.state is not CommandState.PENDING and serial in now and now[serial].state is CommandState.PENDING
    ]


def is_done(limit: LimitStatus, sent_w: float) -> bool:
    """Tell whether a limit that was sent is acknowledged and nothing else is on its way."""
    shown_w = watts_of(limit)
    if limit.state is CommandState.PENDING or shown_w is None or limit.rated_w is None:
        return False
    return is_same(shown_w, sent_w, limit.rated_w)
