from __future__ import annotations

import random

import pytest

from opendtu_dcload.control.protection.meter_response import MeterAnswer, ResponseGuard
from opendtu_dcload.model import Reason


class SteppedHouse:
    """Plays own steps to a guard: a reading each second, the step visible 4 s after it was sent."""

    def __init__(self, answer: float, load_w: float = 2000.0) -> None:
        self.guard = ResponseGuard()
        self.answer = answer
        """1 = the meter moves against our step, 0 = blind, -1 = wrong sign."""
        self.load_w = load_w
        self.output_w = 500.0
        self.drifted_w = 0.0
        self.at_s = 0.0
        self.noise_w = 0.0
        self.rng = random.Random(3)
        self.see(self.output_w, self.output_w)

    def see(self, visible_w: float, committed_w: float) -> MeterAnswer | None:
        self.at_s += 1.0
        noise_w = self.rng.uniform(-self.noise_w, self.noise_w)
        grid_w = self.load_w - self.answer * visible_w + noise_w
        low_w, high_w = sorted((visible_w, committed_w))
        return self.guard.add_reading(self.at_s, grid_w, (low_w, high_w), committed_w, self.drifted_w)

    def show_export(self) -> None:
        """Let the load be away for a reading."""
        load_w, self.load_w = self.load_w, self.answer * self.output_w - 100.0
        self.see(self.output_w, self.output_w)
        self.load_w = load_w
        self.see(self.output_w, self.output_w)

    def step(self, change_w: float, drift_w: float = 0.0) -> MeterAnswer | None:
        """Change the output; `drift_w` is what the house's load does meanwhile."""
        self.guard.stepped()
        before_w, self.output_w = self.output_w, self.output_w + change_w
        for _ in range(4):
            assert self.see(before_w, self.output_w) is None, "nothing is judged before it can be seen"
        self.load_w += drift_w
        return self.see(self.output_w, self.output_w)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(1.0, MeterAnswer.SEEN, id="a correct meter"),
        pytest.param(0.31, MeterAnswer.SEEN, id="30 % are enough: output is not the limit"),
        pytest.param(0.29, MeterAnswer.MISSED, id="less is none"),
        pytest.param(0.0, MeterAnswer.MISSED, id="blind"),
        pytest.param(-0.29, MeterAnswer.MISSED, id="a little the wrong way may be the house"),
        pytest.param(-0.59, MeterAnswer.MISSED, id="more of it may be too: one with the wrong sign shows all"),
        pytest.param(-0.61, MeterAnswer.REVERSED, id="most of a step the wrong way"),
        pytest.param(-1.0, MeterAnswer.REVERSED, id="wrong sign"),
    ],
)
@pytest.mark.parametrize("change_w", [200.0, -200.0])
def test_the_meter_must_move_against_our_step(answer, expected, change_w):
    assert SteppedHouse(answer).step(change_w) is expected


def test_a_step_below_150_w_proves_nothing():
    assert SteppedHouse(0.0).step(140.0) is None


@pytest.mark.parametrize(
    ("trusted", "suspicion"),
    [
        ((True, True), Reason.METER_REVERSED),
        ((False, False), None),
        ((True, False), None),
        ((False, True), None),
    ],
)
def test_steps_of_which_one_proves_nothing_are_no_miss_together(trusted, suspicion):
    house = SteppedHouse(-1.0)
    for change_w in (600.0, -600.0, 600.0):
        for is_trusted in trusted:
            house.guard.stepped(is_trusted=is_trusted)
        before_w, house.output_w = house.output_w, house.output_w + change_w
        house.see(before_w, house.output_w)
        house.see(house.output_w, house.output_w)
    assert house.guard.suspicion is suspicion


def test_a_blind_meter_is_told_after_three_steps():
    house = SteppedHouse(0.0)
    reasons = []
    for change_w in (200.0, -200.0, 200.0):
        house.step(change_w)
        reasons.append(house.guard.suspicion)
    assert reasons == [None, None, Reason.METER_BLIND]


def test_a_reversed_meter_is_told_within_three_steps():
    house = SteppedHouse(-1.0)
    for change_w in (200.0, -200.0, 200.0):
        house.step(change_w)
    assert house.guard.suspicion is Reason.METER_REVERSED


def test_what_the_house_does_before_a_step_can_show_is_not_taken_for_its_answer():
    house = SteppedHouse(1.0)
    house.guard.stepped()
    for _ in range(3):
        house.load_w += 60
        assert house.see(house.output_w, house.output_w) is None
    house.output_w += 200
    assert house.see(house.output_w, house.output_w) is MeterAnswer.SEEN


def test_steps_that_follow_a_ramp_of_the_load_are_not_missed():
    house = SteppedHouse(1.0)
    verdicts = []
    for _ in range(9):
        house.guard.stepped()
        for _ in range(10):
            house.load_w += 6
            verdicts.append(house.see(house.output_w, house.output_w))
        house.output_w += 60
        verdicts.append(house.see(house.output_w, house.output_w))
    assert MeterAnswer.MISSED not in verdicts
    assert MeterAnswer.REVERSED not in verdicts


@pytest.mark.parametrize(
    ("answer", "drift_w", "expected"),
    [
        pytest.param(1.0, 8.0, None, id="the plant follows it, so the meter stands still"),
        pytest.param(0.0, 8.0, None, id="of a blind meter the same is seen"),
        pytest.param(0.0, 0.0, MeterAnswer.MISSED, id="no drift, no excuse"),
        pytest.param(0.0, -8.0, MeterAnswer.MISSED, id="nor is the other way one"),
    ],
)
def test_what_a_drift_of_the_load_may_have_hidden_is_no_miss_and_no_answer(answer, drift_w, expected):
    house = SteppedHouse(answer)
    verdicts = []
    for _ in range(20):
        house.guard.stepped()
        house.load_w += 8.0 if answer else 0.0
        house.drifted_w += drift_w
        house.output_w += 8.0
        verdicts.append(house.see(house.output_w, house.output_w))
    assert {v for v in verdicts if v is not None} == ({expected} if expected else set())


def test_one_movement_the_same_way_may_be_the_house():
    house = SteppedHouse(1.0)
    assert house.step(200.0, drift_w=400.0) is MeterAnswer.REVERSED
    assert house.guard.suspicion is None
    assert house.step(200.0) is MeterAnswer.SEEN
    assert house.step(200.0, drift_w=400.0) is MeterAnswer.REVERSED
    assert house.guard.suspicion is None


def test_what_jumps_further_than_our_output_can_is_the_house():
    # The bounds of three slow HM that have just been told to rise, while the load of a measured house jumps.
    guard = ResponseGuard()
    guard.add_reading(0.0, 2015.0, (59.0, 59.0), 59.0)
    guard.stepped()
    for at_s, (grid_w, low_w, high_w) in enumerate(
        ((2149.0, 59.0, 59.0), (2542.0, 59.0, 158.0), (2542.0, 59.0, 259.0), (2542.0, 126.0, 457.0)), start=1
    ):
        assert guard.add_reading(float(at_s), grid_w, (low_w, high_w), 1182.0) is None
    assert guard.add_reading(5.0, 2541.0, (226.0, 725.0), 1182.0) is None


def test_a_suspicion_that_was_only_tried_again_stays_a_doubt_until_an_answer_disproves_it():
    house = SteppedHouse(-1.0)
    while house.guard.suspicion is None:
        house.step(200.0)
    while house.guard.suspicion is not None:
        house.see(house.output_w, house.output_w)
    assert house.guard.doubt is Reason.METER_REVERSED
    house.show_export()
    house.answer, house.load_w = 1.0, house.load_w + 2 * house.output_w
    house.see(house.output_w, house.output_w)
    assert house.step(200.0) is MeterAnswer.SEEN
    assert house.guard.doubt is None


def test_an_answer_at_the_ceiling_is_no_proof_for_ever():
    house = SteppedHouse(1.0)
    assert house.step(200.0) is MeterAnswer.SEEN
    due_s = []
    for _ in range(4000):
        house.see(house.output_w, house.output_w)
        if house.guard.probe_due(house.output_w, house.output_w):
            due_s.append(house.at_s)
    assert 3500 < due_s[0] < 3700


def test_a_fall_that_asks_holds_until_it_can_show_however_long_the_inverters_take():
    guard = ResponseGuard()
    for at_s in range(200):
        guard.add_reading(at_s, 100.0, (800.0, 800.0), 800.0)
    assert guard.probe_due(800.0, 800.0)
    guard.is_probing = True
    guard.stepped()
    for at_s in range(200, 220):
        guard.add_reading(at_s, 100.0, (800.0, 800.0), 600.0)
        assert guard.is_probing, "nothing can be seen yet"
    assert guard.add_reading(220, 300.0, (600.0, 620.0), 600.0) is MeterAnswer.SEEN
    assert not guard.is_probing


def test_a_fall_that_never_comes_is_given_up():
    guard = ResponseGuard()
    for at_s in range(200):
        guard.add_reading(at_s, 100.0, (800.0, 800.0), 800.0)
    guard.is_probing = True
    guard.stepped()
    for at_s in range(200, 265):
        guard.add_reading(at_s, 100.0, (800.0, 800.0), 600.0)
    assert not guard.is_probing


def test_an_answer_forgives_earlier_misses():
    house = SteppedHouse(0.0)
    house.step(200.0)
    house.step(-200.0)
    house.answer = 1.0
    house.load_w += house.output_w
    house.see(house.output_w, house.output_w)
    assert house.step(200.0) is MeterAnswer.SEEN
    house.answer = 0.0
    house.load_w -= house.output_w
    house.see(house.output_w, house.output_w)
    house.step(-200.0)
    assert house.guard.suspicion is None


@pytest.mark.parametrize("answer", [0.0, -1.0, 1.0])
def test_a_restless_house_gives_hardly_a_verdict_and_no_suspicion(answer):
    house = SteppedHouse(answer)
    house.noise_w = 300.0
    verdicts = [house.step(change_w) for change_w in (200.0, -200.0) * 10]
    assert verdicts.count(None) >= 16, "noise larger than our step may look like an answer now and then"
    assert house.guard.suspicion is None


def test_a_change_much_larger_than_our_step_is_the_house():
    assert SteppedHouse(1.0).step(200.0, drift_w=900.0) is None


@pytest.mark.parametrize(
    ("drift_w", "suspicion"),
    [
        pytest.param(400.0, Reason.METER_REVERSED, id="a load that mirrors our step twice"),
        pytest.param(200.0, Reason.METER_BLIND, id="a load that hides three steps"),
    ],
)
def test_a_false_suspicion_is_lifted_by_its_own_fall(drift_w, suspicion):
    house = SteppedHouse(1.0)
    house.show_export()
    while house.guard.suspicion is None and house.output_w < 1200:
        house.step(200.0, drift_w=drift_w)
    assert house.guard.suspicion is suspicion
    assert house.step(60.0 - house.output_w) is MeterAnswer.SEEN
    assert house.guard.suspicion is None
    assert not house.guard.is_confirmed


def test_a_meter_that_moved_the_wrong_way_and_never_showed_export_is_not_cleared_by_a_right_answer():
    house = SteppedHouse(1.0)
    while house.guard.suspicion is None:
        house.step(200.0, drift_w=400.0)
    assert house.step(60.0 - house.output_w) is MeterAnswer.SEEN
    assert house.guard.suspicion is Reason.METER_REVERSED
    while house.guard.suspicion is not None:
        house.see(house.output_w, house.output_w)
    assert house.step(200.0) is MeterAnswer.SEEN
    assert house.guard.doubt is Reason.METER_REVERSED
    house.show_export()
    assert house.step(200.0) is MeterAnswer.SEEN
    assert house.guard.doubt is None


def test_a_doubted_meter_is_asked_wherever_the_plant_rests_until_it_has_answered():
    house = SteppedHouse(1.0)
    house.show_export()
    while house.guard.suspicion is None:
        house.step(200.0, drift_w=400.0)
    while house.guard.suspicion is not None:
        house.see(house.output_w, house.output_w)
    assert house.guard.doubt is not None
    ceiling_w = house.output_w + 1000.0
    due = [
        house.see(house.output_w, house.output_w) or house.guard.probe_due(house.output_w, ceiling_w) for _ in range(30)
    ]
    assert any(due)
    assert house.step(-200.0) is MeterAnswer.SEEN
    assert house.guard.doubt is None
    due = [
        house.see(house.output_w, house.output_w) or house.guard.probe_due(house.output_w, ceiling_w) for _ in range(30)
    ]
    assert not any(due)


def test_what_looks_like_more_load_at_the_ceiling_is_asked_about_unless_export_was_shown():
    for has_exported in (False, True):
        house = SteppedHouse(1.0)
        if has_exported:
            house.show_export()
        assert house.step(200.0) is MeterAnswer.SEEN
        house.load_w += 500.0
        due = []
        for _ in range(100):
            house.see(house.output_w, house.output_w)
            due.append(house.guard.probe_due(house.output_w, house.output_w))
        assert any(due) is not has_exported


def test_a_load_that_mirrors_only_the_beginning_of_the_fall_confirms_no_suspicion():
    house = SteppedHouse(1.0)
    house.show_export()
    while house.guard.suspicion is None:
        house.step(200.0, drift_w=400.0)
    house.guard.stepped()
    from_w, house.output_w = house.output_w, 60.0
    house.load_w -= 350.0
    house.see(from_w - 160.0, house.output_w)
    house.see(from_w - 180.0, house.output_w)
    assert not house.guard.is_confirmed
    house.see(60.0, 60.0)
    assert house.guard.suspicion is None


@pytest.mark.parametrize(("answer", "suspicion"), [(0.0, Reason.METER_BLIND), (-1.0, Reason.METER_REVERSED)])
def test_a_true_suspicion_is_confirmed_by_its_own_fall(answer, suspicion):
    house = SteppedHouse(answer)
    while house.guard.suspicion is None:
        house.step(200.0)
    house.step(60.0 - house.output_w)
    assert house.guard.suspicion is suspicion
    assert house.guard.is_confirmed


def test_a_suspicion_is_tried_again_later_and_each_time_later():
    house = SteppedHouse(-1.0)
    waits_s: list[float] = []
    for _ in range(5):
        while house.guard.suspicion is None:
            house.step(200.0)
        suspected_s = house.at_s
        house.step(60.0 - house.output_w)
        while house.guard.suspicion is not None:
            house.see(house.output_w, house.output_w)
        waits_s.append(house.at_s - suspected_s)
    assert waits_s == pytest.approx([60, 120, 240, 480, 600], abs=2)


def test_reset_forgets_a_step_that_the_meter_slept_through():
    house = SteppedHouse(0.0)
    house.guard.stepped()
    house.guard.reset()
    house.output_w += 300
    assert house.see(house.output_w, house.output_w) is None
