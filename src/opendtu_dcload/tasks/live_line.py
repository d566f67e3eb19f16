"""One line per second for a person at a terminal: the grid, each inverter, and why."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from opendtu_dcload.freshness import METER_SHOWN_S, fresh
from opendtu_dcload.model import InverterPlan
from opendtu_dcload.state import State
from opendtu_dcload.venus.services.device import Freshness, reported_of

log = logging.getLogger(__name__)


Source = tuple[str, Freshness]
"""Where an inverter's values come from: the name of its DTU in the state, and the control's rule for which count."""


def live_line(state: State, sources: Mapping[str, Source], now_s: float) -> str:
    """Return the state in one line, with what `sources` give by serial; a value that is not known is a dash."""
    meter, plan = fresh(state.meter, now_s, METER_SHOWN_S), state.plan_at(now_s)
    parts = [f"grid {meter.power_w:6.0f} W" if meter is not None else "grid      - W"]
    if plan is not None:
        parts += [_inverter(state, sources, inverter, now_s) for inverter in plan.inverters]
        parts.append(plan.words)
    return " | ".join(parts)


def _inverter(state: State, sources: Mapping[str, Source], plan: InverterPlan, now_s: float) -> str:
    known = state.inverters.get(plan.serial)
    name = known.name if known and known.name else plan.serial
    status = reported_of(state, plan.serial, *sources[plan.serial], now_s).status
    output = f"{status.ac_power_w:.0f}" if status and status.ac_power_w is not None else "-"
    told = f"set {plan.limit_w:.0f}" if plan.is_on else "off"
    return f"{name} {output} W ({told}{', ' + plan.note if plan.note else ''})"


async def print_live(state: State, sources: Mapping[str, Source], clock: Callable[[], float]) -> None:
    """Print one line per second until nobody reads it any more."""
    while True:
        await asyncio.sleep(1.0)
        try:
            print(live_line(state, sources, clock()))
        except OSError as err:
            log.info("the live line ends, regulation goes on: %s", err.strerror)
            return
