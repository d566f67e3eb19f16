"""The devices that measure: which they are, whether they answer, and how quickly."""

from __future__ import annotations

import time

import aiohttp

from opendtu_dcload.config import MeterConfig, SolarConfig
from opendtu_dcload.devices.meter import make_meter
from opendtu_dcload.devices.shelly.shelly_meter import ShellyMeter
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.wrong_device import recognised
from opendtu_dcload.errors import ConfigError, DeviceError
from opendtu_dcload.model import MeterInfo, MeterReading

READINGS = 3
SLOW_MS = 500.0
"""In a healthy network a Shelly answers in less than 100 ms."""


async def check_meter(config: MeterConfig, session: aiohttp.ClientSession, findings: Findings) -> MeterInfo | None:
    """Read the meter some times; return what it says of itself, None when it cannot be used."""
    meter = make_meter(config, session, None, time.monotonic)
    try:
        info = await meter.identify()
        took_ms = []
        for _ in range(READINGS):
            started_s = time.monotonic()
            reading = await meter.read()
            took_ms.append((time.monotonic() - started_s) * 1000)
    except ConfigError as err:
        findings.error(err)
        return None
    except DeviceError as err:
        findings.error(await recognised(err, "meter", config, session, meter.vendor))
        return None
    findings.ok(f"meter {info.model} ({versions(info)}, MAC {info.serial})")
    findings.ok(grid(reading))
    tell_round_trip("meter", took_ms, SLOW_MS, findings)
    return info


def versions(info: MeterInfo) -> str:
    """Return a meter's hardware and firmware in words."""
    return ", ".join([*filter(None, [info.hardware]), f"firmware {info.firmware or 'unknown'}"])


def grid(reading: MeterReading) -> str:
    """Return grid power and its direction in words."""
    return f"grid {abs(reading.power_w):.0f} W {'import' if reading.power_w >= 0 else 'export'}"


async def check_solar(config: SolarConfig, session: aiohttp.ClientSession, findings: Findings) -> None:
    """Read the Shelly at the plug-in solar once."""
    solar = ShellyMeter(config, session, section="solar")
    try:
        info, reading = await solar.identify(), await solar.read()
    except ConfigError as err:
        findings.error(err)
    except DeviceError as err:
        findings.error(await recognised(err, "solar", config, session))
    else:
        findings.ok(f"plug-in solar {info.model} gives {abs(reading.power_w):.0f} W now")


def tell_round_trip(name: str, took_ms: list[float], slow_ms: float, findings: Findings) -> None:
    """Tell how long a device took to answer, in ms; a slow one is worth a look at its network."""
    shortest, longest = f"{min(took_ms):.0f}", f"{max(took_ms):.0f}"
    text = f"{name} answered in {longest if shortest == longest else f'{shortest} to {longest}'} ms"
    if max(took_ms) > slow_ms:
        findings.note(f"{text}, that is slow", "look at its WiFi, and at what else asks it")
    else:
        findings.ok(text)
