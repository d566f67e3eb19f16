"""Plausible lies, told to the controller on virtual time; `make lies` tells the same ones to the whole program."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opendtu_dcload.control.bookkeeping.alarms import Alarms, Watched
from opendtu_dcload.control.commands.command_policy import SetLimit
from opendtu_dcload.control.decision import Seen
from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.runs.controller_alone import unit_of
from opendtu_dcload.sim.servers.meter_view import MeterView
from opendtu_dcload.state import State
from tests.control.plant import Plant, make_plant
from tests.plays.lie import MINIMUM_W, Ledger, Lie, LieStage, Promise
from tests.plays.lie_rows import LIES, UNKNOWN_MODEL

GUESSED_W = 1000.0
"""What the loop assumes of a model with two inputs that the DTU does not know."""
WARM_S = 300.0


class Listener:
    """Hears what is said of the plant: its reason, the inverters' notes, the alarms."""

    def __init__(self, plant: Plant, stage: LieStage, settings: Settings) -> None:
        self._plant = plant
        self._stage = stage
        self._state = State()
        watched = tuple(Watched(serial, plant.dtu.name) for serial in plant.house.inverters)
        self._alarms = Alarms(settings, watched, plant.now_s)
        self._before: set[str] = set()

    def hear(self, seen: Seen) -> None:
        """Keep what is said now and was not said just before."""
        state = self._state
        assert self._plant.controller.decision is not None
        plan = self._plant.controller.decision.plan
        if seen.meter is not None:
            state.set_meter(seen.meter)
        for name, dtu in seen.dtus.items():
            state.set_dtu(name, dtu)
            state.set_inverters(name, dict(seen.inverters))
            state.set_limits(name, dict(seen.limits))
        state.set_plan(plan)
        notes = [f"{inverter.serial}: {inverter.note}" for inverter in plan.inverters if inverter.note]
        alarms = [alarm.text for alarm in self._alarms.update(state, self._plant.now_s)]
        said = {str(plan.reason), *notes, *alarms}
        self._stage.said += [(self._plant.now_s, words) for words in sorted(said - self._before)]
        self._before = said


def play(lie: Lie, seed: int = 1) -> list[Promise]:
    """Play a row, and return what came of it."""
    models = lie.models
    units = [unit_of(model, MINIMUM_W) for model in models]
    if lie.words == UNKNOWN_MODEL:
        units = [replace(unit, rated_w=GUESSED_W, maximum_w=GUESSED_W) for unit in units]
    settings = Settings(
        max_feed_in_w=sum(model.rated_w for model in models), min_voltage_v=40.0, dtus={"opendtu": DtuSettings()}
    )
    plant = make_plant([lie.load_w], models, settings=settings, units=units, seed=seed, loss=0.02)
    plant.dtu.advance(WARM_S)
    stage = LieStage(plant.house, plant.dtu, plant.run.meter)
    listener = Listener(plant, stage, settings)
    for until_s in lie.script(stage):
        while plant.now_s < until_s:
            listener.hear(plant.run.advance_second())
        stage.posts[:] = [
            (sent.at_s, sent.command.serial, sent.command.limit_w)
            for sent in plant.controller.sent
            if isinstance(sent.command, SetLimit)
        ]
    return stage.promises


@pytest.mark.parametrize("lie", [pytest.param(lie, id=lie.name) for lie in LIES])
def test_a_plausible_lie_costs_little_is_told_and_is_over_when_it_ends(lie):
    broken = [f"{promise.what}: {promise.seen}" for promise in play(lie) if not promise.ok]
    assert not broken


@pytest.mark.parametrize(
    ("in_reach", "load_w", "avoidable_wh", "unavoidable_wh"),
    [
        pytest.param(True, 150.0, 238 / 60, 0, id="it could be at its minimum"),
        pytest.param(False, 150.0, 0, 238 / 60, id="nobody reaches it"),
        pytest.param(True, 10.0, 388 / 60 - 10 / 60 - 8.1 / 60, 8.1 / 60, id="its minimum alone is more than the load"),
    ],
)
def test_only_what_a_command_could_have_prevented_is_held_against_the_program(
    in_reach, load_w, avoidable_wh, unavoidable_wh
):
    house = House([load_w], [InverterModel("1124a0000001", "HMS", rated_w=394.0)])
    stage = LieStage(house, SimDtu(house), MeterView(house))
    house.advance(30.0)
    house.inverters["1124a0000001"].is_in_reach = in_reach
    ledger = Ledger(stage)
    house.advance(90.0)
    assert ledger.avoidable_wh == pytest.approx(avoidable_wh, abs=0.2)
    assert ledger.unavoidable_wh == pytest.approx(unavoidable_wh, abs=0.05)


def test_what_flows_before_anybody_could_react_is_not_held_against_the_program():
    house = House([150.0], [InverterModel("1124a0000001", "HMS")])
    stage = LieStage(house, SimDtu(house), MeterView(house))
    house.advance(30.0)
    ledger = Ledger(stage)
    ledger.forgiven_until_s = 60.0
    house.advance(60.0)
    assert ledger.avoidable_wh == 0
    assert ledger.unavoidable_wh > 1
