"""Services on the bus."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from opendtu_dcload.venus.bus.busitem import BusService
from tests.doubles.until import until


@contextlib.asynccontextmanager
async def running(*services: BusService) -> AsyncIterator[None]:
    """Run services until they are on the bus, and through the body."""
    tasks = [asyncio.create_task(service.run()) for service in services]
    try:
        await until(lambda: all(service.is_online for service in services))
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
