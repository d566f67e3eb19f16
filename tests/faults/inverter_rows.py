"""Faults of radio and inverters, and what people do to them, one a row; what the lies play is not repeated here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from tests.plays.lie import MOST_WH, Act, Lie, LieStage
from tests.plays.lie_rows import DISOBEYS, FOREIGN, LOST, NO_DATA

STEPS = ((5.0, 150.0), (65.0, 500.0), (125.0, 250.0), (185.0, 400.0))
"""(s, W): what the house does while a fault lasts."""
LATE_STEPS = ((90.0, 300.0), (150.0, 500.0))
BURST = 45
"""Commands of an hour's budget that may be spent at once."""
RELATIVE, RELATIVE_PERSISTENT = 1, 3
BY_HAND_PCT = 75.0
GONE_TOLD_S = 180.0
"""One that keeps nothing from being regulated is an alarm after two minutes without data."""
SOFT_START_S = 300.0
"""HM-300: github.com/lumapu/ahoy/issues/365."""
BLIND = "meter does not see"
REVERSED = "meter sign reversed"


def _inverter(**values: object) -> Act:
    def change(stage: LieStage) -> None:
        for name, value in values.items():
            stage.set_inverter(name, value)

    return change


def _model(**values: float) -> Act:
    """Change how all inverters behave."""

    def change(stage: LieStage) -> None:
        for inverter in stage.house.inverters.values():
            inverter.model = replace(inverter.model, **values)  # type: ignore[arg-type]  # only its numbers change

    return change


def _dtu(name: str, value: object) -> Act:
    return lambda stage: setattr(stage.dtu, name, value)


def _meter(name: str, value: object) -> Act:
    return lambda stage: setattr(stage.meter, name, value)


def _set_dc(stage: LieStage, *, on: bool) -> None:
    stage.house.inverters[stage.liar].set_dc(stage.now_s, on=on)


def _restart(stage: LieStage) -> None:
    stage.house.inverters[stage.liar].restart(stage.now_s)


def _fall_silent(stage: LieStage) -> None:
    """The DTU is set to call nobody unreachable."""
    stage.dtu.reachable_threshold = 10_000
    stage.set_inverter("is_mute", True)


def _stick(stage: LieStage) -> None:
    inverter = stage.house.inverters[stage.liar]
    inverter.impose(inverter.model.rated_w)
    inverter.obeys = False


def _heat(temperature_c: float, held_w: float) -> Act:
    return _inverter(temperature_c=temperature_c, held_w=held_w)


def _on_the_page(act: Callable[[SimDtu, str], None]) -> Act:
    """Do something on OpenDTU's page; it is not counted as ours."""

    def do(stage: LieStage) -> None:
        counted = replace(stage.dtu.counters)
        act(stage.dtu, stage.liar)
        stage.dtu.counters = counted

    return do


def _set_limit(limit_type: int) -> Act:
    return _on_the_page(lambda dtu, serial: SimDtu.post_limit(dtu, serial, limit_type, BY_HAND_PCT))


def _every(period_s: float, act: Act, until_s: float) -> tuple[tuple[float, float | Act], ...]:
    """Return the load's steps with something that is done again and again meanwhile."""
    times = int(until_s / period_s)
    steps: list[tuple[float, float | Act]] = [*STEPS, *((period_s * number, act) for number in range(1, times))]
    return tuple(sorted(steps, key=lambda step: step[0]))


_row = partial(Lie, steps=STEPS)
_blind = partial(_row, begin=_meter("sees_inverters", False), end=_meter("sees_inverters", True), words=BLIND,
                 comes_back=False)  # fmt: skip
RADIO = (
    *(
        _row(f"30 % of the packets lost, 2 x {family}-800", family, _dtu("loss", 0.3), _dtu("loss", 0.02), count=2,
             regulates=True)
        for family in MOST_WH
    ),
    *(
        _row(f"only inverter unreachable and feeding, {family}-800", family, _inverter(is_in_reach=False),
             _inverter(is_in_reach=True), f"{LOST}|{NO_DATA}")
        for family in MOST_WH
    ),
    *(
        _row(f"unreachable and off, 2 x {family}-800", family, partial(_set_dc, on=False), partial(_set_dc, on=True),
             "inverter lost", count=2, regulates=True, told_s=GONE_TOLD_S)
        for family in MOST_WH
    ),
    *(
        _row(f"no new data and called reachable, 2 x {family}-800", family, _fall_silent, _inverter(is_mute=False),
             "inverter lost", count=2, regulates=True, told_s=GONE_TOLD_S)
        for family in MOST_WH
    ),
)  # fmt: skip
INVERTERS = (
    *(
        _row(f"limit lost in a restart, {family}-800", family, _restart, regulates=True, model={"power_on_wait_s": 5.0})
        for family in MOST_WH
    ),
    Lie("persistent limit back after 5 minutes, HMS-800", "HMS", _inverter(), regulates=True, lasts_s=1500.0,
        fallen_load_w=200.0, model={"falls_back_after_s": 300.0}),
    *(
        _row(f"soft start of 5 minutes, {family}-800", family, _restart, regulates=True, lasts_s=480.0,
             steps=(*STEPS, (310.0, 250.0), (360.0, 400.0)), model={"power_on_wait_s": SOFT_START_S})
        for family in MOST_WH
    ),
    *(
        _row(f"output 15 % below the limit, {family}-800", family, _inverter(), is_from_start=True, regulates=True,
             model={"gain": 0.85})
        for family in MOST_WH
    ),
    *(
        _row(f"stops below 60 W, {family}-800", family, _inverter(), is_from_start=True, regulates=True,
             steps=((5.0, 40.0), (65.0, 500.0), (125.0, 30.0), (185.0, 400.0)), lasts_s=480.0,
             model={"stops_below_w": 60.0})
        for family in MOST_WH
    ),
    *(
        _row(f"stuck at full power, 2 x {family}-800", family, _stick, _inverter(obeys=True), DISOBEYS, count=2,
             back_s=120.0, watched_s=150.0)  # it hears its limit anew once a minute
        for family in MOST_WH
    ),
    *(
        _row(f"one input unused, {family}-800", family, _inverter(), is_from_start=True, regulates=True, load_w=300.0,
             steps=((5.0, 150.0), (65.0, 350.0), (125.0, 100.0), (185.0, 300.0)), model={"connected_inputs": 1})
        for family in MOST_WH
    ),
    *(
        _row(f"output swings by 100 W, {family}-800", family, _model(swing_w=100.0), _model(swing_w=0.0),
             regulates=True, near_w=100.0, most_commands=BURST)  # half of it is imported where export counts twice
        for family in MOST_WH
    ),
    *(
        _row(f"dead time of 40 s, {family}-800", family, _inverter(), is_from_start=True, regulates=True,
             model={"dead_time_s": 40.0}, lasts_s=900.0)
        for family in MOST_WH
    ),
    *(
        _row(f"gain drifts, {family}-800", family, _model(gain=0.95), _model(gain=0.985), regulates=True,
             steps=(*STEPS[:2], (95.0, _model(gain=0.9)), *STEPS[2:], (200.0, _model(gain=1.05))))
        for family in MOST_WH
    ),
    *(
        _row(f"derates itself in the heat, 2 x {family}-800", family, _heat(70.0, 300.0), _heat(30.0, math.inf),
             steps=((5.0, 600.0), (65.0, _heat(85.0, 150.0)), (70.0, 300.0), (130.0, 700.0)), count=2, regulates=True)
        for family in MOST_WH
    ),
)  # fmt: skip
PEOPLE = (
    *(
        _row(f"one limit by hand, {family}-800", family, _set_limit(RELATIVE), regulates=True) for family in MOST_WH
    ),
    *(
        _row(f"a limit by hand each minute, {family}-800", family, _set_limit(RELATIVE), words=FOREIGN,
             steps=_every(60.0, _set_limit(RELATIVE), 280.0), told_s=240.0)  # one that is replaced at once is not seen
        for family in MOST_WH
    ),
    *(
        _row(f"a limit by hand every 20 s, {family}-800", family, _set_limit(RELATIVE), words=FOREIGN,
             steps=_every(20.0, _set_limit(RELATIVE), 280.0), most_commands=BURST)
        for family in MOST_WH
    ),
    *(
        _row(f"a persistent limit by hand, and a restart, {family}-800", family, _set_limit(RELATIVE_PERSISTENT),
             regulates=True, steps=(*STEPS[:2], (95.0, _restart), *STEPS[2:]), model={"power_on_wait_s": 5.0})
        for family in MOST_WH
    ),
    *(
        _row(f"inverter switched off by hand, 2 x {family}-800", family,
             _on_the_page(lambda dtu, serial: dtu.post_power(serial, on=False)),
             _on_the_page(lambda dtu, serial: dtu.post_power(serial, on=True)), count=2, regulates=True)
        for family in MOST_WH
    ),
    *(
        _row(f"clamp turned round, {family}-800", family, _meter("sign", -1), _meter("sign", 1), REVERSED,
             comes_back=False, steps=((90.0, 300.0), (280.0, 500.0)), lasts_s=360.0, told_s=260.0)  # right until 90 s
        for family in MOST_WH
    ),
    *(
        _blind(f"clamp does not see the inverters, {family}-800", family, steps=LATE_STEPS)
        for family in MOST_WH
    ),
    _blind("clamp does not see the inverters, the load falls with their rise, HMS-800", "HMS", not_kept=(
        "a fall of the load within seconds of our rise looks like the meter's answer, and an answer at the ceiling is "
        "believed for an hour"
    )),
    *(
        _row(f"guests: 50 W and 3 kW, {family}-800", family, _inverter(), regulates=True,
             steps=((5.0, 50.0), (35.0, 3000.0), (65.0, 50.0), (95.0, 3000.0), (125.0, 50.0), (155.0, 400.0)))
        for family in MOST_WH
    ),
)  # fmt: skip
INVERTER: tuple[Lie, ...] = (*RADIO, *INVERTERS, *PEOPLE)
