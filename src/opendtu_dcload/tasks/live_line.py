"""One line per second for a person at a terminal: the grid, each inverter, and why."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from opendtu_dcload.freshness import METER_SHOWN_S, fresh
from opendtu_dcload.model import InverterPlan
from opendtu_dcload.state import State

log = logging.getLogger(__name__)


def live_line(state: State, now_s: float) -> str:
    """Return the state in one line; a value that is not known is a dash."""
    meter, plan = fresh(state.meter, now_s, METER_SHOWN_S), state.plan_at(now_s)
    parts = [f"grid {meter.power_w:6.0f} W" if meter is not None else "grid      - W"]
    if plan is not None:
        parts += [_inverter(state, inverter) for inverter in plan.inverters]
        parts.append(plan.words)
    return " | ".join(parts)


def _inverter(state: State, plan: InverterPlan) -> str:
    status = state.inverters.get(plan.serial)
    name = status.name if status and status.name else plan.serial
    output = f"{status.ac_power_w:.0f}" if status and status.ac_power_w is not None else "-"
    told = f"set {plan.limit_w:.0f}" if plan.is_on else "off"
    return f"{name} {output} W ({told}{', ' + plan.note if plan.note else ''})"


async def print_live(state: State, clock: Callable[[], float]) -> None:
    """Print one line per second until nobody reads it any more."""
    while True:
        await asyncio.sleep(1.0)
        try:
            print(live_line(state, clock()))
        except OSError as err:
            log.info("the live line ends, regulation goes on: %s", err.strerror)
            return
