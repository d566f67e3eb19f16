"""One program per inverter and machine: a second copy would undo what the first one commands.

On another machine nobody can be asked: there the alarm "another controller sets limits" tells.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterable

log = logging.getLogger(__name__)

RETRY_S = 1.0
"""Between two looks whether the other copy has ended."""


@contextlib.asynccontextmanager
async def alone(inverters: Iterable[tuple[str, str]], waiting: Callable[[], None]) -> AsyncIterator[None]:
    """Be the only program of this machine that commands these inverters; wait for another one to end.

    Args:
        inverters: host of the DTU, as configured, and serial: the same serial behind another one is another device.
        waiting: called at each look while another copy runs; what it raises ends the wait.
    """
    with contextlib.ExitStack() as claims:
        for host, serial in sorted(inverters):  # all in one order: two copies never wait for each other
            await _claim(claims, host, serial, waiting)
        yield


async def _claim(claims: contextlib.ExitStack, host: str, serial: str, waiting: Callable[[], None]) -> None:
    # a name in Linux' abstract namespace belongs to one socket, and is free as soon as its process has ended, however
    name = "\0opendtu_dcload." + hashlib.sha256(f"{host.lower()} {serial}".encode()).hexdigest()
    is_told = False
    while True:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(name)
        except OSError as err:
            claim.close()
            if err.errno != errno.EADDRINUSE:
                log.debug("whether another copy of this program runs is not known: %s", err)
                return
        else:
            claims.enter_context(claim)
            if is_told:
                log.info("the other copy of this program has ended: this one goes on")
            return
        waiting()
        if not is_told:
            log.warning(
                "another copy of this program commands inverter %s on this machine already: this one waits until that "
                "one has ended, stop it if it is not wanted",
                serial,
            )
        is_told = True
        await asyncio.sleep(RETRY_S)
