"""Lets the clients read the recordings over HTTP on loopback, and compares."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.devices.shelly.shelly_meter import ShellyMeter
from opendtu_dcload.errors import ConfigError, DeviceError
from opendtu_dcload.model import InverterStatus, MeterReading
from tests.doubles.clock import Clock
from tests.doubles.fake_device import FakeDevice, Settings, running_device

FOLDER = Path(__file__).parent
_NAMES = {"em": "EM", "emdata": "EMData", "em1": "EM1", "em1data": "EM1Data", "pm1": "PM1", "switch": "Switch"}
_LIVE = "/api/livedata/status"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was read of a recording."""

    device: str
    asked: str
    read: object
    expected: object

    @property
    def is_right(self) -> bool:
        """Whether it is what a careful reader takes from the recording."""
        if isinstance(self.expected, str):  # a part of the sentence that refuses it
            return isinstance(self.read, str) and self.expected in self.read
        return bool(self.read == _about(self.expected))


def recordings() -> Iterator[dict[str, Any]]:
    """Yield all recordings."""
    for path in sorted(FOLDER.glob("*.json")):
        yield from json.loads(path.read_text(encoding="utf-8"))


async def replay(recording: Mapping[str, Any]) -> AsyncIterator[Row]:
    """Yield what the clients read of one recording."""
    async with running_device() as (device, session):
        device.answers = {path: answer for path, answer in recording.items() if path.startswith("/")}
        if "/shelly" in recording:
            device.answers |= parts_of(recording)
            async for row in _read_shelly(recording, device, session):
                yield row
        else:
            async for row in _read_dtu(recording, device, session):
                yield row


def parts_of(recording: Mapping[str, Any]) -> dict[str, object]:
    """Return the answers of a Shelly that are parts of its status."""
    parts: dict[str, object] = {}
    for key in ("meter", "emeter"):
        for index, entry in enumerate(recording.get("/status", {}).get(f"{key}s", [])):
            parts[f"/{key}/{index}"] = entry
    for key, status in recording.get("/rpc/Shelly.GetStatus", {}).items():
        kind, _, index = key.partition(":")
        if kind in _NAMES:
            parts[f"/rpc/{_NAMES[kind]}.GetStatus?id={index}"] = status
    return parts


async def _read_shelly(
    recording: Mapping[str, Any], device: FakeDevice, session: aiohttp.ClientSession
) -> AsyncIterator[Row]:
    for asked in recording["asked"]:
        settings = Settings(device.host, password=SecretStr("secret"), channel=asked.get("channel"))
        meter = ShellyMeter(settings, session, Clock(1000.0), section=asked["section"])
        read: object
        try:
            values = _meter_values(await meter.read())
            read = {name: values[name] for name in asked.get("reads", values)}
        except (ConfigError, DeviceError) as err:
            read = _sentence(err, device)
        place = f"[{asked['section']}] {asked.get('channel', '')}".rstrip()
        yield Row(recording["device"], place, read, asked.get("refused", asked.get("reads")))


def _meter_values(reading: MeterReading) -> dict[str, object]:
    phases = [[p.power_w, p.voltage_v, p.current_a] for p in reading.phases if p is not None]
    return {
        "power_w": reading.power_w,
        "phases": phases,
        "energy_import_wh": reading.energy_import_wh,
        "energy_export_wh": reading.energy_export_wh,
        "frequency_hz": reading.frequency_hz,
    }


async def _read_dtu(
    recording: Mapping[str, Any], device: FakeDevice, session: aiohttp.ClientSession
) -> AsyncIterator[Row]:
    expected = recording.get("reads", {})
    dtu = OpenDtu(Settings(device.host), session, (), Clock(1000.0))
    name = recording["device"]
    try:
        live = await dtu.live(list(expected))
    except DeviceError as err:
        yield Row(name, _LIVE, _sentence(err, device), recording.get("refused", expected))
        return
    if "refused" in recording:
        yield Row(name, _LIVE, "not refused", recording["refused"])
    for serial, values in expected.items():
        status = live.inverters.get(serial)
        read = {} if status is None else {key: _inverter_value(status, key) for key in values}
        yield Row(name, serial, read, values)
    if "known" in recording:
        yield Row(name, "known", [inverter.serial for inverter in live.known], recording["known"])
    if "limits" in recording:
        limits = {s: [limit.limit_pct, limit.rated_w, limit.state] for s, limit in (await dtu.limits()).items()}
        yield Row(name, "limits", limits, recording["limits"])


def _inverter_value(status: InverterStatus, key: str) -> object:
    return status.answered_at_s - status.at_s if key == "age_s" else getattr(status, key)


def _sentence(err: Exception, device: FakeDevice) -> str:
    text = err.problems[0] if isinstance(err, ConfigError) else str(err)
    return re.sub(rf" at {re.escape(device.host)}", "", text)


def _about(expected: object) -> object:
    """Return something that equals the expected numbers but for the last bits of a sum."""
    if isinstance(expected, Mapping):
        return {key: _about(value) for key, value in expected.items()}
    if isinstance(expected, list):
        return [_about(value) for value in expected]
    is_number = isinstance(expected, int | float) and not isinstance(expected, bool)
    return pytest.approx(expected, rel=1e-9, abs=1e-6) if is_number else expected
