"""What in the house could measure the grid, with what it measures right now, so that one recognises one's meter."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from opendtu_dcload.config import parse_config
from opendtu_dcload.devices.shelly.shelly_channels import ChannelError
from opendtu_dcload.devices.shelly.shelly_meter import ShellyMeter
from opendtu_dcload.doctor.checks.check_bus import looking
from opendtu_dcload.doctor.checks.check_meter import grid
from opendtu_dcload.doctor.search.network import Found
from opendtu_dcload.errors import BusError, ConfigError, DeviceAuthError, DeviceError
from opendtu_dcload.model import MeterInfo, MeterReading
from opendtu_dcload.venus.gx.gx_meter import GxMeter

WITHIN_S = 10.0
"""For all devices together."""
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class MeterOption:
    """One way to read the grid."""

    settings: Mapping[str, Any]
    """What goes into `[meter]`."""
    text: str
    """For people."""


@dataclass(frozen=True, slots=True)
class NoMeter:
    """A Shelly that cannot measure the grid."""

    name: str
    reason: str
    """What stands behind the name in a sentence."""


async def meter_options(
    shellies: Sequence[Found], session: aiohttp.ClientSession
) -> tuple[list[MeterOption], list[NoMeter]]:
    """Return what of the Shellies can measure the grid, and why the others cannot.

    Args:
        shellies: whom to ask; no password is shown to them.
        session: opened and closed by the caller.
    """
    turns = asyncio.Semaphore(AT_ONCE)
    until_s = asyncio.get_running_loop().time() + WITHIN_S

    async def ask(found: Found) -> list[MeterOption | NoMeter]:
        try:
            async with asyncio.timeout_at(until_s), turns:
                return await _options_of(found.host, session)
        except TimeoutError:
            return [NoMeter(f"Shelly at {found.host}", "takes too long")]

    answers = [answer for part in await asyncio.gather(*map(ask, shellies)) for answer in part]
    return (
        [answer for answer in answers if isinstance(answer, MeterOption)],
        [answer for answer in answers if isinstance(answer, NoMeter)],
    )


async def gx_option() -> MeterOption | None:
    """Return the grid meter that the GX has, None where there is none."""
    config = parse_config({"meter": {"source": "gx"}, "opendtu": {"host": "opendtu"}})
    try:
        async with asyncio.timeout(WITHIN_S), looking(config) as (_, watch):
            meter = GxMeter(watch, time.monotonic)
            info, reading = await meter.identify(), await meter.read()
    except (TimeoutError, BusError, ConfigError, DeviceError):
        return None
    return MeterOption({"source": "gx"}, f"the grid meter of the GX ({info.model}): {grid(reading)}")


async def _options_of(host: str, session: aiohttp.ClientSession) -> list[MeterOption | NoMeter]:
    try:
        return [await _option(host, session, None)]
    except ChannelError as err:
        channels = err.offered
    except DeviceAuthError:
        return [MeterOption({"host": host}, f"a Shelly at {host} that wants its password")]
    except DeviceError as err:
        return [_no_meter(err, host)]
    options: list[MeterOption | NoMeter] = []
    for channel in channels:
        try:
            options.append(await _option(host, session, channel))
        except DeviceError as err:
            options.append(_no_meter(err, host))
    return options


async def _option(host: str, session: aiohttp.ClientSession, channel: str | None) -> MeterOption:
    settings = {"host": host} | ({} if channel is None else {"channel": channel})
    meter = ShellyMeter(parse_config({"meter": settings, "opendtu": {"host": "opendtu"}}).meter, session)
    info, reading = await meter.identify(), await meter.read()
    return MeterOption(settings, f"{_called(info)} at {host}{_part(channel)}: {grid(reading)}{_phases(reading)}")


def _no_meter(err: DeviceError, host: str) -> NoMeter:
    """Return an error without its advice, which is for whoever has named that device."""
    text = re.split(": (?:set|correct|check) ", str(err))[0]
    match = re.match(rf"Shelly at {re.escape(host)}(?: \([^)]*\))?", text)
    name = match[0] if match else f"Shelly at {host}"
    return NoMeter(name, text.removeprefix(name).strip())


def _called(info: MeterInfo) -> str:
    return f'{info.model} "{info.name}"' if info.name else info.model


def _part(channel: str | None) -> str:
    if channel is None:
        return ""
    return ", all channels together" if channel == "sum" else f", channel {channel}"


def _phases(reading: MeterReading) -> str:
    powers_w = [f"{phase.power_w:.0f}" for phase in reading.phases if phase is not None]
    return f" ({' + '.join(powers_w)} W)" if len(powers_w) > 1 else ""
