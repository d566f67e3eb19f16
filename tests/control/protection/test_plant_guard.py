"""The guards beside the meter's, in the whole controller against the simulated plant."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from opendtu_dcload.control.commands.command_policy import SetLimit
from opendtu_dcload.control.overrides import with_overrides
from opendtu_dcload.control.protection.battery_guard import BatteryLimits
from opendtu_dcload.control.protection.plant_guard import ExternalInputs, GuardSettings
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import (
    BatteryStatus,
    CommandState,
    MultiplusStatus,
    Reason,
    RelayOrder,
    RelayStatus,
    SolarReading,
    UserOverrides,
)
from tests.control.plant import Plant, make_plant

DECIDED_W = 100.0
"""What a change of the cap may leave above it for the moment of one command."""


def plant_with(guards: GuardSettings, *, load_w: float = 800.0, cap_w: float = 1200.0, seconds: int = 3000) -> Plant:
    plant = make_plant([load_w] * seconds, settings=Settings(max_feed_in_w=cap_w, guards=guards), is_warm=True)
    plant.until(120.0)
    assert plant.house.grid_w == pytest.approx(10, abs=30)
    return plant


def order(plant: Plant) -> RelayOrder:
    assert plant.controller.decision is not None
    return plant.controller.decision.plan.relay


def are_on(plant: Plant) -> list[bool]:
    return [i.is_on for i in plant.house.inverters.values()]


def test_a_soc_that_falls_below_the_minimum_takes_the_plant_down_smoothly_and_up_again_above_the_hysteresis():
    plant = plant_with(GuardSettings(battery=BatteryLimits(min_soc_pct=20, soc_hysteresis_pct=5)))
    soc_pct = {"now": 19.0}
    plant.run.external = lambda now_s: ExternalInputs(battery=BatteryStatus(now_s, soc_pct=soc_pct["now"]))
    fell_s, outputs_w = plant.now_s, [plant.house.output_w]
    plant.until(fell_s + 120, lambda: outputs_w.append(plant.house.output_w))
    assert plant.house.output_w == 0
    assert plant.reason is Reason.MIN_SOC
    assert not any(are_on(plant))
    assert max(a - b for a, b in pairwise(outputs_w)) < 300, "it never falls by all at once"
    soc_pct["now"] = 24.5
    plant.until(plant.now_s + 200)
    assert not any(are_on(plant))
    soc_pct["now"] = 25.0
    plant.until(plant.now_s + 600)
    assert plant.house.grid_w == pytest.approx(10, abs=30)
    assert not plant.controller.watch.found


def test_a_discharge_limit_caps_the_plant_and_says_so():
    plant = plant_with(GuardSettings())
    plant.run.external = lambda now_s: ExternalInputs(
        battery=BatteryStatus(now_s, voltage_v=50.0, max_discharge_current_a=10.0)
    )
    plant.until(plant.now_s + 60)
    assert 350 < plant.house.output_w <= 450
    assert plant.reason is Reason.DISCHARGE_LIMIT


@pytest.mark.parametrize(
    ("dc_power_w", "reason"), [(300.0, Reason.MULTIPLUS_CHARGING), (-300.0, Reason.MULTIPLUS_INVERTING)]
)
def test_a_multiplus_at_work_stops_the_plant_until_it_rests(dc_power_w, reason):
    plant = plant_with(GuardSettings())
    plant.run.external = lambda now_s: ExternalInputs(multiplus=MultiplusStatus(now_s, dc_power_w=dc_power_w))
    plant.until(plant.now_s + 60)
    assert plant.reason is reason
    assert plant.house.output_w == 0
    plant.run.external = lambda now_s: ExternalInputs(multiplus=MultiplusStatus(now_s, dc_power_w=0.0))
    plant.until(plant.now_s + 240)
    assert plant.house.grid_w == pytest.approx(10, abs=30)


def test_a_battery_that_lets_next_to_nothing_out_ends_the_output_until_it_lets_out_more():
    plant = plant_with(GuardSettings())
    current_a = {"now": 0.1}
    plant.run.external = lambda now_s: ExternalInputs(
        battery=BatteryStatus(now_s, voltage_v=50.0, max_discharge_current_a=current_a["now"])
    )
    plant.until(plant.now_s + 60)
    assert plant.house.output_w == 0
    assert plant.reason is Reason.DISCHARGE_LIMIT
    current_a["now"] = 100.0
    plant.until(plant.now_s + 300)
    assert plant.house.grid_w == pytest.approx(10, abs=30)


def test_a_battery_that_refuses_and_allows_by_turns_is_switched_off_once():
    plant = plant_with(GuardSettings())
    began_s = plant.now_s
    plant.run.external = lambda now_s: ExternalInputs(
        battery=BatteryStatus(now_s, may_discharge=int(now_s - began_s) // 20 % 2 == 1)
    )
    plant.until(began_s + 30)
    switched = len(plant.powers())
    assert plant.house.output_w == 0
    assert switched == len(plant.house.inverters)
    plant.until(began_s + 900)
    assert plant.house.output_w == 0
    assert len(plant.powers()) == switched


def test_the_guard_beside_a_multiplus_can_be_switched_off():
    plant = plant_with(GuardSettings(battery=BatteryLimits(has_multiplus_guard=False)))
    plant.run.external = lambda now_s: ExternalInputs(multiplus=MultiplusStatus(now_s, dc_power_w=300.0))
    plant.until(plant.now_s + 60)
    assert plant.reason is Reason.REGULATING


def test_plug_in_solar_counts_into_the_cap_and_silent_it_counts_in_full():
    plant = plant_with(GuardSettings(solar_pessimistic_w=500.0), load_w=300.0, cap_w=1000.0)
    plant.house.load_w = [1500.0]
    plant.run.external = lambda now_s: ExternalInputs(solar=SolarReading(now_s, 203.0))
    plant.until(plant.now_s + 150)
    assert 700 < plant.house.output_w <= 790
    assert plant.reason is Reason.FEED_IN_CAP
    last_s = plant.now_s
    plant.run.external = lambda _: ExternalInputs(solar=SolarReading(last_s, 203.0))
    plant.until(last_s + 60)
    assert 400 < plant.house.output_w <= 500
    plant.run.external = lambda now_s: ExternalInputs(solar=SolarReading(now_s, 0.0))
    plant.until(plant.now_s + 120)
    assert 900 < plant.house.output_w <= 1000


FED_IN = GuardSettings(surplus_soc_pct=95.0, surplus_w=150.0)


@pytest.mark.parametrize(
    ("guards", "overrides", "grid_w"),
    [
        pytest.param(FED_IN, UserOverrides(), -140, id="the file wants it"),
        pytest.param(GuardSettings(), UserOverrides(surplus_soc_pct=50.0), 10, id="the file does not: no wish can"),
        pytest.param(FED_IN, UserOverrides(surplus_soc_pct=99.0), 10, id="a wish can ask for more SoC"),
    ],
)
def test_a_full_battery_feeds_the_surplus_in_only_when_wanted(guards, overrides, grid_w):
    plant = plant_with(guards)
    plant.controller.settings = with_overrides(plant.controller.settings, overrides)
    plant.run.external = lambda now_s: ExternalInputs(BatteryStatus(now_s, soc_pct=98.0))
    plant.until(plant.now_s + 120)
    assert plant.house.grid_w == pytest.approx(grid_w, abs=30)


SEASONAL = GuardSettings(is_seasonal=True, seasonal_highest_pct=80.0)


@pytest.mark.parametrize(
    ("guards", "overrides", "reason"),
    [
        pytest.param(SEASONAL, UserOverrides(), Reason.MIN_SOC, id="as the last run left it"),
        pytest.param(SEASONAL, UserOverrides(highest_soc_pct=110.0), Reason.MIN_SOC, id="no wish lowers it"),
        pytest.param(GuardSettings(), UserOverrides(highest_soc_pct=80.0), Reason.MIN_SOC, id="a wish means the same"),
        pytest.param(GuardSettings(), UserOverrides(highest_soc_pct=90.0), Reason.REGULATING, id="18 % are allowed"),
    ],
)
def test_a_battery_that_does_not_get_full_is_not_emptied_below_the_mirror_image(guards, overrides, reason):
    plant = plant_with(guards)
    plant.controller.settings = with_overrides(plant.controller.settings, overrides)
    plant.run.external = lambda now_s: ExternalInputs(BatteryStatus(now_s, soc_pct=27.0))
    plant.until(plant.now_s + 120)
    assert plant.reason is reason


# ---- escalation


def test_a_power_off_that_is_lost_opens_the_relay_and_is_told():
    plant = plant_with(GuardSettings())
    first = next(iter(plant.house.inverters.values()))
    relay = RelayStatus(0.0, is_on=True, has_timer=True)
    first.receive_power = lambda *_, **__: None  # type: ignore[method-assign]  # deaf to this command
    plant.run.external = lambda now_s: ExternalInputs(BatteryStatus(now_s, may_discharge=False), relay=relay)
    orders: dict[RelayOrder, float] = {}
    reasons: dict[Reason, float] = {}
    began_s = plant.now_s

    def note() -> None:
        orders.setdefault(order(plant), plant.now_s - began_s)
        reasons.setdefault(plant.reason, plant.now_s - began_s)

    plant.until(began_s + 300, note)
    assert first.output_w > 0
    assert len([s for s in plant.powers(began_s) if s.command.serial == first.model.serial]) >= 2, "it was repeated"
    assert orders[RelayOrder.HOLD] < 2, "not re-armed from the first moment on"
    assert 60 < orders[RelayOrder.OPEN] < 200
    assert reasons[Reason.GUARD_ESCALATED] == orders[RelayOrder.OPEN]


def test_the_open_relay_ends_it_and_closes_again_when_the_battery_allows_and_limits_rule():
    plant = plant_with(GuardSettings())
    first = next(iter(plant.house.inverters.values()))
    first.receive_power = lambda *_, **__: None  # type: ignore[method-assign]  # deaf to this command
    state = {"may_discharge": False, "is_on": True}
    plant.run.external = lambda now_s: ExternalInputs(
        BatteryStatus(now_s, may_discharge=state["may_discharge"]),
        relay=RelayStatus(now_s, is_on=state["is_on"], has_timer=True),
    )

    def obey() -> None:
        state["is_on"] = {RelayOrder.OPEN: False, RelayOrder.CONNECT: True}.get(order(plant), state["is_on"])
        for inverter in plant.house.inverters.values():
            inverter.set_grid(plant.now_s, on=state["is_on"])

    plant.until(plant.now_s + 200, obey)
    assert plant.house.output_w == 0
    assert plant.reason is Reason.GUARD_ESCALATED
    state["may_discharge"] = True
    plant.until(plant.now_s + 600, obey)
    assert state["is_on"]
    assert plant.house.grid_w == pytest.approx(10, abs=30)


def test_a_limit_that_has_no_effect_leads_to_power_off():
    plant = plant_with(GuardSettings())
    for inverter in plant.house.inverters.values():
        inverter.receive_limit = lambda *_: None  # type: ignore[method-assign]  # keeps what it has
    plant.run.external = lambda now_s: ExternalInputs(BatteryStatus(now_s, voltage_v=50.0, max_discharge_current_a=5.0))
    plant.until(plant.now_s + 120)
    assert not any(are_on(plant))
    assert order(plant) is RelayOrder.HOLD


# ---- relay


def test_behind_a_relay_that_opened_all_limits_are_set_and_acknowledged_before_it_may_close():
    plant = plant_with(GuardSettings())
    inverters = plant.house.inverters.values()
    relay = {"is_on": True}
    plant.run.external = lambda now_s: ExternalInputs(
        relay=RelayStatus(now_s, is_on=relay["is_on"], has_timer=relay["is_on"])
    )
    plant.until(plant.now_s + 5)
    assert order(plant) is RelayOrder.KEEP
    relay["is_on"] = False
    opened_s = plant.now_s
    for inverter in inverters:
        inverter.set_grid(opened_s, on=False)
    plant.until(opened_s + 1.5)
    assert plant.reason is Reason.RELAY_OPEN
    assert order(plant) is RelayOrder.KEEP
    while order(plant) is not RelayOrder.CONNECT and plant.now_s < opened_s + 60:
        plant.until(plant.now_s + 1)
    told = {s.command.serial: s.limit_w for s in plant.limits(opened_s) if isinstance(s.command, SetLimit)}
    assert told == dict.fromkeys(plant.house.inverters, pytest.approx(20.0))
    assert [b.limit_state for b in plant.dtu.believed.values()] == [CommandState.OK] * 3
    plant.until(plant.now_s + 300)
    assert plant.powers(opened_s) == [], "nobody is woken up in vain"
    relay["is_on"] = True
    for inverter in inverters:
        inverter.set_grid(plant.now_s, on=True)
    plant.until(plant.now_s + 120)
    assert plant.house.grid_w == pytest.approx(10, abs=30)


def test_a_relay_is_not_armed_while_unreachable_inverters_may_exceed_the_cap():
    plant = plant_with(GuardSettings(), load_w=700.0, cap_w=1000.0)
    plant.run.external = lambda now_s: ExternalInputs(relay=RelayStatus(now_s, is_on=True, has_timer=True))
    plant.until(plant.now_s + 30)
    plant.controller.settings = Settings(max_feed_in_w=150.0)
    for inverter in plant.house.inverters.values():
        inverter.set_dc(plant.now_s, on=False)
    plant.until(plant.now_s + 200)
    assert plant.reason is Reason.CAP_UNREACHABLE
    assert order(plant) is RelayOrder.HOLD


# ---- all together


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_beside_the_plant_no_rule_is_broken_and_it_comes_back(seed):
    rng = random.Random(seed)
    guards = GuardSettings(
        BatteryLimits(min_cell_voltage_v=3.0, min_soc_pct=20, resistance_ohm=0.01),
        is_seasonal=True,
        surplus_soc_pct=95,
        solar_pessimistic_w=300,
    )
    plant = plant_with(guards, load_w=600.0, cap_w=1000.0, seconds=8000)
    state = {"beside": ExternalInputs()}

    def anything() -> ExternalInputs:
        def one(*choices: float | None) -> float | None:
            return rng.choice(choices)

        now_s = plant.now_s
        battery = BatteryStatus(
            now_s - rng.choice((0, 0, 100)),
            soc_pct=one(None, 5, 19, 21, 50, 99),
            voltage_v=one(None, 0, 44, 52),
            current_a=one(None, -50, 50),
            power_w=one(None, -3000, -200, 1000),
            min_cell_voltage_v=one(None, 2.5, 3.01, 3.3),
            max_discharge_current_a=one(None, 0, 3, 12, 200),
            may_discharge=rng.choice((None, True, True, False)),
            ess_minimum_soc_pct=one(None, 10, 30),
        )
        multiplus = MultiplusStatus(now_s, dc_power_w=one(None, -500, 0, 0, 500))
        solar = SolarReading(now_s, rng.uniform(0, 600))
        return ExternalInputs(battery, multiplus, solar, RelayStatus(now_s, rng.random() < 0.7, has_timer=True))

    plant.run.external = lambda _: state["beside"]
    for _ in range(40):
        state["beside"] = anything()
        for inverter in plant.house.inverters.values():
            assert state["beside"].relay is not None
            inverter.set_grid(plant.now_s, on=state["beside"].relay.is_on)
        plant.until(plant.now_s + rng.uniform(1, 60))
    assert not plant.controller.watch.found
    for inverter in plant.house.inverters.values():
        inverter.set_grid(plant.now_s, on=True)
    plant.run.external = lambda now_s: ExternalInputs(
        BatteryStatus(now_s, soc_pct=60, voltage_v=52.0, min_cell_voltage_v=3.3, may_discharge=True),
        solar=SolarReading(now_s, 0.0),
        relay=RelayStatus(now_s, is_on=True, has_timer=True),
    )
    plant.until(plant.now_s + 4600)
    assert plant.house.grid_w == pytest.approx(10, abs=30)


# ---- a cap of nothing


@pytest.mark.parametrize("is_wish", [True, False], ids=["set to 0 on the GX", "plug-in solar gives it all"])
def test_a_feed_in_of_nothing_is_the_reason_and_a_relay_that_opens_for_it_is_no_trouble(is_wish):
    plant = plant_with(GuardSettings())
    now_wanted = {"max_feed_in_w": 0.0} if is_wish else {"guards": GuardSettings(solar_pessimistic_w=500.0)}
    plant.controller.settings = replace(plant.controller.settings, **now_wanted)
    relay = {"is_on": True}
    plant.run.external = lambda now_s: ExternalInputs(
        relay=RelayStatus(now_s, is_on=relay["is_on"], has_timer=relay["is_on"]), solar=SolarReading(now_s, 1300.0)
    )
    plant.until(plant.now_s + 60)
    assert are_on(plant) == [False] * 3
    assert (plant.reason, order(plant)) == (Reason.FEED_IN_CAP, RelayOrder.HOLD)
    relay["is_on"] = False
    for inverter in plant.house.inverters.values():
        inverter.set_grid(plant.now_s, on=False)
    plant.until(plant.now_s + 60)
    assert plant.reason is Reason.FEED_IN_CAP
