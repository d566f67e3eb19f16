"""The relay: is there one, does it answer, and does it stay off after a power cut?"""

from __future__ import annotations

import aiohttp

from opendtu_dcload.config import Config
from opendtu_dcload.devices.shelly.shelly_relay import ShellyRelay
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.wrong_device import recognised
from opendtu_dcload.errors import ConfigError, DeviceError

NO_RELAY = "if this program or its computer dies, the inverters keep their last limit"
PROTECTION = (
    "a relay ([relay]) would drop them; without it a low persistent limit, set once by hand in OpenDTU, is the only "
    "protection (this program never sends one)"
)


async def check_relay(config: Config, session: aiohttp.ClientSession, findings: Findings) -> None:
    """Look at the relay, or say what one would be good for."""
    if config.relay is None:
        findings.note(NO_RELAY, PROTECTION)
        return
    relay = ShellyRelay(config.relay, config.relay.output, session)
    try:
        model, status = await relay.verify(), await relay.read()
    except ConfigError as err:
        findings.error(err)
    except DeviceError as err:
        findings.error(await recognised(err, "relay", config.relay, session))
    else:
        findings.ok(f"relay {model} stays off after a power cut; it is {'on' if status.is_on else 'off'} now")
