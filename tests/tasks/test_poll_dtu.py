"""What of all that a DTU tells reaches the state."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from opendtu_dcload.config import OpenDtuConfig
from opendtu_dcload.devices.http import open_session
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.state import State
from opendtu_dcload.tasks.poll_dtu import DtuPoller
from tests.doubles.devices import PASSWORD, SERIALS, Devices
from tests.doubles.until import until

pytestmark = pytest.mark.realtime


async def test_of_what_the_dtu_knows_only_listed_inverters_reach_the_state(devices: Devices):
    state, ours = State(), SERIALS[:1]
    config = OpenDtuConfig.model_validate({"host": devices.opendtu.host, "password": PASSWORD, "poll_interval_s": 1})
    async with open_session() as session:
        dtu = OpenDtu(config, session, ours, devices.clock)
        poller = DtuPoller(config, dtu, state, ours, 15.0, devices.clock)
        polling = asyncio.create_task(poller.run())
        await until(lambda: bool(state.limits and state.inverters))
        polling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await polling
    assert poller.known is not None
    assert {known.serial for known in poller.known} == set(SERIALS), "or it proves nothing"
    assert list(state.limits) == list(state.inverters) == list(ours)
