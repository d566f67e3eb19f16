"""A meter is believed only while it moves: asked by a step where it does not, and never for a quiet house alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest

from opendtu_dcload.control.protection.meter_movement import AGAIN_S, MeterMovement, MovementVerdict, Output
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import MeterReading, PhaseReading, Reason
from opendtu_dcload.sim.plant.house import InverterModel
from opendtu_dcload.sim.runs.trace import load_trace
from tests.control.plant import Plant, make_plant, models_of

# ---- pure


class AskedMeter:
    """An answer each second to a plant that gives what it is told."""

    def __init__(self, changes_s: float = 1.0) -> None:
        self.movement = MeterMovement()
        self.changes_s = changes_s
        self.at_s = 0
        self.output_w = 300.0
        self.shifted_w = 0.0
        self.power_w = 20.0
        self.is_frozen = False
        self._frequency_hz = 50.0

    def output(self) -> Output:
        output_w = self.output_w
        return Output(
            (output_w, output_w), output_w, (self.shifted_w, self.shifted_w), output_w, self.at_s, is_settled=True
        )

    def reading(self) -> MeterReading:
        return MeterReading(self.at_s, self.power_w, frequency_hz=self._frequency_hz)

    def run(self, seconds: int) -> MovementVerdict | None:
        verdict = None
        for _ in range(seconds):
            self.at_s += 1
            if not self.is_frozen and self.at_s % self.changes_s == 0:
                self._frequency_hz = 50.0 + 0.01 * (self.at_s % 7)
            verdict = self.movement.add_reading(self.reading(), self.output()) or verdict
        return verdict

    def ask(self, step_w: float = -200.0, *, is_made: bool = True) -> None:
        self.movement.ask(self.output_w + step_w, self.output(), 40.0)
        if is_made:
            self.output_w += step_w


def frozen(seconds: int = 60) -> AskedMeter:
    meter = AskedMeter()
    meter.run(30)
    meter.is_frozen = True
    meter.run(seconds)
    return meter


def test_a_minute_without_any_change_is_to_be_asked_and_not_less():
    assert not frozen(59).movement.may_ask
    assert frozen(61).movement.may_ask


@pytest.mark.parametrize("seconds", [600, 7200])
def test_a_constant_power_alone_is_never_asked(seconds):
    meter = AskedMeter()
    meter.run(seconds)
    assert not meter.movement.may_ask


def test_a_step_that_was_made_and_not_shown_is_a_verdict_until_anything_changes():
    meter = frozen()
    meter.ask()
    assert meter.run(10) is MovementVerdict.FROZEN
    assert meter.movement.is_frozen
    assert meter.movement.believed_at_s(meter.at_s) < meter.at_s - 60, "its age is that of its last change"
    meter.is_frozen = False
    meter.run(1)
    assert not meter.movement.is_frozen


def test_a_step_that_the_inverters_did_not_make_says_nothing_of_the_meter():
    meter = frozen()
    meter.ask(is_made=False)
    assert meter.run(60) is MovementVerdict.NOT_ASKED
    assert not meter.movement.is_frozen
    assert not meter.movement.may_ask, "only later again"
    meter.run(120)
    assert meter.movement.may_ask


@pytest.mark.parametrize("power_w", [20.0, 220.0])
def test_any_change_answers_a_question_and_the_next_one_comes_no_sooner_than_in_ten_minutes(power_w):
    meter = frozen()
    meter.ask()
    meter.run(1)
    meter.is_frozen, meter.power_w = False, power_w
    assert meter.run(2) is MovementVerdict.ANSWERED
    meter.is_frozen = True
    meter.run(int(AGAIN_S) - 10)
    assert not meter.movement.may_ask
    meter.run(20)
    assert meter.movement.may_ask


@pytest.mark.parametrize("is_frozen", [True, False], ids=["all still", "only the powers still"])
def test_powers_that_are_the_same_after_an_own_step_are_asked_at_once_and_not_acted_on(is_frozen):
    meter = AskedMeter()
    meter.run(30)
    meter.is_frozen = is_frozen
    meter.output_w += 150.0
    meter.run(1)
    assert not meter.movement.may_rise
    meter.run(5)
    assert meter.movement.may_ask
    meter.ask()
    assert meter.run(10) is (MovementVerdict.FROZEN if is_frozen else MovementVerdict.BLIND)


def test_a_model_that_is_corrected_while_the_meter_stands_still_is_no_step_that_it_owes():
    meter = AskedMeter(changes_s=10.0)
    meter.output_w, measured_w = 0.0, meter.output_w
    meter.run(2)
    meter.output_w = meter.shifted_w = measured_w
    meter.movement.add_reading(meter.reading(), replace(meter.output(), measured_at_s=-math.inf))
    assert meter.movement.may_rise
    meter.output_w += 100.0
    meter.run(1)
    assert not meter.movement.may_rise, "but this one it does"


def test_corrections_to_and_fro_hide_no_step_of_ours():
    meter = AskedMeter(changes_s=100.0)
    meter.run(2)
    for second in range(8):
        swing_w = 6.0 if second % 2 else -6.0
        meter.shifted_w += swing_w
        meter.output_w += swing_w + 3.0
        meter.movement.add_reading(meter.reading(), replace(meter.output(), measured_at_s=-math.inf))
    assert not meter.movement.may_rise


@pytest.mark.parametrize("refresh_s", [1, 2, 5, 10, 15])
def test_the_refresh_of_the_meter_is_learned_and_what_lies_between_is_nothing_new(refresh_s):
    meter = AskedMeter(refresh_s)
    meter.run(10 * refresh_s)
    assert meter.movement.refresh_s == refresh_s
    new = []
    for _ in range(10 * refresh_s):
        meter.run(1)
        new.append(meter.movement.is_new)
    assert new.count(True) == 10
    silent_s = refresh_s if refresh_s >= 2 else 0
    assert meter.movement.believed_at_s(meter.at_s) == meter.at_s + silent_s, "its age counts after one refresh"


# ---- the plant


FREEZES_AT_S = 200
FALLS_AFTER_S = 5


def inverters(prefix: str) -> list[InverterModel]:
    slow = {"dead_time_s": 6.0, "time_constant_s": 2.5} if prefix == "1121" else {}
    return models_of(3, prefix, **slow)


def freezing(prefix: str, shown_w: float, seed: int = 1, *, only_power: bool = False, loss: float = 0.0) -> Plant:
    """A plant whose meter has just frozen; 5 s later the house's load falls from 500 to 150 W."""
    load_w = [500.0] * (FREEZES_AT_S + FALLS_AFTER_S) + [150.0]
    plant = make_plant(load_w, inverters(prefix), seed=seed, is_warm=True, loss=loss)
    plant.until(FREEZES_AT_S)
    meter = plant.run.meter
    meter.frozen_w = shown_w
    meter.is_frozen, meter.is_power_frozen = not only_power, only_power
    return plant


def reasons(plant: Plant, until_s: float) -> Iterator[tuple[float, Reason]]:
    while plant.now_s < until_s:
        plant.until(plant.now_s + 1)
        yield plant.now_s, plant.reason


CASES = [(w, 1) for w in (0.0, 20.0, 400.0, -88.0)] + [(150.0, seed) for seed in range(1, 9)]


@pytest.mark.parametrize(("shown_w", "seed"), CASES)
@pytest.mark.parametrize(("prefix", "most_wh"), [("1124", 12.0), ("1121", 18.0)], ids=["HMS", "HM"])
def test_a_frozen_meter_is_told_within_two_minutes_and_exports_little(prefix, most_wh, shown_w, seed):
    plant = freezing(prefix, shown_w, seed)
    before_wh = plant.house.energy.exported_wh
    told_at_s = [at_s for at_s, reason in reasons(plant, FREEZES_AT_S + 280) if reason is Reason.METER_FROZEN]
    assert told_at_s[0] < FREEZES_AT_S + 120
    assert plant.reason is Reason.METER_FROZEN
    assert plant.house.output_w < 70
    assert plant.house.energy.exported_wh - before_wh < most_wh
    thawed_at_s = plant.now_s
    plant.run.meter.is_frozen = False
    back_at_s = [at_s for at_s, reason in reasons(plant, thawed_at_s + 60) if reason is Reason.REGULATING]
    assert back_at_s
    assert abs(plant.house.meter.power_w) < 60
    assert plant.controller.watch.found == {}


@pytest.mark.parametrize("shown_w", [20.0, 150.0, 400.0, -88.0])
@pytest.mark.parametrize("prefix", ["1124", "1121"], ids=["HMS", "HM"])
def test_a_power_that_freezes_while_the_voltage_moves_is_not_tried_again_and_again(prefix, shown_w):
    plant = freezing(prefix, shown_w, only_power=True)
    before_wh = plant.house.energy.exported_wh
    plant.until(FREEZES_AT_S + 1800)
    assert plant.reason is Reason.METER_BLIND
    assert plant.house.energy.exported_wh - before_wh < 12
    plant.run.meter.is_power_frozen = False
    assert [at_s for at_s, reason in reasons(plant, plant.now_s + 60) if reason is Reason.REGULATING]


def test_a_frozen_meter_takes_the_plant_off_after_five_minutes():
    plant = freezing("1124", 0.0)
    plant.until(FREEZES_AT_S + 330)
    assert plant.reason is Reason.METER_FROZEN
    assert plant.house.output_w == 0


def test_inverters_that_do_not_make_the_step_bring_no_verdict_on_the_meter():
    plant = freezing("1124", 0.0)
    for inverter in plant.house.inverters.values():
        inverter.model = replace(inverter.model, dead_time_s=1e6, dead_time_spread=0.0)
    assert Reason.METER_FROZEN not in {reason for _, reason in reasons(plant, FREEZES_AT_S + 200)}
    assert plant.controller.meter.movement.verdict is MovementVerdict.NOT_ASKED


def test_where_no_step_is_possible_nothing_is_asked_or_told():
    settings = Settings(max_feed_in_w=180.0)
    plant = make_plant([120.0], inverters("1124"), settings=settings, is_warm=True)
    plant.until(100)
    plant.run.meter.is_frozen = True
    since_s = plant.now_s
    assert {reason for _, reason in reasons(plant, 500.0)} == {Reason.REGULATING}
    assert [s for s in plant.limits(since_s) if abs(s.limit_w - (s.wanted_w or 0.0)) > 10] == []


@pytest.mark.parametrize("load_w", [150.0, pytest.param(350.0, marks=pytest.mark.long)])
def test_a_meter_of_whole_watts_in_a_quiet_night_is_asked_every_ten_minutes_at_most_and_believed(load_w):
    plant = make_plant([load_w], inverters("1124"), is_warm=True)
    plant.run.meter.tells_only_watts = True
    plant.until(60.0)
    asked, seen = 0, set()
    before_wh = plant.house.energy.waste_wh
    was_asking = False
    for _, reason in reasons(plant, 3600.0):
        is_asking = plant.controller.meter.movement.is_asking
        asked, was_asking = asked + (is_asking and not was_asking), is_asking
        seen.add(reason)
    assert seen == {Reason.REGULATING}
    assert asked <= 6
    assert plant.house.energy.waste_wh - before_wh < 12


@pytest.mark.parametrize(
    "refresh_s", [2.0, 10.0, *(pytest.param(refresh_s, marks=pytest.mark.long) for refresh_s in (5.0, 15.0))]
)
def test_a_meter_that_refreshes_rarely_is_regulated_by_and_not_asked(refresh_s):
    load_w = [300.0 + 300.0 * (t % 600 > 300) for t in range(3600)]
    plant = make_plant(load_w, inverters("1124"), is_warm=True)
    plant.run.meter.refresh_s = refresh_s
    assert {reason for _, reason in reasons(plant, 3600.0)} <= {Reason.REGULATING, Reason.ALL_AT_MINIMUM}
    assert plant.controller.meter.movement.verdict is None
    assert abs(plant.house.meter.power_w) < 30
    assert plant.house.energy.waste_wh < 60


@pytest.mark.long
def test_two_measured_hours_ask_nothing():
    plant = make_plant(load_trace("ukdale_h3_2013-03-30_45000"), is_warm=True)
    plant.until(7200.0)
    assert plant.controller.meter.movement.verdict is None


def test_counters_that_move_alone_do_not_answer_for_a_meter_that_stands_still():
    meter = frozen()
    meter.ask()
    phase = PhaseReading(20.0, voltage_v=230.0, energy_import_wh=100.0)
    told = MeterReading(meter.at_s, 20.0, (phase, None, None))
    meter.movement.add_reading(told, meter.output())  # another answer than before
    meter.ask()
    saved = replace(told, phases=(replace(phase, energy_import_wh=101.0), None, None))
    verdicts = [meter.movement.add_reading(replace(saved, at_s=meter.at_s + s), meter.output()) for s in range(1, 40)]
    assert MovementVerdict.ANSWERED not in verdicts
    moved = replace(saved, at_s=meter.at_s + 40, phases=(replace(phase, voltage_v=230.1), None, None))
    assert meter.movement.is_change(moved)


def test_an_answer_that_was_asked_for_before_the_refresh_tells_nothing_new():
    movement, output = MeterMovement(), AskedMeter().output()
    movement.add_reading(MeterReading(10.0, 300.0, frequency_hz=50.0), output)
    assert movement.is_new
    movement.add_reading(MeterReading(10.95, 300.0, frequency_hz=50.0), output)
    assert not movement.is_new
    movement.add_reading(MeterReading(11.1, 310.0, frequency_hz=50.0), output)
    assert movement.is_new
    movement.add_reading(MeterReading(12.1, 310.0, frequency_hz=50.0), output)
    assert movement.is_new, "a refresh has passed: the house stands still"
