"""Meter and DTU away together, as when a switch or an access point fails; for an hour."""

from __future__ import annotations

from functools import partial

from opendtu_dcload.sim.runs.played import METER
from opendtu_dcload.sim.servers.http_server import Faults
from tests.faults.fault import FaultStage
from tests.plays.lie import LOAD_W, MOST_WH, Lie

HOUR_S = 3600.0
LATER_LOAD_W = 300.0
AWAY = "meter lost"


def _refuse(stage: FaultStage) -> None:
    stage.program.wire.cut |= {METER, stage.dtu.name}


def _forget(stage: FaultStage) -> None:
    stage.program.wire.unresolved |= {METER, stage.dtu.name}


def _hang(stage: FaultStage) -> None:
    stage.program.meter.faults = Faults(delay_s=HOUR_S)
    stage.opendtu.faults = Faults(delay_s=HOUR_S)


def _mend(stage: FaultStage) -> None:
    stage.program.wire.cut.clear()
    stage.program.wire.unresolved.clear()
    stage.program.meter.faults = Faults()
    stage.opendtu.faults = Faults()
    stage.house.load_w = [LATER_LOAD_W]


_hour = partial(Lie, end=_mend, words=AWAY, lasts_s=HOUR_S, fallen_load_w=LOAD_W)
"""Nobody can command anything meanwhile: what is looked at is what is said, and how soon it regulates again."""

NETWORKS = (
    *(_hour(f"network down for an hour, addresses refuse, {family}", family, _refuse) for family in MOST_WH),
    *(_hour(f"network down for an hour, no name is resolved, {family}", family, _forget) for family in MOST_WH),
    *(_hour(f"network down for an hour, everything hangs, {family}", family, _hang) for family in MOST_WH),
)
