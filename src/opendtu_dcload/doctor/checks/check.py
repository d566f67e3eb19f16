"""`check`: is the configuration right, do the devices answer, is anybody in the way? Reads only, changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from opendtu_dcload.config import Config
from opendtu_dcload.devices.http import open_session
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.doctor.checks.check_bus import check_bus
from opendtu_dcload.doctor.checks.check_computer import check_computer
from opendtu_dcload.doctor.checks.check_dtu import check_dtu
from opendtu_dcload.doctor.checks.check_gx import check_gx
from opendtu_dcload.doctor.checks.check_meter import check_meter, check_solar
from opendtu_dcload.doctor.checks.check_relay import check_relay
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.errors import DeviceError
from opendtu_dcload.model import LimitStatus
from opendtu_dcload.single_instance import alone

Sleep = Callable[[float], Awaitable[None]]

WATCHED_S = 6
"""How long to watch whether anybody sets limits; the original does so every 3 to 4 s."""
STILL_PCT = 0.2
"""OpenDTU rounds a limit to tenths of a percent."""


async def check(config: Config, findings: Findings, sleep: Sleep = asyncio.sleep, *, has_time: bool = True) -> None:
    """Probe everything that the configuration names and say what was found.

    Args:
        config: all settings.
        findings: takes what was found.
        sleep: waits for a time in s.
        has_time: also watch for some seconds whether anybody sets limits.
    """
    check_computer(findings)
    async with open_session() as session:
        meter = None
        if not config.meter.is_on_gx:
            meter = await check_meter(config.meter, session, findings)
        is_running = await check_bus(config, meter, findings)
        if not is_running and await _runs_here(config):
            is_running = True
            findings.note("this program runs already (on this machine)", "do not start it twice")
        await check_gx(config, findings)
        if config.solar is not None:
            await check_solar(config.solar, session, findings)
        seen: list[tuple[OpenDtu, dict[str, LimitStatus]]] = []
        for asked in config.dtus:
            serials = config.serials_of(asked)
            dtu = OpenDtu(asked, session, serials)
            limits = await check_dtu(config, asked, dtu, session, findings)
            if limits is not None and serials:
                seen.append((dtu, {serial: limits[serial] for serial in serials if serial in limits}))
        if seen and not is_running and has_time:
            await _watch_limits(seen, findings, sleep)
        await check_relay(config, session, findings)


def commanded(config: Config) -> list[tuple[str, str]]:
    """Return host of the DTU and serial of each inverter that may be commanded."""
    return [(config.dtu_of(inverter).host, inverter.serial) for inverter in config.inverters]


async def _runs_here(config: Config) -> bool:
    """Tell whether this program commands the inverters from this machine, be there a bus or not."""

    class TakenError(Exception):
        pass

    def give_up() -> None:
        raise TakenError

    try:
        async with alone(commanded(config), give_up):
            return False
    except TakenError:
        return True


async def _watch_limits(seen: list[tuple[OpenDtu, dict[str, LimitStatus]]], findings: Findings, sleep: Sleep) -> None:
    """Tell when a limit changes while this program does not run: then somebody else sets it."""
    for second in range(WATCHED_S):
        findings.progress("watching whether anybody changes a limit", f"{WATCHED_S - second} s")
        await sleep(1.0)
        for dtu, before in seen:
            try:
                now = await dtu.limits()
            except DeviceError as err:
                findings.error(err)
                return
            if changed := changed_limits(before, now):
                findings.problem(
                    f"another controller sets limits: {', '.join(changed)}",
                    "stop this program's own service before a check that shall tell, and every other controller "
                    "(the original, OpenDTU-OnBattery's power limiter, home automation) for good",
                )
                return
    findings.ok(f"nobody changed a limit in {WATCHED_S} s")


def changed_limits(before: Mapping[str, LimitStatus], now: Mapping[str, LimitStatus]) -> list[str]:
    """Return in words which acknowledged limits have changed."""
    changes = []
    for serial, was in before.items():
        then_pct, now_pct = was.limit_pct, now[serial].limit_pct if serial in now else None
        if then_pct is not None and now_pct is not None and abs(now_pct - then_pct) > STILL_PCT:
            changes.append(f"inverter {serial} from {then_pct:.1f} to {now_pct:.1f} %")
    return changes
