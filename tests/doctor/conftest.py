from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.venus.conftest import Daemon


@pytest.fixture
def bus() -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory(prefix="bus") as folder:
        daemon = Daemon(Path(folder))
        daemon.start()
        yield daemon
        daemon.stop()
