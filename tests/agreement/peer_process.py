"""A program of other people as a process: `python -m tests.agreement.peer_process NAME SETUP`, SETUP being JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from opendtu_dcload.devices.http import open_session
from opendtu_dcload.sim.peers.peer import Setup, Unit
from opendtu_dcload.sim.peers.played_peer import PEERS


async def main(name: str, setup: str) -> None:
    """Run a program until it is ended."""
    values = json.loads(setup)
    units = [Unit(**unit) for unit in values.pop("units")]
    async with open_session() as session:
        await PEERS[name](Setup(units=units, **values), session, time.monotonic).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
