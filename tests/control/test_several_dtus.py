"""Two DTUs: each is commanded by itself, and the cap is that of both."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from opendtu_dcload.control.commands.command_policy import SetLimit
from opendtu_dcload.control.controller import Controller
from opendtu_dcload.control.decision import Decision, Seen
from opendtu_dcload.control.dtu_settings import NOTES, DtuSettings
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import CommandState, DtuStatus, InverterStatus, LimitStatus, MeterReading, Reason
from opendtu_dcload.sim.runs.invariants import SLACK_W
from tests.control.plant import Plant, make_plant, models_of

LEFT, RIGHT = "left", "right"
CAP_W = 800.0
LOAD_W = ([500.0] * 60 + [1500.0] * 60 + [250.0] * 60) * 10


def two_dtus(load_w: list[float], count: int = 4, cap_w: float = 1600.0, **options: object) -> Plant:
    """HMS-400, every other one on the other DTU."""
    return make_plant(
        load_w,
        models_of(count),
        settings=Settings(max_feed_in_w=cap_w),
        is_warm=True,
        dtu_names=(LEFT, RIGHT),
        **options,  # type: ignore[arg-type]  # mixed fields
    )


def notes(plant: Plant) -> dict[str, str]:
    assert plant.controller.decision is not None
    return {i.serial: i.note for i in plant.controller.decision.plan.inverters}


def of(plant: Plant, dtu: str) -> list[str]:
    return [s for s, t in plant.controller.trackers.items() if t.unit.dtu == dtu]


def told(plant: Plant, dtu: str, since_s: float) -> list[object]:
    return [s.command for s in plant.controller.sent if s.command.serial in of(plant, dtu) and s.at_s > since_s]


# ---- one is silent


def test_while_one_dtu_is_silent_the_inverters_of_the_other_regulate_on():
    plant = two_dtus([700.0] * 120 + [500.0] * 200)
    plant.until(100.0)
    plant.run.silent.add(LEFT)
    plant.until(119.0)
    silent_s = plant.now_s
    plant.until(180.0)
    assert plant.house.grid_w == pytest.approx(10, abs=30)
    assert plant.reason is Reason.REGULATING
    assert told(plant, LEFT, silent_s) == []
    assert {s for s, note in notes(plant).items() if note == NOTES[Reason.DTU_SILENT]} == set(of(plant, LEFT))


def test_the_plant_rises_no_higher_than_the_inverters_that_can_be_commanded():
    plant = two_dtus([500.0] * 100 + [3000.0] * 200)
    plant.until(80.0)
    plant.run.silent.add(LEFT)
    plant.until(150.0)
    assert all(plant.house.inverters[s].limit_w == 400 for s in of(plant, RIGHT))
    assert plant.reason is Reason.ALL_AT_RATED


def test_only_when_none_answers_the_reason_says_so():
    plant = two_dtus([700.0] * 200)
    plant.until(60.0)
    plant.run.silent |= {LEFT, RIGHT}
    plant.until(90.0)
    assert plant.reason is Reason.DTU_SILENT


def test_a_silent_dtu_back_again_takes_part_and_nobody_was_switched_off_for_it():
    plant = two_dtus([1500.0] * 400, cap_w=1600.0)
    plant.until(100.0)
    plant.run.silent.add(LEFT)
    plant.until(200.0)
    plant.run.silent.clear()
    plant.house.load_w = [300.0] * 400
    plant.until(240.0)
    assert plant.powers() == []
    assert told(plant, LEFT, 200.0)
    assert plant.house.grid_w == pytest.approx(10, abs=30)


def test_an_only_inverter_that_comes_back_is_not_switched_off_to_make_room_for_itself():
    # Its limit is unknown then, so it may give its rated power: all that the cap allows.
    plant = make_plant([900.0] * 400, models_of(1, rated_w=800.0), settings=Settings(max_feed_in_w=800), is_warm=True)
    plant.until(60.0)
    inverter = next(iter(plant.house.inverters.values()))
    inverter.set_dc(plant.now_s, on=False)
    plant.until(160.0)
    inverter.set_dc(plant.now_s, on=True)
    plant.until(320.0)
    assert plant.powers() == []
    assert inverter.output_w > 700


# ---- the cap is that of both


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("happens", ["silent", "restart", "silent and restarted"])
def test_the_cap_holds_over_both_when_one_is_silent_or_restarts(happens: str, seed: int):
    plant = two_dtus(LOAD_W, cap_w=CAP_W, seed=seed, loss=0.02)
    left = plant.dtus[0]
    above_w: list[float] = []

    def look() -> None:
        above_w.append(plant.in_force_w - CAP_W)

    plant.until(150.0, look)
    if "silent" in happens:
        plant.run.silent.add(LEFT)
    plant.until(300.0, look)
    if "restart" in happens:
        left.reboot(outage_s=15.0)
    plant.until(500.0, look)
    plant.run.silent.clear()
    plant.until(900.0, look)
    assert plant.controller.watch.found == {}
    assert max(above_w) <= SLACK_W
    assert told(plant, RIGHT, 150.0), "or it proves nothing"
    assert told(plant, LEFT, 500.0), "or it proves nothing"
    assert max(dtu.counters.raised_or_repeated_while_pending for dtu in plant.dtus) == 0


def test_unknown_inverters_behind_a_dtu_that_never_answered_may_use_up_the_cap():
    plant = two_dtus([900.0] * 200, count=5, cap_w=CAP_W)
    plant.run.silent.add(LEFT)
    plant.until(60.0)
    assert plant.reason is Reason.CAP_UNREACHABLE
    assert not any(plant.house.inverters[s].is_on for s in of(plant, RIGHT))


def test_inverters_that_cannot_be_reached_leave_the_others_what_is_left_of_the_cap():
    plant = two_dtus([900.0] * 200, count=2, cap_w=700.0)
    plant.run.silent.add(LEFT)
    plant.until(60.0)
    assert plant.house.inverters[of(plant, RIGHT)[0]].limit_w == pytest.approx(300, abs=1)


# ---- one decision at a time, by hand

UNITS = [
    InverterParameters(f"1124a000000{n}", 20.0, 400.0, 400.0, 2.0, 8.0, 5.0, 210.0, dtu=dtu, radio=f"{dtu}/CMT")
    for n, dtu in enumerate((LEFT, RIGHT))
]


def see(now_s: float, grid_w: float = 0.0, limit_pct: float | None = 50.0, **dtus: DtuStatus) -> Seen:
    known = frozenset(u.serial for u in UNITS)
    both = {name: DtuStatus(now_s, serials=known) for name in (LEFT, RIGHT)} | dtus
    return Seen(
        now_s,
        MeterReading(now_s, grid_w),
        {u.serial: InverterStatus(u.serial, "", now_s, now_s, True, ac_power_w=200.0, dc_voltage_v=50) for u in UNITS},
        {u.serial: LimitStatus(u.serial, now_s, limit_pct, 400.0, CommandState.OK) for u in UNITS},
        both,
    )


def decide(controller: Controller, seen: Seen) -> Decision:
    decision = controller.decide(seen)
    for command in decision.commands:
        controller.posted(command, seen.now_s)
    return decision


@pytest.mark.parametrize("is_silent", [True, False], ids=["silent", "busy with a command"])
def test_while_one_dtu_is_not_free_the_inverter_of_the_other_falls_in_its_place(is_silent: bool):
    # What is known of the inverters of a silent DTU is still young here.
    controller = Controller(Settings(), UNITS, 0.0)
    decide(controller, see(19.0, grid_w=10.0))
    statuses = {LEFT: DtuStatus(4.0, serials=frozenset())} if is_silent else {}
    seen = see(20.0, -150.0, 50.0, **statuses)
    decision = decide(controller, replace(seen, busy=frozenset() if is_silent else frozenset({LEFT})))
    assert [c.serial for c in decision.commands] == [UNITS[1].serial]


@pytest.mark.parametrize("accepts", [True, False])
def test_nothing_is_sent_through_a_dtu_that_refuses_the_password(accepts: bool):
    controller = Controller(Settings(), UNITS, 0.0)
    left = DtuStatus(1.0, serials=frozenset(), accepts_password=accepts)
    commands = decide(controller, see(1.0, limit_pct=None, left=left)).commands
    assert {c.serial for c in commands} == {u.serial for u in UNITS if accepts or u.dtu == RIGHT}


@pytest.mark.parametrize(
    ("status", "note"),
    [
        pytest.param(DtuStatus(20.0), "its DTU does not answer", id="its limits were never read"),
        pytest.param(
            DtuStatus(20.0, serials=frozenset(), accepts_password=False), "its DTU refuses the password", id="password"
        ),
        pytest.param(DtuStatus(4.0, serials=frozenset()), "its DTU does not answer", id="16 s silent"),
        pytest.param(DtuStatus(20.0, serials=frozenset(), is_clock_set=False), "no fresh data", id="clock not set"),
    ],
)
def test_an_inverter_says_what_is_wrong_with_its_dtu(status: DtuStatus, note: str):
    controller = Controller(Settings(), UNITS, 0.0)
    plan = controller.decide(see(20.0, left=status)).plan
    assert [i.note for i in plan.inverters] == [note, ""]
    assert plan.reason is not Reason.DTU_SILENT


def test_each_dtu_has_its_own_patience():
    settings = Settings(dtus={LEFT: DtuSettings(silent_s=30.0)})
    controller = Controller(settings, UNITS, 0.0)
    late = DtuStatus(0.0, serials=frozenset())
    plan = controller.decide(see(20.0, left=late, right=late)).plan
    assert [i.note for i in plan.inverters] == ["", "its DTU does not answer"]


def test_the_battery_must_be_seen_as_long_as_one_dtu_reaches_an_inverter():
    controller = Controller(Settings(min_voltage_v=48.0), UNITS, 0.0)
    reasons = set()
    for now_s in range(0, 700, 10):
        seen = see(float(now_s), left=DtuStatus(-100.0))
        unseen = {s: InverterStatus(s, "", seen.now_s, seen.now_s, True) for s in seen.inverters}
        reasons.add(decide(controller, replace(seen, inverters=unseen)).plan.reason)
    assert Reason.BATTERY_UNSEEN in reasons


def test_a_used_up_budget_does_not_stand_before_the_rises_of_another_dtu():
    plant = two_dtus([300.0] * 60 + [900.0] * 200)
    plant.until(50.0)
    used = plant.controller.outbox.budgets[LEFT]
    while math.isfinite(used.rise_ws(plant.now_s + 30)):
        used.spend(plant.now_s)
    since_s = plant.now_s
    plant.until(75.0)
    assert told(plant, LEFT, since_s) == []
    assert plant.house.grid_w == pytest.approx(0, abs=60)


def test_a_limit_waits_for_its_own_radio_only():
    units = [
        InverterParameters(s, 20.0, 400.0, 400.0, 2.0, 8.0, 5.0, 210.0, radio=radio)
        for s, radio in (
            ("112400000001", "opendtu/CMT"),
            ("112100000001", "opendtu/NRF"),
            ("112400000002", "opendtu/CMT"),
        )
    ]
    controller = Controller(Settings(), units, 0.0)
    for unit in units:
        controller.posted(SetLimit(unit.serial, 100.0), 10.0)
    waits_s = [round(t.output._dead_time._received[-1][1] - 10.0, 2) for t in controller.trackers.values()]
    assert waits_s == [0.15, 0.15, 2.15]


def test_a_limit_that_was_lost_on_the_way_to_a_silent_dtu_is_not_missed_when_the_dtu_is_back():
    # The other DTU gives its part meanwhile. What is then found out of the lost limit changes nothing at the meter.
    plant = two_dtus([300.0] * 100 + [600.0] * 300, count=2, cap_w=800.0)
    plant.until(99.0)
    plant.run.silent |= {t.unit.dtu for t in plant.controller.trackers.values() if t.final_w < 100}
    silent_s = plant.now_s
    plant.until(160.0)
    assert plant.reason is Reason.ALL_AT_RATED, "a lost limit is no step that the meter must answer"
    lost = [
        s for s in plant.limits(silent_s) if plant.controller.trackers[s.command.serial].unit.dtu in plant.run.silent
    ]
    assert lost, "or it proves nothing"
    plant.run.silent.clear()
    plant.until(200.0)
    assert min(w for at_s, w in plant.grid_w if at_s > 160) > -50
