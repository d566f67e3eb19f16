"""The inverters that a DTU knows, as blocks for the configuration."""

from __future__ import annotations

import json
import logging

from opendtu_dcload.config import DEFAULT_DTU, OpenDtuConfig
from opendtu_dcload.devices.opendtu.opendtu_client import KnownInverter
from opendtu_dcload.state import State
from opendtu_dcload.tasks.poll_dtu import DtuPoller

log = logging.getLogger(__name__)


def inverter_blocks(known: tuple[KnownInverter, ...], dtu: OpenDtuConfig) -> str:
    """Return the `[[inverter]]` blocks of what a DTU knows, ready to paste."""
    belongs = "" if dtu.name == DEFAULT_DTU else f"opendtu = {json.dumps(dtu.name, ensure_ascii=False)}\n"
    return "\n".join(f'[[inverter]]\n{belongs}serial = "{inverter.serial}"  # {inverter.name}' for inverter in known)


async def offer_inverters(dtu: OpenDtuConfig, poller: DtuPoller, state: State) -> None:
    """Log once what `dtu` knows, as soon as it has told."""
    with state.listen() as changed:
        while poller.known is None:
            await changed.wait()
            changed.clear()
    blocks = inverter_blocks(poller.known, dtu) or "none: add them there first"
    log.info("no inverter is listed, so nothing is set. The %s knows these:\n%s", dtu.label, blocks)
