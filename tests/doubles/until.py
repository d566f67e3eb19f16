"""Waiting for what real devices, buses and processes bring about."""

import asyncio
from collections.abc import Callable


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until it is so; the time limit of the test ends it otherwise."""
    while not is_so():  # noqa: ASYNC110 - what it waits for has no event
        await asyncio.sleep(0.01)
