"""What an OpenDTU can do wrong, from a refused connection to another firmware under the same address."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from opendtu_dcload.sim.plant.house import SimInverter
from opendtu_dcload.sim.runs.played import PASSWORD
from opendtu_dcload.sim.servers.http_server import Faults
from opendtu_dcload.sim.servers.latency import Latency
from tests.faults.fault import FaultStage
from tests.plays.lie import LOAD_W, MOST_WH, Lie

LOST = "DTU lost"
STEPS = ((5.0, 150.0), (65.0, 500.0), (125.0, 250.0), (185.0, 400.0))
"""(s, W): what the house does meanwhile."""
STRANGER = "1144b0000009"
CROWD = 40
"""Of half a second each; with a lost one some more."""
REFUSED = "refuses the password"

Act = Callable[[FaultStage], None]


def _answer(faults: Faults) -> Act:
    def begin(stage: FaultStage) -> None:
        stage.opendtu.faults = replace(faults)

    return begin


def _heal(stage: FaultStage) -> None:
    stage.opendtu.faults = Faults()


def _cut(stage: FaultStage) -> None:
    stage.program.wire.cut.add(stage.dtu.name)


def _mend(stage: FaultStage) -> None:
    stage.program.wire.cut.discard(stage.dtu.name)


def _set(name: str, value: object) -> Act:
    return lambda stage: setattr(stage.dtu, name, value)


def _take(latency: Latency) -> Act:
    return lambda stage: setattr(stage.opendtu, "latency", latency)


def _reboot(outage_s: float) -> Act:
    return lambda stage: stage.dtu.reboot(outage_s)


def _reboot_in_a_command(stage: FaultStage) -> None:
    stage.house.load_w = [700.0]
    stage.dtu.late_posts = 1
    stage.dtu.reboot(10.0)


def _lose_clock(stage: FaultStage) -> None:
    stage.dtu.clock_set_after_s = 200.0
    stage.dtu.boot()


def _become_old(stage: FaultStage) -> None:
    stage.dtu.reboot(30.0)
    stage.dtu.generation = "old"


def _remove_inverter(stage: FaultStage) -> None:
    """Take an inverter off the DTU's list; the DTU starts anew with that, as if it had been saved and restored."""
    stage.dtu.serials.remove(stage.liar)
    stage.dtu.boot()


def _forget_inverter(stage: FaultStage) -> None:
    stage.dtu.serials.remove(stage.liar)
    stage.dtu.boot()


def _add_inverter(stage: FaultStage) -> None:
    stage.dtu.add(stage.liar)


def _add_stranger(stage: FaultStage) -> None:
    """Add one that nobody listed, and that has no DC yet: each poll of it takes the radio five times as long."""
    model = replace(stage.house.models[0], serial=STRANGER, name="roof")
    stage.house.inverters[STRANGER] = SimInverter(model, random.Random(1))
    stage.house.inverters[STRANGER].set_dc(stage.now_s, on=False)
    stage.dtu.add(STRANGER)


def _crowd(stage: FaultStage) -> None:
    stage.dtu.crowd(stage.liar, CROWD)


_gone = partial(Lie, words=LOST, end=_heal, fallen_load_w=LOAD_W)
"""Nobody can lower an inverter meanwhile: what is looked at is what is said, and how soon it regulates again."""
_slow = partial(Lie, never=LOST, comes_back=False, watched_s=30.0)

DTUS = (
    *(Lie(f"DTU refuses, {family}", family, _cut, _mend, LOST, fallen_load_w=LOAD_W) for family in MOST_WH),
    *(_gone(f"DTU hangs, {family}", family, _answer(Faults(delay_s=600.0))) for family in MOST_WH),
    _gone("DTU hangs in the middle of its answer", "HMS", _answer(Faults(stall=True))),
    _gone("DTU closes the connection", "HMS", _answer(Faults(drop=True))),
    _gone("DTU answers 500", "HMS", _answer(Faults(status=500))),
    _gone("DTU answers null", "HMS", _answer(Faults(body="null"))),
    _gone("DTU answers with a web page", "HMS", _answer(Faults(body="<html></html>"))),
    _gone("DTU's answer has 10 MB", "HMS", _answer(Faults(is_oversize=True))),
    _gone("DTU's answer ends in the middle", "HMS", _answer(Faults(body='{"inverters":[{"serial"'))),
    _gone(
        "DTU answers 429 for a minute",
        "HMS",
        _answer(Faults(status=429)),
        words="",
        lasts_s=60.0,
        back_s=130.0,
        watched_s=160.0,
    ),
    Lie(
        "DTU's password is changed",
        "HMS",
        lambda s: setattr(s.opendtu, "password", "another"),
        lambda s: setattr(s.opendtu, "password", PASSWORD),
        REFUSED,
        fallen_load_w=LOAD_W,
        comes_back=False,
    ),
    *(Lie(f"DTU reboots, {family}", family, _reboot(20.0), fallen_load_w=LOAD_W, lasts_s=60.0) for family in MOST_WH),
    Lie("DTU reboots in the middle of a command", "HMS", _reboot_in_a_command, fallen_load_w=LOAD_W, lasts_s=60.0),
    Lie(
        "DTU has no time of day after its start",
        "HMS",
        _lose_clock,
        words="inverter lost",
        told_s=180.0,
        fallen_load_w=LOAD_W,
        comes_back=False,
    ),
    Lie("DTU comes back with old firmware", "HMS", _become_old, fallen_load_w=LOAD_W, lasts_s=90.0),
    Lie(
        "DTU no longer knows an inverter",
        "HMS",
        _remove_inverter,
        words="is not known to the DTU",
        count=2,
        fallen_load_w=LOAD_W,
        comes_back=False,
    ),
    *(_slow(f"DTU takes 2 s for an answer, {family}", family, _take(Latency(2.0, 0.3))) for family in MOST_WH),
    _slow("a third of the DTU's answers are lost", "HMS", _take(Latency(0.1, 0.4, lost_share=0.33)), never=""),
    *(
        Lie(
            f"DTU's radio has {CROWD} messages of others to send each minute, {family}",
            family,
            _crowd,
            steps=((4.0, 150.0), (64.0, _crowd), (68.0, 500.0), (124.0, _crowd), (128.0, 250.0), (184.0, 400.0)),
            regulates=True,
        )
        for family in MOST_WH
    ),
    *(
        Lie(
            f"DTU gets an inverter that is not listed, {family}",
            family,
            _add_stranger,
            never=f"{LOST}|inverter lost",
            steps=STEPS,
            count=2,
            regulates=True,
        )
        for family in MOST_WH
    ),
    Lie(
        "DTU gets a listed inverter that it did not know",
        "HMS",
        _forget_inverter,
        _add_inverter,
        "is not known to the DTU",
        count=2,
        is_from_start=True,
        load_w=900.0,
        steps=((5.0, 1100.0), (65.0, 950.0), (125.0, 1200.0), (185.0, 1000.0)),  # it feeds 800 W that nobody can lower
        regulates=True,
    ),
    *(
        Lie(f"DTU executes what it is told 2 s late, {family}", family, _set("late_posts", 1000), _set("late_posts", 0))
        for family in MOST_WH
    ),
    Lie(
        "DTU's radio hangs until it boots",
        "HMS",
        _set("radio_hangs", True),
        lambda s: s.dtu.reboot(5.0),
        "inverter lost|unreachable",
        fallen_load_w=LOAD_W,
    ),
)
