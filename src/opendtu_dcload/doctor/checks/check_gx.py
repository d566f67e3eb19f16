"""The GX: its battery, its grid meter where that is read, and ESS beside us."""

from __future__ import annotations

import time

from opendtu_dcload.config import Config
from opendtu_dcload.doctor.checks.check_bus import looking
from opendtu_dcload.doctor.checks.check_meter import grid
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.errors import BusError, ConfigError, DeviceError
from opendtu_dcload.state import State
from opendtu_dcload.venus.gx.battery_follower import BatteryFollower
from opendtu_dcload.venus.gx.gx_meter import GxMeter
from opendtu_dcload.venus.gx.service_watch import ServiceWatch


async def check_gx(config: Config, findings: Findings) -> None:
    """Tell what was found on the GX; nothing where there is none and none is needed."""
    if not config.dbus.enabled:
        return
    try:
        async with looking(config) as (_, watch):
            if config.meter.is_on_gx:
                await _check_meter(watch, findings)
            await _check_battery(config, watch, findings)
    except (BusError, ConfigError) as err:  # `check_bus` says so too, but not what depends on it
        if config.meter.is_on_gx:
            findings.problem(f'meter.source is "gx", but: {err}')


async def _check_meter(watch: ServiceWatch, findings: Findings) -> None:
    meter = GxMeter(watch, time.monotonic)
    try:
        info, reading = await meter.identify(), await meter.read()
    except DeviceError as err:
        findings.error(err)
    else:
        findings.ok(f"{grid(reading)}, read from {info.model}")


async def _check_battery(config: Config, watch: ServiceWatch, findings: Findings) -> None:
    follower = BatteryFollower(State(), watch, time.monotonic)
    try:
        _, battery = await follower.read_battery()
        _, multiplus = await follower.read_multiplus()
    except BusError as err:
        findings.problem(str(err), "look whether that service runs")
        return
    if battery is not None:
        soc = "unknown" if battery.soc_pct is None else f"{battery.soc_pct:.0f} %"
        findings.ok(f"battery of the GX: {battery.service}, SoC {soc}")
    if multiplus is not None and multiplus.ess_target_w is not None:
        _tell_ess(config.control.target_w, multiplus.ess_target_w, findings)


def _tell_ess(target_w: float, ess_target_w: float, findings: Findings) -> None:
    both = f"ESS holds the grid at {ess_target_w:.0f} W, this program at {target_w:.0f} W: two regulators on one meter"
    if target_w < ess_target_w:
        findings.problem(
            f"{both}, and ESS would charge the battery with what the inverters take out of it",
            f"set control.target_w above {ess_target_w:.0f}, or the grid set-point of ESS below {target_w:.0f}",
        )
    else:
        findings.note(f"{both}; ESS comes first, the inverters stay low while it has power left")
