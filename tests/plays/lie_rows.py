"""The lies of meter, OpenDTU and inverters, one a row."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from tests.plays.lie import BACK_S, HELD_W, LOAD_W, MOST_WH, OLDER_W, Lie, LieStage


def _set_inverter(name: str, value: object) -> Callable[[LieStage], None]:
    return lambda stage: stage.set_inverter(name, value)


def _set_dtu(name: str, value: object) -> Callable[[LieStage], None]:
    return lambda stage: setattr(stage.dtu, name, value)


def _freeze(stage: LieStage, power_w: float) -> None:
    stage.meter.frozen_w, stage.meter.is_frozen = power_w, True


def _freeze_power(stage: LieStage, power_w: float) -> None:
    stage.meter.frozen_w, stage.meter.is_power_frozen = power_w, True


def _thaw(stage: LieStage) -> None:
    stage.meter.is_frozen = stage.meter.is_power_frozen = False


def _set_meter(name: str, value: object) -> Callable[[LieStage], None]:
    return lambda stage: setattr(stage.meter, name, value)


def _forget_model(stage: LieStage) -> None:
    for serial, believed in stage.dtu.believed.items():
        stage.dtu.unknown_models.add(serial)
        believed.rated_w = believed.limit_pct = 0.0


def _let_older_limit_rule(stage: LieStage) -> None:
    stage.house.inverters[stage.liar].impose(OLDER_W)


def _read_back(stage: LieStage, shown_pct: float) -> None:
    """The battery is low, so that the inverters go off, are told nothing more and are asked for their limit."""
    stage.house.battery.empty_v = stage.house.battery.full_v = 39.0
    for inverter in stage.house.inverters.values():
        inverter.reads_back_pct = shown_pct


def _give_battery_back(stage: LieStage) -> None:
    stage.house.battery.empty_v, stage.house.battery.full_v = 48.0, 54.0


LOST = "unreachable inverter feeds in: the others make room|inverter lost"
NO_DATA = f"{LOST}|no fresh data"
FROZEN = "meter frozen"
HELD = "output held by something else"
NO_EFFECT = "OpenDTU takes commands without effect"
NOT_CONFIRMED = "inverter does not confirm its limit"
DISOBEYS = "inverter gives more than it is told"
UNKNOWN_MODEL = "OpenDTU does not know this model"
FOREIGN = "another controller"
BLAMES_METER = f"{FROZEN}|meter does not see"
SOON_S = 50.0
"""30 s, and what it takes until a command is due after the beginning."""
_lost = partial(Lie, begin=_set_inverter("is_in_reach", False), end=_set_inverter("is_in_reach", True))
_held = partial(
    Lie,
    begin=_set_inverter("held_w", HELD_W),
    end=_set_inverter("held_w", math.inf),
    words=HELD,
    told_s=SOON_S,
    back_s=BACK_S + 20.0,  # it hears its limit anew once a minute
)
_pending = partial(
    Lie, begin=_set_dtu("withholds_limits", True), end=_set_dtu("withholds_limits", False), told_s=SOON_S
)
_told_all = partial(Lie, family="HMS", end=_give_battery_back, never=FOREIGN, count=2, lasts_s=420.0, watched_s=420.0)
LIES = (
    *(
        _lost(f"lost inverter, {count} x {family}-800", family, words=LOST, count=count)
        for family in MOST_WH
        for count in (2, 3)
    ),
    *(
        _lost(f"lost inverter, steady load, {count} x {family}-800", family, words=NO_DATA, count=count, load_w=600.0,
              fallen_load_w=600.0)
        for family in MOST_WH
        for count in (2, 3)
    ),
    *(
        Lie(f"meter frozen at {power_w:+.0f} W, {family}-800", family, partial(_freeze, power_w=power_w), _thaw, FROZEN)
        for family in MOST_WH
        for power_w in (0.0, 20.0, 150.0, 400.0, -88.0)
    ),
    *(
        Lie(f"power alone frozen at {power_w:+.0f} W, {family}-800", family, partial(_freeze_power, power_w=power_w),
            _thaw, BLAMES_METER)
        for family in MOST_WH
        for power_w in (150.0, 400.0)
    ),
    *(_held(f"output held, {family}-800", family, never=BLAMES_METER) for family in MOST_WH),
    *(
        _held(f"output held, steady load, {family}-800", family, never=BLAMES_METER, fallen_load_w=LOAD_W)
        for family in MOST_WH
    ),
    Lie("older limit rules, HMS-800", "HMS", _let_older_limit_rule, never=FOREIGN, fallen_load_w=LOAD_W,
        is_from_start=True, lasts_s=60.0),
    _told_all("read-back of 100 %, 2 x HMS-800", begin=partial(_read_back, shown_pct=100.0), comes_back=False),
    _told_all("read-back of 0.1 %, 2 x HMS-800", begin=partial(_read_back, shown_pct=0.1), comes_back=False),
    Lie("commands disabled, HMS-800", "HMS", _set_dtu("commands_enabled", False), _set_dtu("commands_enabled", True),
        NO_EFFECT, told_s=SOON_S + 25.0),
    *(_pending(f"pending for ever, {family}-800", family, words=NOT_CONFIRMED) for family in MOST_WH),
    Lie("never acknowledged, 2 x HMS-800", "HMS", _set_inverter("is_deaf", True), _set_inverter("is_deaf", False),
        NOT_CONFIRMED, count=2, told_s=SOON_S),
    Lie("acknowledged and not obeyed, 2 x HMS-800", "HMS", _set_inverter("obeys", False), _set_inverter("obeys", True),
        DISOBEYS, count=2, back_s=BACK_S + 20.0, told_s=110.0),  # it hears its limit anew once a minute
    Lie("max_power 0, HMS-800", "HMS", _forget_model, lambda stage: stage.dtu.unknown_models.clear(), UNKNOWN_MODEL,
        is_from_start=True, regulates=True),
    Lie("no lie: new values each 10 s, HMS-800", "HMS", _set_meter("refresh_s", 10.0), never=BLAMES_METER,
        is_from_start=True, regulates=True),
    Lie("no lie: whole watts and nothing else, HMS-800", "HMS", _set_meter("tells_only_watts", True),
        never=BLAMES_METER, is_from_start=True, regulates=True),
)  # fmt: skip
