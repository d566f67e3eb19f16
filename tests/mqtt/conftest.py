from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.mqtt import broker as connection
from opendtu_dcload.mqtt import mqtt_task
from tests.doubles.devices import Devices
from tests.doubles.mosquitto import Mosquitto
from tests.program.in_process import InProcess


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    await broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what takes its time be soon, but no broker be lost because this machine is busy."""
    monkeypatch.setattr(mqtt_task, "RETRY_DELAYS_S", (0.1, 0.1, 0.3))
    monkeypatch.setattr(mqtt_task, "PERIOD_S", 0.1)
    monkeypatch.setattr(connection, "KEEPALIVE_S", 3)


@pytest.fixture
def short_of_time(monkeypatch: pytest.MonkeyPatch, impatient: None) -> None:
    """Let a broker that does not answer be left soon, where none answers."""
    monkeypatch.setattr(connection, "ANSWER_S", 1.0)


def in_process(devices: Devices, folder: Path, broker: Mosquitto, **settings: Any) -> InProcess:
    """Return the program at simulated devices and a broker."""
    table = devices.table()
    table["mqtt"] = {"host": "127.0.0.1", "port": broker.port} | settings
    return InProcess(devices, folder, table)


@pytest.fixture
def plant(devices: Devices, tmp_path: Path, broker: Mosquitto, impatient: None) -> InProcess:
    return in_process(devices, tmp_path, broker)
