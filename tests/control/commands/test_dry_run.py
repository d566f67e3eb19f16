"""A dry run on virtual time: nothing real follows, and yet the plan neither runs away nor doubts what it sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from opendtu_dcload.control.commands.dry_run import DryRun
from opendtu_dcload.control.decision import Decision, Seen
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import Plan, Reason
from opendtu_dcload.sim.runs.trace import load_trace
from tests.control.plant import Plant, make_plant, models_of


class DryController:
    """Decides, and lets a dry run obey."""

    def __init__(self, plant: Plant) -> None:
        self.controller = plant.controller
        self.dry_run = DryRun()
        self.plans: list[Plan] = []
        self.count = 0

    def decide(self, seen: Seen) -> Decision:
        units = [tracker.unit for tracker in self.controller.trackers.values()]
        decision = self.controller.decide(self.dry_run.seen(seen, units))
        for command in decision.commands:
            self.count += 1
            self.controller.posted(command, seen.now_s)
            self.dry_run.take(command, self.controller.trackers[command.serial].unit, seen.now_s)
            self.controller.taken(command, seen.now_s)
        self.plans.append(decision.plan)
        return replace(decision, commands=())


def dry(
    load_w: list[float],
    limits_w: list[float],
    *,
    until_s: float,
    settings: Settings | None = None,
    each: Callable[[Plant], None] | None = None,
    prepare: Callable[[Plant], None] | None = None,
) -> tuple[DryController, Plant]:
    plant = make_plant(load_w, models_of(len(limits_w)), is_warm=True, settings=settings)
    plant.set_limits(limits_w)
    if prepare is not None:
        prepare(plant)
    controller = DryController(plant)
    plant.run.controller = controller  # type: ignore[assignment]  # a controller as far as the run needs one
    plant.until(until_s, None if each is None else lambda: each(plant))
    return controller, plant


def setpoints_w(controller: DryController, from_s: float) -> list[float]:
    return [plan.setpoint_w for plan in controller.plans if plan.at_s >= from_s]


@pytest.mark.parametrize("limits_w", [[100.0, 100.0, 100.0], [20.0, 300.0, 400.0]])
@pytest.mark.parametrize("load_w", [90.0, 320.0, 900.0])
def test_in_a_constant_house_the_plan_goes_to_the_load_and_stays(load_w: float, limits_w: list[float]):
    controller, plant = dry([load_w] * 2000, limits_w, until_s=300)
    last_w = setpoints_w(controller, 60)
    assert all(w == pytest.approx(load_w, abs=30) for w in last_w), (min(last_w), max(last_w))
    assert sum(a != b for a, b in pairwise(last_w)) <= 5
    assert [inverter.limit_w for inverter in plant.house.inverters.values()] == limits_w
    assert plant.dtu.counters.limits == 0
    assert {plan.reason for plan in controller.plans if plan.at_s >= 60} == {Reason.REGULATING}


def test_a_meter_that_no_real_step_moves_is_not_doubted_at_the_ceiling():
    controller, _ = dry([2000.0] * 3000, [100.0, 100.0, 100.0], until_s=700)
    reasons = {plan.reason for plan in controller.plans if plan.at_s >= 60}
    assert reasons == {Reason.ALL_AT_RATED}
    asked = [w for w in setpoints_w(controller, 60) if w < 1190]
    assert len(asked) < 60


def test_inverters_that_are_told_nothing_are_not_called_disobedient():
    settings = Settings(max_feed_in_w=1200, min_voltage_v=60)
    controller, _ = dry([300.0] * 3000, [100.0, 100.0, 100.0], until_s=500, settings=settings)
    assert controller.plans[-1].reason is Reason.BATTERY_LOW
    assert not any(plan.reason is Reason.GUARD_ESCALATED for plan in controller.plans)


def test_the_controller_that_really_regulates_is_no_stranger():
    def regulate(plant: Plant) -> None:
        if int(plant.now_s) % 4 == 0:
            wanted_w = min(max(plant.house.meter.output_w + plant.house.meter.power_w, 60), 1200)
            for serial in plant.house.inverters:
                plant.dtu.post_limit(serial, 0, round(wanted_w / 3, 1))

    load_w = [300.0] * 200 + [700.0] * 200 + [200.0] * 200
    controller, _ = dry(load_w, [100.0, 100.0, 100.0], until_s=590, each=regulate)
    assert not any(plan.reason is Reason.FOREIGN_LIMITS for plan in controller.plans)
    for at_s, wanted_w in ((180, 300), (380, 700), (580, 200)):
        assert controller.plans[at_s].setpoint_w == pytest.approx(wanted_w, abs=40)


def test_unknown_limits_and_inverters_that_are_off_are_planned_as_if_they_obeyed():
    def forget(plant: Plant) -> None:
        for believed in plant.dtu.believed.values():
            believed.limit_pct = 0

    def switch_off(plant: Plant) -> None:
        for inverter in plant.house.inverters.values():
            inverter.receive_power(0.0, on=False)

    for prepare in (forget, switch_off):
        controller, _ = dry([500.0] * 3000, [100.0, 100.0, 100.0], until_s=400, prepare=prepare)
        assert controller.plans[-1].setpoint_w == pytest.approx(500, abs=30), prepare.__name__
        assert controller.plans[-1].reason is Reason.REGULATING


def test_over_measured_minutes_the_plan_follows_the_load_with_few_commands():
    load_w = load_trace("cassandra_1hz_3600")[:1200]
    controller, _ = dry(load_w, [100.0, 100.0, 100.0], until_s=1190)
    mean_w = sum(min(max(w, 60.0), 1200.0) for w in load_w) / len(load_w)
    planned_w = setpoints_w(controller, 0)
    assert sum(planned_w) / len(planned_w) == pytest.approx(mean_w, rel=0.15)
    assert controller.count <= 100
