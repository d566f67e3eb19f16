"""A program that was killed: its successor finds a limit on its way that is not its own."""

from __future__ import annotations

import random

import pytest

from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.sim.runs.controller_alone import Run
from opendtu_dcload.sim.runs.invariants import InvariantChecker
from tests.control.plant import Plant, make_plant, models_of

CAP_W = 500.0
RATED_W = 800.0
SLACK_W = 0.11


def restart(plant: Plant) -> None:
    """Let a new controller, which knows nothing, go on with the plant."""
    units: list[InverterParameters] = [tracker.unit for tracker in plant.controller.trackers.values()]
    plant.controller = InvariantChecker(plant.controller.settings, units, plant.now_s)
    meter, plant.run = plant.run.meter, Run(plant.run.world, plant.controller)
    plant.run.meter = meter


def two_of_800_w(load_w: list[float], **options: float) -> Plant:
    models = models_of(2, "1144", rated_w=RATED_W, inputs=2)
    return make_plant(load_w, models, settings=Settings(max_feed_in_w=CAP_W), is_warm=True, **options)  # type: ignore[arg-type]  # mixed kinds


def test_a_raise_of_the_predecessor_that_has_not_arrived_leaves_no_room_for_the_other():
    plant = two_of_800_w([700.0] * 200)
    first, _ = plant.house.inverters.values()
    plant.until(3.0)
    restart(plant)
    plant.dtu.post_limit(first.model.serial, 0, 400.0)
    plant.dtu.loss = 1.0
    plant.until(11.0)
    assert plant.controller.trackers[first.model.serial].highest_w == RATED_W
    assert [sent for sent in plant.limits() if sent.limit_w > 20.0] == []
    plant.dtu.loss = 0.0
    in_force_w: list[float] = []
    plant.until(60.0, lambda: in_force_w.append(plant.in_force_w))
    assert first.limit_w >= 100.0
    assert max(in_force_w) <= CAP_W + SLACK_W
    assert plant.in_force_w == pytest.approx(CAP_W, abs=5)


@pytest.mark.parametrize("seed", range(34))
def test_killed_at_any_moment_nothing_is_raised_or_repeated_while_the_predecessors_limit_waits(seed):
    rng = random.Random(seed)
    load_w = [float(rng.choice((100, 300, 450, 700))) for _ in range(20) for _ in range(10)]
    plant = two_of_800_w(load_w, seed=seed, loss=0.2)
    in_force_w: list[float] = []
    plant.until(30 + 60 * rng.random())
    for _ in range(3):
        restart(plant)
        before = plant.dtu.counters.raised_or_repeated_while_pending
        plant.until(plant.now_s + 30 * rng.random(), lambda: in_force_w.append(plant.in_force_w))
        assert plant.dtu.counters.raised_or_repeated_while_pending == before
    assert max(in_force_w) <= CAP_W + SLACK_W
