"""What `check` says of the GX: its battery, its grid meter where that is read, and ESS beside us. Reads only."""

from __future__ import annotations

import time
from typing import Literal, NamedTuple

from opendtu_dcload.config import Config
from opendtu_dcload.errors import BusError, DeviceError
from opendtu_dcload.state import State
from opendtu_dcload.venus.address import resolve
from opendtu_dcload.venus.battery import BatteryFollower
from opendtu_dcload.venus.connection import connected
from opendtu_dcload.venus.gx_meter import GxMeter
from opendtu_dcload.venus.watch import Watch


class GxFinding(NamedTuple):
    """One thing that was found."""

    level: Literal["ok", "note", "problem"]
    text: str


async def look_at_gx(config: Config) -> list[GxFinding]:
    """Return what is to be said of the GX; nothing where there is none and none is needed.

    Raises:
        ConfigError: `dbus.bus` names no usable address.
    """
    if not config.dbus.enabled:
        return []
    address = resolve(config.dbus.bus)
    watch = Watch(address)
    try:
        async with connected(address) as connection:
            await watch.start(connection)
            return [*await _meter(config, watch), *await _battery(config, watch)]
    except BusError as err:
        return [GxFinding("problem", f'meter.source is "gx", but: {err}')] if config.meter.source == "gx" else []


async def _meter(config: Config, watch: Watch) -> list[GxFinding]:
    if config.meter.source != "gx":
        return []
    meter = GxMeter(watch, time.monotonic)
    try:
        info = await meter.identify()
        power_w = (await meter.read()).power_w
    except DeviceError as err:
        return [GxFinding("problem", str(err))]
    direction = "import" if power_w >= 0 else "export"
    return [GxFinding("ok", f"grid {abs(power_w):.0f} W {direction}, read from {info.model}")]


async def _battery(config: Config, watch: Watch) -> list[GxFinding]:
    found: list[GxFinding] = []
    follower = BatteryFollower(State(), watch, time.monotonic)
    try:
        _, battery = await follower.read_battery()
        _, multiplus = await follower.read_multiplus()
    except BusError as err:
        return [GxFinding("problem", f"{err}; look whether that service runs")]
    if battery is not None:
        soc = "unknown" if battery.soc_pct is None else f"{battery.soc_pct:.0f} %"
        found.append(GxFinding("ok", f"battery of the GX: {battery.service}, SoC {soc}"))
    if multiplus is not None and multiplus.ess_target_w is not None:
        found.append(_beside_ess(config.control.target_w, multiplus.ess_target_w))
    return found


def _beside_ess(target_w: float, ess_target_w: float) -> GxFinding:
    both = f"ESS holds the grid at {ess_target_w:.0f} W, this program at {target_w:.0f} W: two regulators on one meter"
    if target_w < ess_target_w:
        return GxFinding(
            "problem",
            f"{both}, and ESS would charge the battery with what the inverters take out of it; "
            f"set control.target_w above {ess_target_w:.0f}, or the grid set-point of ESS below {target_w:.0f}",
        )
    return GxFinding("note", f"{both}; ESS comes first, the inverters stay low while it has power left")
