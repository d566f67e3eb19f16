from collections.abc import AsyncIterator

import pytest

from tests.devices.http_door import DoorRig
from tests.doubles.fake_device import running_device


@pytest.fixture
async def rig() -> AsyncIterator[DoorRig]:
    async with running_device() as (device, session):
        yield DoorRig(device, session)
