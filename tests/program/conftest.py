from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.devices import Devices
from tests.doubles.message_bus import Daemon
from tests.program.in_process import InProcess


@pytest.fixture
def plant(devices: Devices, daemon: Daemon, tmp_path: Path) -> InProcess:
    table = devices.table(bus=str(daemon.address))
    table["battery"]["surplus_soc_pct"] = 95.0
    return InProcess(devices, tmp_path, table)
