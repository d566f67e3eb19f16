"""The D-Bus: is it there, are our names free, may we take them, and who else is on it?"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from opendtu_dcload.config import Config
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.errors import BusError, ConfigError
from opendtu_dcload.model import MeterInfo
from opendtu_dcload.venus.bus.bus_address import resolve
from opendtu_dcload.venus.bus.connection import Connection, connected
from opendtu_dcload.venus.gx.service_watch import PREFIX, ServiceWatch

OUR_INVERTERS = f"{PREFIX}.dcload.opendtu_"
ORIGINALS = (f"{PREFIX}.dcload.http_", f"{PREFIX}.acload.http_")
"""The names of the original's services."""
VENUS = {"system": "what the GX knows of the whole system", "settings": "device instances and names that last"}

_NOT_A_GX = "on a GX restart it; anywhere else this is as it should be"


async def check_bus(config: Config, meter: MeterInfo | None, findings: Findings) -> bool | None:
    """Look at the bus; return whether this program runs already, None when that cannot be told.

    Args:
        config: all settings.
        meter: what it says of itself, None when it did not answer.
        findings: takes what was found.
    """
    if not config.dbus.enabled:
        findings.note("nothing is shown on a D-Bus, dbus.enabled is false")
        return None
    try:
        async with looking(config) as (connection, watch):
            findings.ok(f"D-Bus {connection.address} answers")
            is_running = _check_names(config, meter, watch.names or frozenset(), findings)
            if not is_running:
                await _check_policy(connection, findings)
    except (BusError, ConfigError) as err:
        findings.problem(str(err), "start it, or set dbus.enabled = false where there is no Venus OS")
        return None
    return is_running


async def running_names(config: Config) -> frozenset[str]:
    """Return the names of this program's inverters that are on the bus; none when there is no bus to ask."""
    if not config.dbus.enabled:
        return frozenset()
    try:
        async with looking(config) as (_, watch):
            return frozenset(name for name in watch.names or () if name.startswith(OUR_INVERTERS))
    except BusError:
        return frozenset()


@contextlib.asynccontextmanager
async def looking(config: Config) -> AsyncIterator[tuple[Connection, ServiceWatch]]:
    """Yield a connection to the bus, and who is on it.

    Raises:
        BusError: the bus does not answer.
        ConfigError: `dbus.bus` names no usable address.
    """
    address = resolve(config.dbus.bus)
    watch = ServiceWatch(address)
    async with connected(address) as connection:
        await watch.start(connection)
        yield connection, watch


def _check_names(config: Config, meter: MeterInfo | None, names: frozenset[str], findings: Findings) -> bool:
    wanted = {f"{OUR_INVERTERS}{inverter.serial}" for inverter in config.inverters}
    if meter is not None:
        wanted |= {f"{PREFIX}.{role}.{meter.uid}" for role in ("acload", "grid")}  # the GX's menu may say so
    if taken := sorted(wanted & names):
        findings.note(f"this program runs already ({', '.join(taken)})", "do not start it twice")
    else:
        findings.ok("all names are free")
    if originals := sorted(name for name in names if name.startswith(ORIGINALS)):
        findings.problem(
            f"the original dbus-opendtu runs ({', '.join(originals)})",
            "stop it with its uninstall.sh (or svc -d /service/dbus-opendtu): two controllers work against each other",
        )
    for service, use in VENUS.items():
        if f"{PREFIX}.{service}" in names:
            findings.ok(f"{PREFIX}.{service} is there")
        else:
            findings.note(f"{PREFIX}.{service} ({use}) is not on this bus", _NOT_A_GX)
    return bool(taken)


async def _check_policy(connection: Connection, findings: Findings) -> None:
    try:  # every name of ours begins with it, and nobody owns it as such
        await connection.request_name(PREFIX)
    except BusError as err:
        findings.problem(
            f"this user may not take names on the bus ({err})",
            "install the policy file that comes with the program in /etc/dbus-1/system.d",
        )
    else:
        findings.ok("this user may take names on the bus")
