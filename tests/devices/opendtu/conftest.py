from collections.abc import AsyncIterator

import pytest

from tests.devices.opendtu.opendtu_documents import DtuRig
from tests.doubles.fake_device import running_device


@pytest.fixture
async def rig() -> AsyncIterator[DtuRig]:
    async with running_device() as (device, session):
        yield DtuRig(device, session)
