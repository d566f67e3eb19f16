"""Simulated devices as the doctor meets them: at rest, in a time that the test moves."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tests.doubles.clock import Clock
from tests.doubles.devices import PASSWORD, Devices, simulated


@contextlib.asynccontextmanager
async def plant(
    *,
    load_w: float = 700.0,
    limits_w: tuple[float, ...] = (100.0, 100.0),
    count: int = 2,
    poll_interval_s: float = 5.0,
    password: str = PASSWORD,
    **model: Any,
) -> AsyncIterator[Devices]:
    """Inverters of 400 W that have been told `limits_w`, in a house that draws `load_w` for ever."""
    async with simulated(
        {"opendtu": [f"1124a00000{number:02d}" for number in range(1, count + 1)]},
        clock=Clock(),
        load_w=load_w,
        limits_w=limits_w,
        poll_interval_s=poll_interval_s,
        password=password,
        latency_s=0.0,
        **{"power_on_wait_s": 60.0} | model,
    ) as devices:
        devices.dtu_settings = ""
        yield devices
