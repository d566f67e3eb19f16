"""What can go wrong with what an OpenDTU pushes, while it answers what it is asked: nobody may notice."""

from __future__ import annotations

from functools import partial

from opendtu_dcload.sim.servers.opendtu_push import PushFaults
from tests.faults.fault import FaultStage
from tests.plays.lie import MOST_WH, Act, Lie


def _push(faults: PushFaults) -> Act:
    return lambda stage: setattr(stage.opendtu.push, "faults", faults)


def _reboot(stage: FaultStage) -> None:
    """Restart quickly: the websocket hangs, and what is asked is answered again."""
    stage.dtu.reboot(1.0)


_unnoticed = partial(Lie, end=_push(PushFaults()), never="DTU|inverter", regulates=True)

PUSHES = tuple(
    row
    for family in MOST_WH
    for row in (
        _unnoticed(f"DTU's websocket hangs open, {family}", family, _push(PushFaults(is_silent=True))),
        _unnoticed(f"DTU's websocket closes at once, {family}", family, _push(PushFaults(closes=True))),
        _unnoticed(f"DTU's frames are without inverters, {family}", family, _push(PushFaults(has_no_inverters=True))),
        _unnoticed(f"DTU's frames repeat the same values, {family}", family, _push(PushFaults(is_stuck=True))),
        Lie(f"DTU reboots under its websocket, {family}", family, _reboot, never="DTU lost", regulates=True),
    )
)
