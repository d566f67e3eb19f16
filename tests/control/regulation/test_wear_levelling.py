"""Equal inverters work about equally much, and it costs hardly a command."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from opendtu_dcload.control.commands.command_policy import SetLimit
from opendtu_dcload.control.controller import Controller
from opendtu_dcload.control.decision import Seen
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.protection.meter_age import Ladder
from opendtu_dcload.control.regulation.wear_levelling import WearLevelling
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import CommandState, DtuStatus, InverterStatus, LimitStatus, MeterReading
from opendtu_dcload.sim.runs.controller_alone import unit_of
from tests.control.plant import make_plant, models_of

RATED_W = 400.0
HOUR_S = 3600
DEAD_S = 3
BUSY_S = 60
"""So long after a change the meter is read each second ..."""
RARELY_S = 30
"""... and then so rarely, for a week to be short."""
SPARSE = Ladder(hold_s=60, ramp_s=120, minimum_s=300, off_s=3600)


class IdealPlant:
    """Inverters that give their limit after 3 s, and a meter that is read rarely while nothing happens."""

    def __init__(self, count: int = 3) -> None:
        units = [unit_of(model) for model in models_of(count)]
        self.limits_w = {unit.serial: 20.0 for unit in units}
        self.outputs_w = dict(self.limits_w)
        self.energies_wh = dict.fromkeys(self.limits_w, 0.0)
        self.changes = 0
        self.controller = Controller(Settings(max_feed_in_w=RATED_W * count, ladder=SPARSE), units, 0.0)
        self.now_s = 0.0
        self._changed_at_s = 0.0
        self._load_w = 0.0

    def until(self, until_s: float, load_w: Callable[[float], float]) -> None:
        serials = frozenset(self.limits_w)
        while self.now_s < until_s:
            if load_w(self.now_s) != self._load_w:
                self._changed_at_s, self._load_w = self.now_s, load_w(self.now_s)
            step_s = 1 if self.now_s - self._changed_at_s < BUSY_S else RARELY_S
            self.now_s += step_s
            now_s = self.now_s
            if now_s - self._changed_at_s >= DEAD_S:
                self.outputs_w.update(self.limits_w)
            for serial, output_w in self.outputs_w.items():
                self.energies_wh[serial] += output_w * step_s / 3600
            inverters = {
                s: InverterStatus(s, s, now_s, now_s, True, ac_power_w=w, dc_voltage_v=52.0)
                for s, w in self.outputs_w.items()
            }
            limits = {
                s: LimitStatus(s, now_s, 100 * w / RATED_W, RATED_W, CommandState.OK) for s, w in self.limits_w.items()
            }
            frequency_hz = 50.0 + 0.01 * (int(now_s) % 7)  # a meter that moves
            meter = MeterReading(now_s, self._load_w - sum(self.outputs_w.values()), frequency_hz=frequency_hz)
            seen = Seen(now_s, meter, inverters, limits, {"opendtu": DtuStatus(now_s, serials=serials)})
            for command in self.controller.decide(seen).commands:
                assert isinstance(command, SetLimit)
                if abs(command.limit_w - self.limits_w[command.serial]) > 1:
                    self.changes += 1
                    self._changed_at_s = now_s
                self.controller.posted(command, now_s)
                self.limits_w[command.serial] = command.limit_w

    @property
    def spread(self) -> float:
        """Return by how much the most differs from the least, as a share of the mean."""
        energies_wh = self.energies_wh.values()
        return (max(energies_wh) - min(energies_wh)) * len(energies_wh) / sum(energies_wh)


def quiet_week(now_s: float) -> float:
    """Return a load that changes once an hour."""
    hour = int(now_s // HOUR_S) % 24
    return 230.0 if hour < 7 else random.Random(int(now_s // HOUR_S)).uniform(100, 1100)


@pytest.mark.long
@pytest.mark.parametrize("count", [2, 3])
def test_in_a_week_equal_inverters_give_the_same_within_ten_percent(count):
    plant = IdealPlant(count)
    plant.until(7 * 24 * HOUR_S, quiet_week)
    assert sum(plant.energies_wh.values()) > 40_000, "or it proves nothing"
    assert plant.spread < 0.1


@pytest.mark.long
def test_where_the_load_never_changes_power_moves_by_itself_and_rarely():
    plant = IdealPlant()
    plant.until(48 * HOUR_S, lambda _: 230.0)
    assert plant.spread < 0.1
    assert plant.changes < 150


# ---- one move


def worked(
    *outputs_w: float, hours: float = 10.0, minimum_w: float = 20.0
) -> tuple[WearLevelling, list[InverterTracker]]:
    """Inverters that have given these outputs for some hours, without a command."""
    wear, trackers = WearLevelling(), []
    for model, output_w in zip(models_of(len(outputs_w)), outputs_w, strict=True):
        tracker = InverterTracker(unit_of(model, minimum_w))
        tracker.apply_limit_status(LimitStatus(model.serial, 0.0, output_w / 4, RATED_W, CommandState.OK), 0.0)
        tracker.contact.is_fresh = True
        trackers.append(tracker)
    wear.update(0.0, trackers)
    wear.update(hours * HOUR_S, trackers)
    return wear, trackers


@pytest.mark.parametrize(
    ("outputs_w", "hours", "expected"),
    [
        pytest.param((300, 100, 20), 10, {0: 20}, id="the one that worked most gives what the other one is to take"),
        pytest.param((300, 20), 0.25, {}, id="a quarter of an hour proves nothing"),
        pytest.param((204, 200), 10, {}, id="as good as equal"),
        pytest.param((300,), 10, {}, id="nobody to take it"),
        pytest.param((70, 20), 30, {0: 20}, id="even a little, when it lifts the other one out of the low range"),
        pytest.param((60, 20), 30, {}, id="but not into it"),
    ],
)
def test_who_gives_and_how_much(outputs_w, hours, expected):
    wear, trackers = worked(*outputs_w, hours=hours)
    named = {trackers[n].unit.serial: output_w for n, output_w in expected.items()}
    assert wear.move(hours * HOUR_S, trackers) == pytest.approx(named)


def test_who_worked_most_is_left_alone_when_it_rests_already():
    wear, trackers = worked(300, 20)
    for tracker, limit_w in zip(trackers, (20, 300), strict=True):
        tracker.apply_limit_status(LimitStatus(tracker.unit.serial, 0.0, limit_w / 4, RATED_W, CommandState.OK), 0.0)
    assert wear.move(10 * HOUR_S, trackers) == {}


def test_power_moves_only_in_quiet_times_and_once_in_ten_minutes():
    wear, trackers = worked(300, 20)
    now_s = 10.0 * HOUR_S
    wear.stepped(now_s - 299, 50.0)
    wear.stepped(now_s - 10, 0.5)
    assert wear.move(now_s, trackers) == {}
    assert wear.move(now_s + 1, trackers), "a repeated limit is no change"
    assert wear.move(now_s + 600, trackers) == {}
    assert wear.move(now_s + 601, trackers)


def test_one_whose_output_cannot_be_set_is_neither_to_give_nor_to_take():
    for lost in (0, 1):
        wear, trackers = worked(300, 20)
        trackers[lost].contact.is_fresh = False
        assert wear.move(10 * HOUR_S, trackers) == {}


def test_power_that_moves_has_fallen_before_it_rises():
    plant = make_plant([330.0] * 20_000, is_warm=True)
    plant.set_limits([300.0, 20.0, 20.0])
    plant.until(900.0)
    for tracker in plant.controller.trackers.values():  # as after a long run
        plant.controller.allocation._wear_levelling._hours[tracker.unit.serial] = 10.0 if tracker.final_w > 200 else 5.0
    since_s = plant.now_s
    before = {serial: i.limit_w for serial, i in plant.house.inverters.items()}
    at_once_w: list[float] = []
    plant.until(since_s + 900, lambda: at_once_w.append(plant.in_force_w))
    after = {serial: i.limit_w for serial, i in plant.house.inverters.items()}
    assert max(before, key=before.__getitem__) != max(after, key=after.__getitem__)
    assert max(at_once_w) < 380, "never both at once"
    assert len([s for s in plant.limits(since_s) if abs(s.limit_w - (s.wanted_w or 0.0)) > 3]) <= 6
    assert plant.house.grid_w == pytest.approx(10, abs=15)


def test_what_was_long_ago_counts_less():
    wear, trackers = worked(300, 20, hours=10)
    most, least = (tracker.unit.serial for tracker in trackers)
    assert wear.rank(most) > wear.rank(least)
    trackers.reverse()
    wear.update(11 * HOUR_S, trackers)
    for tracker in trackers:
        tracker.power.is_producing = False
        tracker.output._jump()
    wear.update(60 * 24 * HOUR_S, trackers)
    assert wear.rank(most) == wear.rank(least) == 0
