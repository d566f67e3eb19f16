"""Plants and devices that are not as the book says: little headroom, slow DTUs, stubborn and lost inverters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opendtu_dcload.control.commands.command_policy import Command, DesiredState, allowed
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import CommandState, LimitStatus, Reason
from opendtu_dcload.sim.bench.cases import CASES
from opendtu_dcload.sim.plant.house import InverterModel
from opendtu_dcload.sim.runs.controller_alone import unit_of
from opendtu_dcload.tallies import Outcome
from tests.control.plant import make_plant, models_of

SERIAL = "1124a0000001"
UNIT = InverterParameters(SERIAL, 20.0, 400.0, 400.0, 2.0, 8.0, 5.0, 210.0)


def shown(at_s: float, limit_w: float, state: CommandState = CommandState.OK) -> LimitStatus:
    return LimitStatus(SERIAL, at_s, limit_w / 4, 400.0, state)


@pytest.mark.parametrize(("count", "rated_w"), [(2, 1500.0), (3, 800.0), (3, 400.0)])
def test_a_load_far_above_the_cap_is_no_reason_to_shift_power_about(count: int, rated_w: float):
    plant = make_plant([2500.0] * 1800, models_of(count, rated_w=rated_w), settings=Settings(max_feed_in_w=800))
    plant.until(120.0)
    assert plant.reason is Reason.FEED_IN_CAP
    plant.until(720.0)
    refreshes = count * 600 // 210
    # The meter is asked once by a fall, which costs two commands and what the return needs.
    assert len(plant.limits(since_s=120.0)) <= refreshes + 6
    assert plant.house.output_w == pytest.approx(788, abs=12)


@pytest.mark.parametrize(
    ("load_w", "reason"),
    [(300.0, Reason.FEED_IN_CAP), (20.0, Reason.ALL_AT_MINIMUM)],
    ids=["the house wants more", "it does not"],
)
@pytest.mark.parametrize("cap_w", [40.0, 45.0])
def test_a_cap_that_leaves_no_more_than_the_minima_is_the_reason_only_while_it_binds(
    cap_w: float, load_w: float, reason: Reason
):
    plant = make_plant([load_w] * 300, models_of(2), settings=Settings(max_feed_in_w=cap_w))
    plant.until(120.0)
    assert plant.house.output_w == pytest.approx(40.0, abs=6)
    assert plant.reason is reason


def test_an_answer_that_was_on_its_way_when_the_limit_was_posted_says_nothing_about_it():
    tracker = InverterTracker(UNIT)
    tracker.apply_limit_status(shown(0.0, 100), 0.0)
    tracker.post(10.0, 400.0, 10.0)
    tracker.limits.taken(15.0)
    assert not tracker.apply_limit_status(shown(14.0, 100), 15.0)
    assert tracker.is_pending
    assert tracker.highest_w == 400
    assert not tracker.apply_limit_status(shown(17.5, 400), 17.5), "the acknowledgement is no other master's"
    assert not tracker.is_pending


@pytest.mark.parametrize("load_w", [180.0, 210.0, 250.0, 330.0])
def test_below_what_it_misjudges_an_inverter_at_24_v_is_as_good_as_any(load_w: float):
    (model,) = models_of(1, rated_w=300.0, misjudged_above_w=210.0)
    units = [replace(unit_of(model), maximum_w=200.0)]
    plant = make_plant([load_w] * 900, [model], units=units)
    plant.until(890.0)
    grid_w = [power_w for at_s, power_w in plant.grid_w if at_s > 300.0]
    assert max(grid_w) - min(grid_w) < 10
    assert max(grid_w) == pytest.approx(max(load_w - 200.0 * model.gain, 0.0), abs=10)


def test_an_output_that_stays_above_its_limit_is_answered_by_one_limit_a_minute():
    plant = make_plant([30.0] * 1800, models_of(1, gain=3.5), settings=Settings(max_feed_in_w=400))
    plant.until(1200.0)
    assert len(plant.limits(since_s=60.0)) <= 1140 / 60 + 2


def test_one_lost_inverter_does_not_keep_the_others_from_their_refresh():
    plant = make_plant([2500.0] * 2400, models_of(3, rated_w=800.0), settings=Settings(max_feed_in_w=2400))
    plant.until(120.0)
    lost, *others = plant.house.inverters.values()
    lost.set_dc(plant.now_s, on=False)
    plant.until(1800.0)
    for inverter in others:
        times_s = [s.at_s for s in plant.limits(since_s=200.0) if s.command.serial == inverter.model.serial]
        assert len(times_s) >= 5, "every 210 s"


def test_an_inverter_whose_data_stopped_goes_to_its_minimum_and_at_last_off():
    plant = make_plant([800.0] * 3000, models_of(1, rated_w=800.0), settings=Settings(max_feed_in_w=800))
    plant.until(120.0)
    inverter = plant.house.inverters[SERIAL]
    assert inverter.limit_w > 600
    inverter.model = replace(inverter.model, endured_per_min=0, sulks_s=1e9)
    inverter.receive_limit(plant.now_s, inverter.limit_w)
    plant.dtu.reachable_threshold = 10_000
    plant.until(300.0)
    assert inverter.limit_w == 20
    plant.until(1000.0)
    assert not inverter.is_on
    assert plant.reason is Reason.BATTERY_UNSEEN


def test_nobody_is_woken_while_the_meter_is_silent():
    plant = make_plant([300.0] * 900, models_of(1, power_on_wait_s=1e6))
    plant.until(60.0)
    inverter = plant.house.inverters[SERIAL]
    inverter.receive_power(plant.now_s, on=False)
    plant.run.has_meter = False
    plant.until(340.0)
    assert not [s for s in plant.powers() if getattr(s.command, "on", False)]


def test_a_declined_limit_is_not_sent_again_at_once():
    tracker = InverterTracker(UNIT)
    tracker.apply_limit_status(shown(0.0, 100), 0.0)
    trackers = {SERIAL: tracker}
    assert allowed(10.0, {SERIAL: DesiredState(50.0)}, trackers, 400.0)
    tracker.post(10.0, 50.0, 10.0)
    tracker.decline(10.0)
    assert not allowed(11.0, {SERIAL: DesiredState(50.0)}, trackers, 400.0)
    assert allowed(71.0, {SERIAL: DesiredState(50.0)}, trackers, 400.0)


def test_a_power_command_that_did_not_arrive_is_repeated_at_once():
    tracker = InverterTracker(UNIT)
    tracker.apply_limit_status(shown(0.0, 100), 0.0)
    tracker.power.switch(10.0, on=False)
    tracker.power.failed()
    assert tracker.needs_power(11.0, on=False)
    tracker.power.switch(12.0, on=False)
    tracker.power.switch(500.0, on=True)
    tracker.power.failed()
    assert tracker.needs_power(501.0, on=True)


def test_only_one_lower_limit_replaces_a_waiting_one():
    tracker = InverterTracker(UNIT)
    tracker.apply_limit_status(shown(0.0, 400), 0.0)
    trackers = {SERIAL: tracker}
    tracker.post(10.0, 390.0, 10.0)
    assert allowed(11.0, {SERIAL: DesiredState(250.0)}, trackers, 400.0)
    tracker.post(11.0, 250.0, 12.0)
    assert not allowed(12.0, {SERIAL: DesiredState(100.0)}, trackers, 400.0)
    assert allowed(12.0, {SERIAL: DesiredState(100.0, is_urgent=True)}, trackers, 400.0), "but for a guard"


def test_a_plant_of_which_nothing_is_known_is_told_when_we_are_asked_to_end_and_not_when_we_fail():
    plant = make_plant([300.0] * 60, is_warm=True)
    assert plant.controller.leave(off=False, asked=False) == []
    assert [c.serial for c in plant.controller.leave(off=False, asked=True)] == list(plant.controller.trackers)
    plant.until(2.0)
    commanded = {s.command.serial for s in plant.controller.sent}
    assert len(plant.controller.leave(off=False, asked=False)) == len(commanded)


def test_an_inverter_at_its_minimum_that_was_never_commanded_is_left_alone():
    plant = make_plant([300.0] * 60, [InverterModel(SERIAL, "HMS")])
    plant.controller.trackers[SERIAL].apply_limit_status(shown(0.0, 20), 0.0)
    assert plant.controller.leave(off=False, asked=True) == []


def test_an_inverter_above_its_minimum_is_left_at_it_even_if_never_commanded():
    plant = make_plant([300.0] * 60, [InverterModel(SERIAL, "HMS")])
    plant.set_limits([300.0])
    plant.controller.trackers[SERIAL].apply_limit_status(shown(0.0, 300), 0.0)
    assert [c.serial for c in plant.controller.leave(off=False, asked=False)] == [SERIAL]


def test_while_a_dtu_declines_the_limits_of_one_inverter_the_others_follow_the_load():
    load_w = CASES["levels"].load_w(1)
    plant = make_plant(load_w, is_warm=True)
    stubborn = SERIAL
    send = plant.run._send  # there is no simulated DTU that declines limits

    def decline(command: Command) -> Outcome:
        return Outcome.DECLINED if command.serial == stubborn else send(command)

    plant.run._send = decline  # type: ignore[method-assign] # as above
    plant.until(300.0)
    before_wh = plant.house.energy.imported_wh
    plant.until(3900.0)
    beyond_the_others_wh = sum(max(w - 788, 0.0) for w in load_w[300:]) / 3600
    assert plant.house.energy.imported_wh - before_wh < beyond_the_others_wh + 20
