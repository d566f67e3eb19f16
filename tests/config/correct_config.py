"""A correct configuration for tests to spoil, and what is said of it."""

from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.config import parse_config
from opendtu_dcload.errors import ConfigError

SECRET = "k3y;Of=Heaven"
SERIAL = "116190001234"


def table(**changes: Any) -> dict[str, Any]:
    """A correct configuration with one inverter; a dict adds to the section of its name, another value replaces it."""
    base: dict[str, Any] = {
        "meter": {"host": "192.168.1.50"},
        "opendtu": {"host": "192.168.1.51", "password": SECRET},
        "inverter": [{"serial": SERIAL}],
        "battery": {"min_voltage_v": 48.0},
    }
    for name, change in changes.items():
        base[name] = {**base.get(name, {}), **change} if isinstance(change, dict) else change
    return base


def problems(source: dict[str, Any], folder: Path = Path(), environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(source, folder, environ or {})
    return caught.value.problems


def problem(source: dict[str, Any], folder: Path = Path(), environ: dict[str, str] | None = None) -> str:
    found = problems(source, folder, environ)
    assert len(found) == 1, found
    return found[0]
