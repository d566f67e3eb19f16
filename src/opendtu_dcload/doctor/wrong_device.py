"""A device that does not answer as it should: is it another one than its section of the configuration says?"""

from __future__ import annotations

import time

import aiohttp

from opendtu_dcload.devices import json_fields
from opendtu_dcload.devices.http import DeviceHttp, Login
from opendtu_dcload.errors import DeviceAnswerError, DeviceAuthError, DeviceError

OPENDTU = "opendtu"
"""The section of an OpenDTU."""
SHELLY = "Shelly"


async def recognised(
    err: DeviceError, section: str, login: Login, session: aiohttp.ClientSession, other: str = SHELLY
) -> DeviceError:
    """Return an error that says which device stands at an address, or `err` when it is the right one or is not known.

    Args:
        err: what came of asking the device.
        section: of the configuration, which holds its address.
        login: what stands in there; no credentials are shown.
        session: opened and closed by the caller.
        other: vendor of what is wanted there if that is no OpenDTU.
    """
    if not isinstance(err, DeviceAnswerError | DeviceAuthError):
        return err
    door = DeviceHttp("device", section, login, session, time.monotonic)
    place = f"{section}.host = {login.host}"
    if section == OPENDTU and (model := await _shelly_model(door)):
        return DeviceAnswerError(f"{place} is a Shelly ({model}), not an OpenDTU: {_swapped(SHELLY)}")
    if section != OPENDTU and await _is_opendtu(door):
        return DeviceAnswerError(f"{place} is an OpenDTU, not a {other}: {_swapped(other)}")
    return err


def _swapped(other: str) -> str:
    return f"correct it, the addresses of {other} and OpenDTU may be swapped"


async def _shelly_model(door: DeviceHttp) -> str:
    """Return the model of a Shelly, which tells it to everybody; empty when it is none."""
    try:
        about = await door.get("/shelly", is_open=True)
    except DeviceError:
        return ""
    return json_fields.text(about, "model") or json_fields.text(about, "type")


async def _is_opendtu(door: DeviceHttp) -> bool:
    try:
        status = await door.get("/api/system/status", is_open=True)
    except DeviceError:  # also a refusal: anything may ask for a password, and a locked Shelly does so at every path
        return False
    return bool(json_fields.text(status, "git_hash"))
