"""What becomes of a POST that nobody waits for any more."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace
from typing import Any, cast

from opendtu_dcload.control.commands.command_policy import SetLimit
from opendtu_dcload.control.commands.sender import Sender
from opendtu_dcload.errors import DeviceConnectionError
from opendtu_dcload.sim.runs.virtual_time import VirtualLoop

SERIAL = "1124a0000001"


class DeadDtu:
    """Lets a POST fail a second after it began."""

    is_posting = True

    async def set_limit(self, _serial: str, _limit_w: float, **_range_w: float) -> None:
        await asyncio.sleep(1.0)
        raise DeviceConnectionError("connection refused")


def test_a_post_that_fails_after_its_sender_was_cancelled_is_not_reported_with_a_traceback() -> None:
    loop = VirtualLoop(0.0, lambda _now_s: None)
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: reported.append(context))
    deliveries = SimpleNamespace(posted=lambda *_: None, ended=lambda *_: None)
    trackers = {SERIAL: SimpleNamespace(unit=SimpleNamespace(minimum_w=20.0, maximum_w=400.0))}
    dtu = DeadDtu()

    async def cancelled_meanwhile() -> None:
        sender = Sender(cast("Any", dtu), "DTU", cast("Any", trackers), cast("Any", deliveries), loop.time)
        async with asyncio.TaskGroup() as tasks:
            sending = sender.send([SetLimit(SERIAL, 100.0)], None, tasks)
            assert sending is not None
            await asyncio.sleep(0.5)
            sending.cancel()
        await asyncio.sleep(1.0)

    try:
        loop.run_until_complete(cancelled_meanwhile())
        gc.collect()
    finally:
        loop.close()
    assert not reported
