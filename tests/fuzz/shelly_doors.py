"""What Shellies answer, as the grid meter, as the meter of plug-in solar and as the relay."""

from __future__ import annotations

import re
from typing import Any, cast

import aiohttp
from pydantic import SecretStr

from opendtu_dcload.devices.shelly.shelly_answers import LARGEST_POWER_W
from opendtu_dcload.devices.shelly.shelly_meter import ShellyMeter
from opendtu_dcload.devices.shelly.shelly_relay import ShellyRelay
from opendtu_dcload.errors import ConfigError, DeviceError
from opendtu_dcload.model import MeterInfo, MeterReading, PhaseReading
from tests.config.correct_config import SECRET
from tests.devices.recorded.replay import parts_of, recordings
from tests.doubles.clock import Clock
from tests.doubles.fake_device import Settings
from tests.fuzz.any_device import AnyDevice
from tests.fuzz.target import Target, as_lines, check_number, check_refusal, check_text, lines_of, parsed, run

_CHANNELS = ("sum", "0", "1", "2", "3", "a", "b", "c")
_LARGEST_COUNTER_WH = 1e13


def _recorded() -> list[bytes]:
    found = []
    for recording in recordings():
        if "/shelly" in recording:
            answers = {path: answer for path, answer in recording.items() if path.startswith("/")}
            for asked in recording["asked"]:
                wish = {key: asked[key] for key in ("section", "channel") if key in asked}
                found.append(as_lines({"asked": wish, **answers, **parts_of(recording)}))
    return found


def _play_meter(data: bytes) -> bool:
    wish = parsed(lines_of(data).get("asked", b""))
    asked: dict[str, Any] = wish if isinstance(wish, dict) else {}
    channel = asked.get("channel")
    settings = Settings(
        "192.0.2.1",
        password=SecretStr(SECRET) if asked.get("section") == "solar" else None,
        channel=channel if channel in _CHANNELS else None,
        phase=3 if asked.get("phase") else 1,
        invert=bool(asked.get("invert")),
    )
    section = "solar" if asked.get("section") == "solar" else "meter"
    clock = Clock(1000.0)
    meter = ShellyMeter(settings, cast(aiohttp.ClientSession, AnyDevice(data)), clock, section=section)
    return run(_use_meter(meter, clock))


async def _use_meter(meter: ShellyMeter, clock: Clock) -> bool:
    try:
        _check_info(await meter.identify())
        for _ in range(2):  # the counters are asked for anew, and compared with those of before
            _check_reading(await meter.read())
            clock.now_s += 400.0
    except (ConfigError, DeviceError) as err:
        check_refusal(err)
        return False
    return True


def _check_info(info: MeterInfo) -> None:
    assert re.fullmatch(r"shelly_[0-9a-f]{12}", info.uid)  # a part of its name on the bus
    for words in (info.model, info.firmware, info.name, info.hardware):
        check_text(words)
    assert info.model


def _check_reading(reading: MeterReading) -> None:
    check_number(reading.power_w, -LARGEST_POWER_W, LARGEST_POWER_W)
    assert reading.power_w is not None
    assert any(reading.phases)
    check_number(reading.frequency_hz, 40, 70)
    _check_counters(reading)
    for phase in filter(None, reading.phases):
        _check_counters(phase)
        _check_phase(phase)


def _check_counters(counted: MeterReading | PhaseReading) -> None:
    check_number(counted.energy_import_wh, 0, _LARGEST_COUNTER_WH)
    check_number(counted.energy_export_wh, 0, _LARGEST_COUNTER_WH)


def _check_phase(phase: PhaseReading) -> None:
    check_number(phase.power_w, -LARGEST_POWER_W, LARGEST_POWER_W)
    assert phase.power_w is not None
    check_number(phase.voltage_v, 0, 500)
    check_number(phase.current_a, 0, 1000)


def _play_relay(data: bytes) -> bool:
    clock = Clock(1000.0)
    login = Settings("192.0.2.1", password=SecretStr(SECRET))
    return run(_use_relay(ShellyRelay(login, 0, cast(aiohttp.ClientSession, AnyDevice(data)), clock)))


async def _use_relay(relay: ShellyRelay) -> bool:
    refused = 0
    for use in (relay.verify, relay.read, lambda: relay.arm(300), relay.open):
        try:
            done = await use()
        except (ConfigError, DeviceError) as err:
            check_refusal(err)
            refused += 1
            continue
        if isinstance(done, str):
            check_text(done)
        else:
            assert isinstance(done.is_on, bool)
            assert isinstance(done.has_timer, bool)
    return not refused


TARGETS = (
    Target("shelly_meter", _play_meter, _recorded, share=30),
    Target("shelly_relay", _play_relay, list, share=10),
)
