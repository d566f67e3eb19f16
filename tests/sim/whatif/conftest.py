"""A user's own configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.whatif.own_config import write_config


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PASSWORD_OF_THE_DTU", "of the garage")
    monkeypatch.chdir(tmp_path)
    return write_config(tmp_path)
