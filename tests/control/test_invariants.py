"""What must hold at every step, whatever happens to house, radio, inverters, meter and DTU."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

import pytest

from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import Reason
from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.runs.controller_alone import unit_of
from opendtu_dcload.sim.runs.invariants import SLACK_W
from tests.control.plant import Plant, make_plant, models_of

SEEDS = range(24)
ADVERSITY_S = 900
CALM_S = 90.0
"""The DTU polls each inverter within 30 s, and six inverters need 2 s of radio and a repetition each."""

# ---- a plant that everything happens to


def any_load(rng: random.Random, seconds: int) -> list[float]:
    """Steps, spikes and noise."""
    load_w: list[float] = []
    base_w = rng.uniform(50, 600)
    noise_w = rng.choice([0.0, 5.0, 60.0])
    while len(load_w) < seconds:
        level_w = base_w + rng.choice([0.0, 0.0, rng.uniform(0, 3000)])
        length = rng.choice([1, 3, 8, 30, 120])
        load_w += [max(0.0, level_w + rng.uniform(-noise_w, noise_w)) for _ in range(length)]
    return load_w[:seconds]


def any_plant(rng: random.Random, dtu_names: Sequence[str]) -> Plant:
    models: list[InverterModel] = []
    for number in range(1, rng.randint(1, 6) + 1):
        prefix, inputs, dead_s = rng.choice([("1124", 1, 2.0), ("1144", 2, 2.0), ("1164", 4, 3.0), ("1161", 4, 8.0)])
        models += models_of(1, prefix, rated_w=rng.choice([300.0, 400.0, 800.0, 1500.0]), dead_time_s=dead_s)
        models[-1] = InverterModel(
            **{
                **{slot: getattr(models[-1], slot) for slot in InverterModel.__slots__},
                "serial": f"{prefix}a00000{number:02d}",
                "inputs": inputs,
                "gain": rng.choice([0.985, 0.985, 0.9, 0.5]),
            }
        )
    units: list[InverterParameters] = [unit_of(m, 20.0 * m.inputs) for m in models]
    settings = Settings(max_feed_in_w=rng.choice([0.0, 50.0, 150.0, 800.0, rng.uniform(0, 1500)]))
    return make_plant(
        any_load(rng, ADVERSITY_S),
        models,
        settings=settings,
        units=units,
        seed=rng.randrange(1000),
        loss=rng.choice([0.0, 0.02, 0.1, 0.3]),
        poll_interval_s=rng.choice([1.0, 5.0]),
        dtu_names=dtu_names,
    )


class Adversity:
    """Lets something happen now and then, and knows since when nothing does."""

    def __init__(self, plant: Plant, rng: random.Random) -> None:
        self.plant = plant
        self.rng = rng
        self.next_s = rng.uniform(5, 60)
        self.quiet_since_s = 0.0

    def __call__(self) -> None:
        now_s = self.plant.now_s
        if now_s >= self.next_s:
            self._happen()
            self.quiet_since_s = now_s
            self.next_s = now_s + self.rng.choice([3.0, 20.0, 60.0, 200.0])
        self._check_cap(now_s)

    def _happen(self) -> None:
        run, house = self.plant.run, self.plant.house
        if self.rng.random() < 0.6:
            run.has_meter = True
            run.silent.clear()
            run.meter.sign = 1
        serial = self.rng.choice(list(house.inverters))
        dtu = run.world.dtu_of(serial)
        inverter = house.inverters[serial]
        match self.rng.randrange(7):
            case 0:
                run.has_meter = not run.has_meter
            case 1:
                run.silent ^= {dtu.name}
            case 2:
                dtu.boot()
            case 3 | 4:
                inverter.set_dc(house.now_s, on=not inverter.has_dc)
            case 5:
                run.meter.sign = -run.meter.sign
            case _:
                counted = dtu.counters.raised_or_repeated_while_pending
                dtu.post_limit(serial, 0, self.rng.uniform(1, inverter.model.rated_w))
                dtu.counters.raised_or_repeated_while_pending = counted  # the other master's is not ours

    def _check_cap(self, now_s: float) -> None:
        plant = self.plant
        if plant.run.silent or plant.dtus[0].loss > 0.1 or now_s - self.quiet_since_s < CALM_S:
            return
        cap_w = plant.controller.settings.max_feed_in_w
        trackers = plant.controller.trackers.values()
        if any(not plant.house.inverters[t.unit.serial].has_dc for t in trackers):
            return  # an unreachable one may exceed the cap alone
        if plant.in_force_w > cap_w + SLACK_W * len(plant.house.inverters):
            plant.controller.watch.note(
                "in force", f"t={now_s:.0f} {plant.in_force_w:.0f} W, cap {cap_w:.0f} W ({plant.reason})"
            )


@cache
def adversity(seed: int) -> Plant:
    """Every third plant has two DTUs."""
    rng = random.Random(seed)
    plant = any_plant(rng, ("left", "right") if seed % 3 == 0 else ("opendtu",))
    plant.until(float(ADVERSITY_S), Adversity(plant, rng))
    return plant


def counted(what: str, seed: int) -> int:
    return sum(getattr(dtu.counters, what) for dtu in adversity(seed).dtus)


def found(kind: str) -> list[str]:
    return [f"seed {s}: {text}" for s in SEEDS for text in adversity(s).controller.watch.found.get(kind, [])]


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("plan", id="a plan is finite and has a reason"),
        pytest.param("range", id="each limit lies between minimum and maximum"),
        pytest.param("cap", id="no command takes the possible output above the cap"),
        pytest.param("in force", id="soon the limits in force are within the cap"),
        pytest.param("raise", id="no raise while the meter is older than 5 s"),
        pytest.param("on without meter", id="nobody is switched on while the meter is older than 5 s"),
        pytest.param("repeat", id="the same value is not sent again within 60 s"),
    ],
)
def test_whatever_happens(kind):
    wrong = found(kind)
    assert not wrong, f"{len(wrong)} times, such as:\n" + "\n".join(wrong[:6])


def test_whatever_happens_nothing_is_raised_or_repeated_while_pending():
    wrong = {s: n for s in SEEDS if (n := counted("raised_or_repeated_while_pending", s))}
    assert not wrong


def test_whatever_happens_no_persistent_limit_is_sent():
    assert sum(counted("limits", s) for s in SEEDS) > 200, "or it proves nothing"
    assert sum(counted("persistent", s) for s in SEEDS) == 0


def test_the_counters_see_what_must_not_happen():
    dtu = SimDtu(House([500.0], models_of(1)), loss=0.0)
    serial = dtu.serials[0]
    dtu.post_limit(serial, 0, 100.0)
    dtu.post_limit(serial, 0, 100.0)
    dtu.post_limit(serial, 0, 200.0)
    assert dtu.counters.raised_or_repeated_while_pending == 2
    dtu.post_limit(serial, 2, 50.0)
    assert dtu.counters.persistent == 1
    assert dtu.counters.lowered_while_pending == 1


# ---- start


def test_at_start_nothing_is_sent_where_the_acknowledged_limits_are_at_the_minimum():
    # A program that fails again and again at its start must not keep the radio busy.
    plant = make_plant([60.0] * 60, is_warm=True)
    plant.until(30.0)
    assert plant.controller.sent == []


def test_at_start_a_higher_limit_is_sent_once_though_it_is_the_one_shown():
    # What is shown may never have ruled; once it is ours and acknowledged, it is known.
    plant = make_plant([297.0] * 60, is_warm=True)
    plant.set_limits([100.0, 100.0, 100.0])
    plant.until(30.0)
    assert sorted(s.command.serial for s in plant.limits()) == sorted(plant.house.inverters)
    assert plant.house.grid_w == pytest.approx(0, abs=20)


def test_at_start_known_limits_above_the_cap_are_lowered():
    plant = make_plant([2000.0] * 60, settings=Settings(max_feed_in_w=600), is_warm=True)
    plant.set_limits([400.0] * 3)
    plant.until(20.0)
    assert plant.in_force_w <= 600.0


def test_a_cap_exceeded_by_less_than_a_command_is_worth_is_exceeded_all_the_same():
    plant = make_plant([2000.0] * 60, settings=Settings(max_feed_in_w=800), is_warm=True)
    plant.set_limits([267.6] * 3)
    plant.until(30.0)
    assert plant.in_force_w <= 800.0 + SLACK_W


@pytest.mark.parametrize("cap_w", [800.0, 100.0, 50.0, 30.0, 0.0])
def test_from_a_cold_start_the_limits_in_force_come_below_the_cap(cap_w):
    plant = make_plant([2000.0] * 60, settings=Settings(max_feed_in_w=cap_w))
    plant.until(60.0)
    assert plant.in_force_w <= cap_w + SLACK_W
    on = sum(i.is_on for i in plant.house.inverters.values())
    assert on == min(3, cap_w // 20), "inverters are off only where their minima do not fit"


def test_an_inverter_given_more_than_its_maximum_by_somebody_is_brought_back():
    models = models_of(2)
    units = [
        InverterParameters(m.serial, 20, 300, 400, dead_time_s=2, credit_s=8, raise_spacing_s=5, refresh_s=210)
        for m in models
    ]
    plant = make_plant([450.0] * 400, models, units=units)
    plant.set_limits([400.0, 40.0])
    plant.until(60.0)
    assert [i.limit_w <= 300 for i in plant.house.inverters.values()] == [True, True]


# ---- DTU and inverter restarts


@pytest.mark.parametrize("prefix", ["1124", "1121"])
def test_after_a_dtu_boot_each_inverter_gets_its_minimum_soon(prefix):
    plant = make_plant([800.0] * 700, models_of(3, prefix), is_warm=True)
    plant.until(120.0)
    boot_s = plant.now_s
    plant.dtu.boot()
    plant.until(boot_s + 60)
    lowest_w = {
        serial: min((s.limit_w for s in plant.limits(boot_s) if s.command.serial == serial), default=None)
        for serial in plant.dtu.serials
    }
    assert set(lowest_w.values()) == {20.0}


def test_an_unknown_limit_is_answered_once_not_at_each_reading():
    plant = make_plant([800.0] * 300, is_warm=True)
    for believed in plant.dtu.believed.values():
        believed.limit_pct = 0.0
    plant.dtu.commands_enabled = False
    plant.until(200.0)
    assert len(plant.limits()) == 3


def test_when_nothing_was_known_at_start_all_inverters_take_part_soon():
    # An acknowledged limit in W stays unknown while the DTU does not know the rated power yet.
    plant = make_plant([1000.0] * 300)
    plant.until(90.0)
    assert plant.house.grid_w == pytest.approx(10, abs=60), f"{plant.reason}"


def test_an_inverter_that_restarted_at_the_minimum_is_told_its_limit_again():
    # Its persistent limit rules now, 100 %, and the DTU goes on showing the old one.
    plant = make_plant([30.0] * 900, models_of(1, "1121"), is_warm=True)
    plant.until(120.0)
    inverter = next(iter(plant.house.inverters.values()))
    inverter.set_dc(plant.now_s, on=False)
    plant.until(180.0)
    inverter.set_dc(plant.now_s, on=True)
    plant.until(260.0)
    assert inverter.limit_w <= 35, f"{plant.house.grid_w:.0f} W at the meter"


def test_an_inverter_that_restarted_too_quickly_to_be_missed_is_told_its_limit_again():
    # Its output stays far above the limit for several fresh samples: the limit was lost. At the minimum nothing lower
    # is wanted, and a refresh is not due yet.
    plant = make_plant([10.0] * 900, models_of(1, "1121", power_on_wait_s=1.0), is_warm=True)
    plant.until(120.0)
    inverter = next(iter(plant.house.inverters.values()))
    inverter.restart(plant.now_s)
    plant.until(190.0)
    assert inverter.limit_w <= 35, f"{plant.house.grid_w:.0f} W at the meter"


def test_while_the_dtu_swallows_commands_they_are_not_repeated_at_once():
    plant = make_plant([800.0] * 400, is_warm=True)
    plant.until(60.0)
    plant.dtu.commands_enabled = False
    plant.house.load_w = [300.0] * 400
    plant.until(180.0)
    assert plant.controller.watch.found.get("repeat", [])[:3] == []


def test_another_master_is_named():
    plant = make_plant([800.0] * 400, is_warm=True)
    plant.until(60.0)
    serial = plant.dtu.serials[0]
    reasons = set()
    for _ in range(6):
        plant.dtu.post_limit(serial, 0, 33.0)
        plant.until(plant.now_s + 20, lambda: reasons.add(plant.reason))
    assert Reason.FOREIGN_LIMITS in reasons
