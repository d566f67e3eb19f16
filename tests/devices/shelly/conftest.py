from collections.abc import AsyncIterator

import pytest

from tests.devices.shelly.shelly_devices import MeterRig
from tests.doubles.fake_device import (
    running_device,
)


@pytest.fixture
async def rig() -> AsyncIterator[MeterRig]:
    async with running_device() as (device, session):
        yield MeterRig(device, session)
