"""How a DTU's inverters are left: each gets one last command, and a second one where no answer came."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from opendtu_dcload.control.commands.command_policy import Command, SetLimit
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.errors import DeviceAuthError, DeviceError, DeviceRefusedError
from opendtu_dcload.model import LimitStatus

log = logging.getLogger(__name__)

LEAVE_S = 4.5
"""The time for all of it; of the 5 s that the program takes to end, the rest is left for everything else."""
EARLIER_S = 2.0
"""How long the answer to a POST that is on its way is awaited."""
AGAIN_S = 1.0
"""Where an answer is missing the last command goes out again this long before the end: an earlier one may be executed
late."""
LOOK_EVERY_S = 0.5
"""How often the DTU is asked whether the inverters have acknowledged: an estimate."""

Send = Callable[[Command], Awaitable[None]]
"""Hands a command to the DTU; raises a DeviceError when the DTU does not take it."""
Acknowledges = Callable[[LimitStatus, SetLimit], bool]
"""Tells whether a status shows that the inverter has acknowledged a limit."""


@dataclass(frozen=True, slots=True)
class Parting:
    """What became of the last commands to one DTU, by serials."""

    acknowledged: frozenset[str]
    """The inverter itself has confirmed."""
    taken: frozenset[str]
    """The DTU has taken it, the inverter has not confirmed yet."""
    declined: Mapping[str, str]
    """The DTU did not take it, and why."""
    uncertain: Mapping[str, str]
    """Nobody knows, and why."""


async def leave_dtu(
    dtu: OpenDtu,
    commands: Sequence[Command],
    send: Send,
    acknowledges: Acknowledges,
    posts: Mapping[str, asyncio.Task[None]],
) -> Parting:
    """Give each command to the DTU, in sequence, whatever is pending; it takes `LEAVE_S` at most.

    Args:
        dtu: takes the commands.
        commands: one for each inverter.
        send: hands over one of them.
        acknowledges: reads the DTU's limit status.
        posts: the last earlier command to each inverter, by serial; one of them may still be on its way.
    """
    now_s = asyncio.get_running_loop().time
    end_s = now_s() + LEAVE_S
    if on_its_way := [post for post in posts.values() if not post.done()]:
        _, hanging = await asyncio.wait(on_its_way, timeout=EARLIER_S)
        for post in hanging:
            post.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
    dtu.insist()
    problems = await _tell(commands, send, end_s - AGAIN_S)
    doubted = {serial for serial, post in posts.items() if post.cancelled() or _is_open(post.exception())}
    if again := [c for c in commands if c.serial in doubted or _is_open(problems[c.serial])]:
        await asyncio.sleep(end_s - AGAIN_S - now_s())
        problems |= await _tell(again, send, end_s)
    taken = {c.serial: c for c in commands if problems[c.serial] is None}
    limits = {serial: c for serial, c in taken.items() if isinstance(c, SetLimit)}
    acknowledged = await _acknowledged(dtu, limits, acknowledges, end_s)
    failed = {serial: problem for serial, problem in problems.items() if problem is not None}
    return Parting(
        acknowledged,
        frozenset(taken.keys() - acknowledged),
        declined={serial: str(problem) for serial, problem in failed.items() if not _is_open(problem)},
        uncertain={serial: str(problem) for serial, problem in failed.items() if _is_open(problem)},
    )


def log_partings(how: str, partings: Sequence[Parting], untold: Sequence[str]) -> None:
    """Log what is known of all inverters; `how` is what they were told to do, `untold` are those that were not."""

    def joined(problems: Mapping[str, str]) -> str:
        return ", ".join(f"{serial} ({problem})" for serial, problem in problems.items())

    parts = [
        ("acknowledged by", ", ".join(s for p in partings for s in sorted(p.acknowledged))),
        ("taken by the DTU, not yet acknowledged by", ", ".join(s for p in partings for s in sorted(p.taken))),
        ("not taken for", ", ".join(joined(p.declined) for p in partings if p.declined)),
        ("uncertain for", ", ".join(joined(p.uncertain) for p in partings if p.uncertain)),
        ("left as it was:", ", ".join(untold)),
    ]
    said = "; ".join(f"{words} {serials}" for words, serials in parts if serials)
    is_known = not any(parting.declined or parting.uncertain for parting in partings)
    log.log(logging.INFO if is_known else logging.WARNING, "stopping, inverters told %s: %s", how, said)


async def _tell(commands: Sequence[Command], send: Send, end_s: float) -> dict[str, DeviceError | TimeoutError | None]:
    """Send all by `end_s`; return the problems."""
    now_s = asyncio.get_running_loop().time
    problems: dict[str, DeviceError | TimeoutError | None] = {}
    for number, command in enumerate(commands):
        within_s = max(end_s - now_s(), 0.0) / (len(commands) - number)
        try:
            async with asyncio.timeout(within_s):
                await send(command)
            problems[command.serial] = None
        except TimeoutError:
            problems[command.serial] = TimeoutError("the DTU did not answer in time")
        except DeviceError as err:
            problems[command.serial] = err
    return problems


def _is_open(problem: BaseException | None) -> bool:
    """Tell whether it is open what became of a command, so that it may have been executed."""
    return problem is not None and not isinstance(problem, DeviceRefusedError | DeviceAuthError)


async def _acknowledged(
    dtu: OpenDtu, waiting: Mapping[str, SetLimit], acknowledges: Acknowledges, end_s: float
) -> frozenset[str]:
    """Ask for the limit status until all inverters have acknowledged, or until `end_s`; return those that have."""
    now_s = asyncio.get_running_loop().time
    found: set[str] = set()
    while len(found) < len(waiting) and now_s() + LOOK_EVERY_S < end_s:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            async with asyncio.timeout(end_s - now_s()):
                limits = await dtu.limits()
        except (DeviceError, TimeoutError):
            continue
        found |= {s for s, command in waiting.items() if s in limits and acknowledges(limits[s], command)}
    return frozenset(found)
