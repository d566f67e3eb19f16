"""What can be commanded now: which inverters can move how far, how soon, and at what price."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from opendtu_dcload.control.commands.command_budget import Budget
from opendtu_dcload.control.inverter.dead_time import WINDOW_S
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.regulation.dispatch import Headroom, in_turn
from opendtu_dcload.control.regulation.regulator import AvailableMoves, Move

SHOWN_S = 1.0
"""From the end of the dead time until most of a change has come out, less the age of the reading: an estimate."""


def available_moves_of(
    now_s: float,
    headrooms: Sequence[Headroom],
    trackers: Mapping[str, InverterTracker],
    radio_free_s: Mapping[str, float],
    budgets: Mapping[str, Budget],
) -> AvailableMoves:
    """Return the commands in the order in which `dispatch` would use them, those that cannot be given now last."""

    def moves(headrooms: Sequence[Headroom], *, up: bool) -> list[Move]:
        free_s = dict(radio_free_s)
        found: list[Move] = []
        for headroom in headrooms:
            unit = trackers[headroom.serial].unit
            starts_s = max(free_s.get(unit.radio, now_s), now_s)
            free_s[unit.radio] = starts_s + WINDOW_S
            budget = budgets[unit.dtu]
            room_w = headroom.maximum_w - headroom.output_w if up else headroom.output_w - headroom.minimum_w
            price_ws = budget.rise_ws(now_s) if up else budget.fall_ws(now_s)
            may_move = headroom.may_rise if up else headroom.may_fall
            lag_s = starts_s - now_s + trackers[headroom.serial].output.dead_time_s + SHOWN_S
            found.append(Move(max(room_w, 0.0), lag_s, price_ws if may_move else math.inf))
        return found

    return AvailableMoves(
        rises=moves(sorted(headrooms, key=lambda s: (not s.may_rise, s.output_w - s.maximum_w)), up=True),
        falls=moves(sorted(headrooms, key=lambda s: (not s.may_fall, *in_turn(s, s.output_w - s.minimum_w))), up=False),
        trim_ws=min((budget.trim_ws(now_s) for budget in budgets.values()), default=math.inf),
    )
