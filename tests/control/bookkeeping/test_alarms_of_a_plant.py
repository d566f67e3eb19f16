"""Alarms of the real controller in a simulated house: none in normal work, one for what is really wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest

from opendtu_dcload.control.bookkeeping.alarms import CLEAR_S, TRIAL_S, Alarms, Watched
from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import Alarm, Reason
from opendtu_dcload.sim.bench.cases import CASES
from opendtu_dcload.sim.runs.trace import load_trace
from opendtu_dcload.state import State
from tests.control.plant import Plant, make_plant, models_of

SETTINGS = Settings(max_feed_in_w=1200.0, min_voltage_v=40.0, dtus={"opendtu": DtuSettings()})


@dataclass
class WatchedPlant:
    plant: Plant
    up: tuple[Alarm, ...] = ()
    raised: Counter[str] = field(default_factory=Counter)
    reasons: set[Reason] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.state = State()
        self.alarms = Alarms(SETTINGS, tuple(Watched(s, "opendtu") for s in self.plant.house.inverters), 0.0)

    def until(self, until_s: float) -> set[str]:
        while self.plant.now_s < until_s:
            seen = self.plant.run.advance_second()
            if seen.meter is not None:
                self.state.set_meter(seen.meter)
            for name, dtu in seen.dtus.items():
                self.state.set_dtu(name, dtu)
                self.state.set_inverters(name, dict(seen.inverters))
                self.state.set_limits(name, dict(seen.limits))
            assert self.plant.controller.decision is not None
            self.state.set_plan(self.plant.controller.decision.plan)
            self.reasons.add(self.plant.controller.decision.plan.reason)
            before, self.up = self.up, self.alarms.update(self.state, self.plant.now_s)
            self.raised.update(alarm.text for alarm in self.up if alarm not in before)
        return {alarm.text for alarm in self.up}


def evening() -> list[float]:
    """Two measured hours with a hob."""
    return load_trace("ukdale_h3_2013-03-30_45000")


def calm_house(seconds: int) -> list[float]:
    return [300 + 300 * (t % 900 > 450) for t in range(seconds)]


@pytest.mark.long
@pytest.mark.parametrize("prefix", [pytest.param("1124", id="HMS"), pytest.param("1121", id="HM")])
def test_two_measured_hours_with_a_lossy_radio_raise_none(prefix: str) -> None:
    scene = WatchedPlant(make_plant(evening(), models_of(prefix=prefix), settings=SETTINGS, loss=0.1))
    scene.until(7200)
    assert scene.raised == {}


@pytest.mark.long
@pytest.mark.parametrize("prefix", [pytest.param("1124", id="HMS"), pytest.param("1121", id="HM")])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_plant_that_follows_ramps_of_the_load_does_not_doubt_its_meter(prefix: str, seed: int) -> None:
    ramps_w = CASES["ramps"].load_w(seed)
    scene = WatchedPlant(make_plant(ramps_w, models_of(prefix=prefix), settings=SETTINGS, seed=seed))
    scene.until(len(ramps_w))
    assert not scene.reasons & {Reason.METER_BLIND, Reason.METER_REVERSED}


def test_a_meter_that_does_not_see_the_inverters_is_one_alarm_although_the_plant_tries_again_and_again() -> None:
    scene = WatchedPlant(make_plant(calm_house(3600), settings=SETTINGS, is_warm=True))
    scene.until(300)
    scene.plant.run.meter.sees_inverters = False
    assert scene.until(1400) == {"Meter does not see the inverters"}
    scene.plant.run.meter.sees_inverters = True
    assert scene.until(1400 + 2 * TRIAL_S) == set()
    assert scene.raised == {"Meter does not see the inverters": 1}


def test_meter_dtu_and_an_inverter_that_vanish_and_return_are_one_alarm_each() -> None:
    scene = WatchedPlant(make_plant(calm_house(5400), settings=SETTINGS, is_warm=True))
    run = scene.plant.run
    scene.until(300)
    run.has_meter = False
    assert scene.until(900) == {"Meter lost"}
    run.has_meter = True
    assert scene.until(1500) == set()
    run.silent.add("opendtu")
    assert scene.until(2100) == {"DTU lost"}
    run.silent.clear()
    assert scene.until(2700) == set()
    serial, inverter = next(iter(scene.plant.house.inverters.items()))
    inverter.set_dc(scene.plant.now_s, on=False)
    assert scene.until(3300) == {f"Inverter lost: {serial}"}
    inverter.set_dc(scene.plant.now_s, on=True)
    assert scene.until(3300 + 300 + CLEAR_S) == set()
    assert scene.raised == {"Meter lost": 1, "DTU lost": 1, f"Inverter lost: {serial}": 1}
