"""Restarts and reboots: whom, when, how often, and that nobody exports because of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from opendtu_dcload.control.commands.command_policy import Reboot, Restart
from opendtu_dcload.control.commands.last_resort import (
    DAY_S,
    GONE_WITHIN_S,
    REBOOT_AFTER_S,
    RESTART_AFTER_S,
    ROOM_WITHIN_S,
    Dtu,
    Inverter,
    LastResort,
)
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import Reason
from tests.control.plant import Plant, make_plant, models_of

STEP_S = 10.0
OBEYS = Inverter("a", True, None, True, True)


def times(until_s: float, from_s: float = 0.0) -> Iterator[float]:
    now_s = from_s
    while now_s < until_s:
        yield now_s
        now_s += STEP_S


def restarted_at_s(resort: LastResort, inverter: Inverter, until_s: float, from_s: float = 0.0) -> list[float]:
    """Restart whenever it is due; each restart is seen, and the inverter is as before afterwards."""
    sent_s = []
    for now_s in times(until_s, from_s):
        for restart in resort.restarts(now_s, [inverter], {inverter.serial}):
            resort.restarted(now_s, restart.serial)
            sent_s.append(now_s)
            resort.restarts(now_s + 1, [Inverter(restart.serial, False, None, False, False)], ())
    return sent_s


def rebooted_at_s(resort: LastResort, dtu: Dtu, until_s: float, from_s: float = 0.0) -> list[float]:
    sent_s = []
    for now_s in times(until_s, from_s):
        for reboot in resort.reboots(now_s, [dtu]):
            resort.rebooted(now_s, reboot.dtu)
            sent_s.append(now_s)
    return sent_s


# ---- when


def test_an_inverter_that_does_not_obey_is_restarted_ever_more_rarely():
    sent_s = restarted_at_s(LastResort(), Inverter("a", True, 0.0, True, True), 10 * DAY_S)
    gaps_s = [b - a for a, b in zip([0.0, *sent_s], sent_s, strict=False)]
    assert gaps_s[:4] == pytest.approx([RESTART_AFTER_S * 2**n for n in range(4)], abs=STEP_S)
    assert max(gaps_s) == pytest.approx(DAY_S, abs=STEP_S)
    assert len(sent_s) < 20


@pytest.mark.parametrize(
    "inverter",
    [OBEYS, Inverter("a", False, 0.0, True, True), Inverter("a", False, None, False, False)],
    ids=["obeys", "does not answer", "is gone"],
)
def test_nobody_else_is_restarted(inverter: Inverter):
    assert restarted_at_s(LastResort(), inverter, DAY_S) == []


def test_after_a_restart_that_helped_the_next_one_waits_no_longer_than_the_first():
    resort = LastResort()
    assert len(restarted_at_s(resort, Inverter("a", True, 0.0, True, True), RESTART_AFTER_S + 60)) == 1
    began_s = 5 * RESTART_AFTER_S
    assert restarted_at_s(resort, OBEYS, began_s, RESTART_AFTER_S + 60) == []
    (again_s,) = restarted_at_s(
        resort, Inverter("a", True, began_s, True, True), began_s + 1.5 * RESTART_AFTER_S, began_s
    )
    assert again_s == pytest.approx(began_s + RESTART_AFTER_S, abs=STEP_S)


def test_without_room_it_is_put_off_and_nobody_counts_as_rated_meanwhile():
    resort = LastResort()
    rated_s = 0.0
    for now_s in times(RESTART_AFTER_S + 600):
        assert resort.restarts(now_s, [Inverter("a", True, 0.0, True, True)], ()) == []
        rated_s += STEP_S * bool(resort.rated)
    assert rated_s == pytest.approx(ROOM_WITHIN_S, abs=2 * STEP_S)


def test_only_one_is_restarted_at_a_time():
    resort = LastResort()
    both = [Inverter(serial, True, 0.0, True, True) for serial in "ab"]
    for now_s in times(RESTART_AFTER_S + 60):
        for restart in resort.restarts(now_s, both, "ab"):
            resort.restarted(now_s, restart.serial)
    assert resort.rated == {"a"}


# ---- until when it counts as rated


def restarted() -> LastResort:
    resort = LastResort()
    resort.restarted(0.0, "a")
    return resort


def test_a_restarted_inverter_counts_as_rated_until_it_was_gone_and_has_acknowledged_a_limit():
    resort = restarted()
    resort.restarts(1.0, [OBEYS], ())
    assert resort.rated == {"a"}, "the restart may still be on its way"
    resort.restarts(30.0, [Inverter("a", True, None, False, False)], ())
    resort.restarts(60.0, [Inverter("a", True, None, True, False)], ())
    assert resort.rated == {"a"}, "it has no limit yet"
    resort.restarts(90.0, [OBEYS], ())
    assert resort.rated == frozenset()


def test_a_restart_that_nobody_saw_ends_too():
    resort = restarted()
    resort.restarts(GONE_WITHIN_S - 1, [OBEYS], ())
    assert resort.rated
    resort.restarts(GONE_WITHIN_S, [OBEYS], ())
    assert not resort.rated


def test_a_restart_that_the_dtu_declined_is_none():
    resort = restarted()
    resort.declined("a")
    assert not resort.rated


# ---- reboots


def test_a_dtu_that_answers_and_reaches_nobody_is_rebooted_ever_more_rarely():
    sent_s = rebooted_at_s(LastResort(), Dtu("d", True, True), 10 * DAY_S)
    assert [b - a for a, b in zip([0.0, *sent_s], sent_s, strict=False)][:4] == pytest.approx(
        [REBOOT_AFTER_S * 2**n for n in range(4)], abs=STEP_S
    )
    assert len(sent_s) < 16


@pytest.mark.parametrize("dtu", [Dtu("d", False, True), Dtu("d", True, False)], ids=["is silent", "reaches somebody"])
def test_no_other_dtu_is_rebooted(dtu: Dtu):
    assert rebooted_at_s(LastResort(), dtu, DAY_S) == []


# ---- on a plant


def deafen(plant: Plant, serial: str) -> None:
    """From now on it acknowledges limits and does not follow them, until it is restarted."""
    inverter = plant.house.inverters[serial]
    takes, restarts = inverter.receive_limit, inverter.restart

    def restart(now_s: float) -> None:
        inverter.receive_limit = takes  # type: ignore[method-assign]  # a part that lies
        restarts(now_s)

    inverter.receive_limit = lambda *_: None  # type: ignore[method-assign]  # a part that lies
    inverter.restart = restart  # type: ignore[method-assign]  # a part that lies


def restarts_of(plant: Plant) -> list[float]:
    return [s.at_s for s in plant.controller.sent if isinstance(s.command, Restart)]


def deaf_plant(settings: Settings) -> Plant:
    plant = make_plant([700.0] * 120 + [250.0] * 2000, models_of(3), settings=settings, is_warm=True)
    plant.until(110.0)
    deafen(plant, max(plant.house.inverters, key=lambda s: plant.house.inverters[s].limit_w))
    return plant


def test_an_inverter_that_is_deaf_until_it_is_restarted_is_restarted_once_and_obeys():
    plant = deaf_plant(Settings(max_feed_in_w=800.0))
    in_force_w: list[float] = []
    plant.until(1200.0, lambda: in_force_w.append(plant.in_force_w))
    (at_s,) = restarts_of(plant)
    assert 120 + RESTART_AFTER_S <= at_s <= 120 + RESTART_AFTER_S + 120
    assert plant.controller.watch.found == {}
    assert max(in_force_w) <= 800.1
    assert plant.reason is Reason.REGULATING
    assert plant.house.grid_w == pytest.approx(0, abs=40)


def test_an_inverter_that_was_long_out_of_reach_is_not_restarted_when_it_comes_back() -> None:
    plant = make_plant([500.0] * 3000, models_of(2), is_warm=True)
    plant.until(100.0)
    serial = max(plant.house.inverters, key=lambda s: plant.house.inverters[s].output_w)
    plant.house.inverters[serial].is_in_reach = False
    plant.until(100.0 + 2 * RESTART_AFTER_S)
    assert plant.controller.trackers[serial].limits.is_unconfirmed(plant.house.now_s)
    plant.house.inverters[serial].is_in_reach = True
    plant.until(100.0 + 2 * RESTART_AFTER_S + 120.0)
    assert restarts_of(plant) == []
    assert plant.reason is Reason.REGULATING


def test_an_only_inverter_is_restarted_though_the_meter_is_doubted_because_of_it():
    plant = make_plant(
        [300.0] * 120 + [80.0] * 2000, models_of(1), settings=Settings(max_feed_in_w=400.0), is_warm=True
    )
    plant.until(110.0)
    deafen(plant, next(iter(plant.house.inverters)))
    plant.until(1100.0)
    assert len(restarts_of(plant)) == 1
    assert plant.controller.watch.found == {}
    assert plant.house.grid_w == pytest.approx(0, abs=40)


def test_while_the_meter_is_silent_nobody_is_restarted():
    plant = deaf_plant(Settings(max_feed_in_w=800.0))
    plant.until(100.0 + RESTART_AFTER_S)
    plant.run.has_meter = False
    plant.until(1200.0)
    assert restarts_of(plant) == []


def test_room_is_made_and_confirmed_before_the_restart_goes_out():
    plant = make_plant([1500.0] * 2000, models_of(3), settings=Settings(max_feed_in_w=800.0), is_warm=True)
    plant.until(100.0)
    first = min(plant.controller.trackers.values(), key=lambda tracker: tracker.limit_w or 0.0)
    plant.controller.outbox.last_resort._preparing = (first.unit.serial, plant.now_s)
    attempts = plant.controller.outbox.last_resort._restarts[first.unit.serial]
    attempts._bad_since_s, attempts.update = -RESTART_AFTER_S, lambda *_, **__: None  # type: ignore[method-assign]  # a part that lies
    others = [i for s, i in plant.house.inverters.items() if s != first.unit.serial]
    assert sum(i.limit_w for i in others) > 400
    while not restarts_of(plant):
        plant.until(plant.now_s + 1)
        assert plant.now_s < 100 + ROOM_WITHIN_S
    assert sum(i.limit_w for i in others) <= 400.1


def test_one_setting_turns_both_off():
    plant = deaf_plant(Settings(max_feed_in_w=800.0, has_last_resorts=False))
    plant.until(1200.0)
    assert restarts_of(plant) == []


def hung(plant: Plant) -> None:
    """The radio of the DTU reaches nobody until it boots."""
    dtu = plant.dtu
    boots, dtu.loss = dtu.boot, 1.0

    def boot() -> None:
        dtu.loss = 0.0
        boots()

    dtu.boot = boot  # type: ignore[method-assign]  # a part that lies


def test_a_dtu_whose_radio_hangs_is_rebooted_and_the_plant_regulates_again():
    plant = make_plant([500.0] * 3000, models_of(2), is_warm=True)
    plant.until(100.0)
    hung(plant)
    plant.until(100.0 + REBOOT_AFTER_S + 300.0)
    assert plant.dtu.booted_at_s > 100 + REBOOT_AFTER_S
    assert plant.reason is Reason.REGULATING
    assert plant.house.grid_w == pytest.approx(0, abs=40)


def test_a_dtu_that_does_not_poll_at_night_is_left_alone():
    plant = make_plant([500.0] * 3000, models_of(2), is_warm=True)
    plant.until(100.0)
    plant.dtu.is_polling = False
    plant.until(100.0 + REBOOT_AFTER_S + 300.0)
    assert plant.dtu.booted_at_s < 100


def test_the_how_manieth_is_told():
    resort = LastResort()
    resort.rebooted(0.0, "d")
    (due,) = [r for now_s in times(4 * REBOOT_AFTER_S) for r in resort.reboots(now_s, [Dtu("d", True, True)])][:1]
    assert due == Reboot("d", 2)
