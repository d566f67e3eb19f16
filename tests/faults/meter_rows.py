"""What a meter can do wrong, from a refused connection to another device at its address."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

from opendtu_dcload.sim.runs.played import METER
from opendtu_dcload.sim.servers.http_server import Faults
from opendtu_dcload.sim.servers.latency import Latency
from tests.faults.fault import FaultStage
from tests.plays.lie import MOST_WH, Lie

REVERSED = "meter sign reversed"
MAGNITUDES_WH = 25.0
"""What a meter of magnitudes costs until it is found out: the plant is at its ceiling for a minute, and once more."""
SILENT = "meter lost|meter stale"
STEPS = ((5.0, 150.0), (65.0, 500.0), (125.0, 250.0), (185.0, 400.0))
"""(s, W): what the house does while a meter lies."""
SHOWN = '{"id":0,"a_act_power":%s,"b_act_power":0,"c_act_power":0,"total_act_power":%s}'

Magnitude = Literal["phases", "sum"]
MAGNITUDES: tuple[tuple[str, Magnitude], ...] = (
    ("the sum without a sign", "sum"),
    ("the sum of phases without a sign", "phases"),
)
Act = Callable[[FaultStage], None]


def _answer(faults: Faults) -> Act:
    def begin(stage: FaultStage) -> None:
        stage.program.meter.faults = replace(faults)

    return begin


def _heal(stage: FaultStage) -> None:
    stage.program.meter.faults = Faults()


def _cut(stage: FaultStage) -> None:
    stage.program.wire.cut.add(METER)


def _mend(stage: FaultStage) -> None:
    stage.program.wire.cut.discard(METER)


def _show(name: str, value: object) -> Act:
    return lambda stage: setattr(stage.meter, name, value)


def _be(**attributes: object) -> Act:
    def begin(stage: FaultStage) -> None:
        for name, value in attributes.items():
            setattr(stage.program.meter, name, value)

    return begin


def _take(latency: Latency) -> Act:
    return lambda stage: setattr(stage.program.meter, "latency", latency)


def _show_magnitudes(of: Magnitude) -> Act:
    def begin(stage: FaultStage) -> None:
        meter = stage.meter
        meter.unsigned = of
        first_w, second_w, third_w = meter.phases_w
        meter.phases_w = abs(first_w), abs(second_w), abs(third_w)

    return begin


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def _twice(power_w: float) -> str:
    """Return an answer that names each key twice, with two values."""
    fields = {"id": 0, "a_act_power": power_w, "b_act_power": 0.0, "c_act_power": 0.0, "total_act_power": power_w}
    text = json.dumps(fields)
    return text[:-1] + ", " + json.dumps({**fields, "a_act_power": -power_w, "total_act_power": -power_w})[1:]


_silent = partial(Lie, words=SILENT, end=_heal)
_alive = partial(Lie, never=SILENT, regulates=True, watched_s=30.0, comes_back=False)

METERS = (
    *(Lie(f"meter refuses, {family}", family, _cut, _mend, SILENT) for family in MOST_WH),
    *(_silent(f"meter hangs, {family}", family, _answer(Faults(delay_s=600.0))) for family in MOST_WH),
    _silent("meter hangs in the middle of its answer", "HMS", _answer(Faults(stall=True))),
    _silent("meter closes the connection", "HMS", _answer(Faults(drop=True))),
    _silent("meter answers 500", "HMS", _answer(Faults(status=500))),
    _silent("meter answers 404", "HMS", _answer(Faults(status=404))),
    _silent("meter answers 429", "HMS", _answer(Faults(status=429)), back_s=130.0, watched_s=160.0),
    _silent("meter redirects", "HMS", _answer(Faults(status=302))),
    _silent("meter wants a password that it did not want before", "HMS", _answer(Faults(status=401)), comes_back=False),
    _silent("meter answers with a web page", "HMS", _answer(Faults(body="<html><body>Login</body></html>"))),
    _silent("meter answers null", "HMS", _answer(Faults(body="null"))),
    _silent("meter answers an empty object", "HMS", _answer(Faults(body="{}"))),
    _silent("meter's answer ends in the middle", "HMS", _answer(Faults(body='{"id":0,"total_act_pow'))),
    _silent("meter's answer is nested 100000 deep", "HMS", _answer(Faults(body=_nested(100000)))),
    _silent("meter's answer has 10 MB", "HMS", _answer(Faults(is_oversize=True))),
    _silent("meter shows 1e400 W", "HMS", _answer(Faults(body=SHOWN % ("1e400", "1e400")))),
    _silent("meter shows NaN", "HMS", _answer(Faults(body=SHOWN % ("NaN", "NaN")))),
    _silent("meter shows a megawatt", "HMS", _answer(Faults(body=SHOWN % ("1e6", "1e6")))),
    _silent("meter shows text for numbers", "HMS", _answer(Faults(body=SHOWN % ('"a lot"', '"a lot"')))),
    _silent("meter shows null for numbers", "HMS", _answer(Faults(body=SHOWN % ("null", "null")))),
    Lie("meter names each key twice", "HMS", _answer(Faults(body=_twice(-2000.0))), _heal),
    Lie("meter's chip does not answer", "HMS", _show("is_valid", False), _show("is_valid", True), SILENT),
    *(
        Lie(
            f"meter shows {words}, {family}",
            family,
            _show_magnitudes(of),
            words=REVERSED,
            is_from_start=True,
            comes_back=False,
            steps=STEPS,
            told_s=200.0,
            most_wh=MAGNITUDES_WH,
        )
        for words, of in MAGNITUDES
        for family in MOST_WH
    ),
    _alive("meter's JSON is called a web page", "HMS", _answer(Faults(content_type="text/html")), end=_heal),
    Lie("meter becomes a device of two channels", "HMS", _be(device="pro3em-mono"), _be(device="pro3em"), SILENT),
    Lie("meter becomes another device of the same kind", "HMS", _be(mac="A0DD6C445566"), _be(mac="A0DD6C112233")),
    Lie("meter reboots", "HMS", lambda stage: stage.program.meter.reboot()),
    *(_alive(f"meter takes a second for an answer, {family}", family, _take(Latency(1.0, 0.2))) for family in MOST_WH),
    _alive("half of the meter's answers are lost", "HMS", _take(Latency(0.05, 0.4, lost_share=0.5)), never=""),
    *(
        _alive(f"meter has new values each {refresh_s} s, {family}", family, _show("refresh_s", refresh_s))
        for refresh_s in (2.0, 5.0, 15.0)
        for family in MOST_WH
    ),
    _alive("meter shows whole watts and nothing else", "HMS", _show("tells_only_watts", True)),
)
