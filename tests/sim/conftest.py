from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from tests.doubles.clock import Clock

SERIAL = "1124a0000001"
OTHER = "1124a0000002"


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()}


def make_dtu(load_w: list[float] | None = None, count: int = 2, **options: Any) -> SimDtu:
    models = [
        InverterModel(f"1124a000000{number}", f"HMS {number}", dead_time_spread=0.0) for number in range(1, count + 1)
    ]
    options.setdefault("loss", 0.0)
    return SimDtu(House(load_w or [500.0], models), **options)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dtu() -> SimDtu:
    return make_dtu()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
