"""What the user sets on the GX, on a plant with virtual time."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.commands.command_policy import SetPower
from opendtu_dcload.control.overrides import with_overrides
from opendtu_dcload.control.protection.plant_guard import GuardSettings
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import Reason, UserOverrides
from tests.control.plant import Plant, make_plant, serials

FILE = Settings(target_w=10.0, max_feed_in_w=1200.0)


@pytest.fixture
def plant() -> Plant:
    plant = make_plant([700.0], settings=FILE, is_warm=True)
    plant.until(60.0)
    assert plant.in_force_w > 600
    return plant


def wish(plant: Plant, overrides: UserOverrides) -> float:
    """Apply wishes from now on and return the time in s."""
    plant.controller.settings = with_overrides(FILE, overrides)
    return plant.now_s


@given(st.floats(-500, 500), st.floats(-1e6, 1e6), st.floats(0, 10000))
def test_no_wish_raises_the_cap_of_the_file_or_takes_it_below_zero(target_w, wished_w, file_w):
    settings = with_overrides(Settings(max_feed_in_w=file_w), UserOverrides(max_feed_in_w=wished_w, target_w=target_w))
    assert 0 <= settings.max_feed_in_w <= file_w
    assert settings.target_w == target_w


def test_without_wishes_everything_is_as_in_the_file():
    assert with_overrides(FILE, UserOverrides()) == FILE


WISHES: dict[str, Any] = {
    "is_regulating": False,
    "max_feed_in_w": 300.0,
    "target_w": -20.0,
    "switched_off": frozenset({"a"}),
    "highest_soc_pct": 80.0,
    "surplus_soc_pct": 97.0,
}


@pytest.mark.parametrize("name", [field.name for field in fields(UserOverrides)])
def test_every_wish_reaches_the_settings_that_the_control_reads(name):
    settings = replace(FILE, guards=GuardSettings(surplus_soc_pct=95.0))
    wished = with_overrides(settings, UserOverrides(**{name: WISHES[name]}))
    assert WISHES[name] in (getattr(wished, name, None), getattr(wished.guards, name, None))


def test_regulation_off_takes_the_plant_to_its_minimum_within_seconds_and_on_again_regulates(plant):
    began_s = wish(plant, UserOverrides(is_regulating=False))
    plant.until(began_s + 10)
    assert plant.reason is Reason.SWITCHED_OFF
    assert plant.limits(began_s)[0].at_s - began_s <= 2
    assert plant.in_force_w == pytest.approx(60.0)
    assert not plant.powers(began_s), "the minimum, not off: power-on costs minutes"
    plant.until(began_s + 300)
    back_s = wish(plant, UserOverrides())
    plant.until(back_s + 40)
    assert plant.in_force_w > 600
    assert not plant.controller.watch.found


def test_a_lower_feed_in_is_obeyed_within_seconds(plant):
    began_s = wish(plant, UserOverrides(max_feed_in_w=300.0))
    plant.until(began_s + 10)
    assert plant.limits(began_s)[0].at_s - began_s <= 2
    assert plant.in_force_w <= 300
    assert plant.reason is Reason.FEED_IN_CAP
    assert not plant.controller.watch.found


def test_another_target_moves_the_grid_power_there(plant):
    began_s = wish(plant, UserOverrides(target_w=150.0))
    plant.until(began_s + 60)
    assert plant.grid_w[-1][1] == pytest.approx(150, abs=30)


def test_an_inverter_that_is_switched_off_is_powered_off_and_the_others_take_its_part(plant):
    unwanted = serials(3)[0]
    began_s = wish(plant, UserOverrides(switched_off=frozenset({unwanted})))
    plant.until(began_s + 120)
    assert [(s.command, s.at_s - began_s <= 2) for s in plant.powers(began_s)] == [(SetPower(unwanted, False), True)]
    assert not plant.house.inverters[unwanted].is_on
    assert plant.grid_w[-1][1] == pytest.approx(10, abs=40)
    assert plant.controller.decision is not None
    notes = {i.serial: (i.note, i.is_on) for i in plant.controller.decision.plan.inverters}
    assert notes[unwanted] == ("switched off by the user", False)
    back_s = wish(plant, UserOverrides())
    plant.until(back_s + 120)
    assert [s.command for s in plant.powers(back_s)] == [SetPower(unwanted, True)]
    assert plant.house.inverters[unwanted].output_w > 0
    assert not plant.controller.watch.found


def test_with_every_inverter_switched_off_the_plant_says_so_and_gives_nothing(plant):
    began_s = wish(plant, UserOverrides(switched_off=frozenset(serials(3))))
    plant.until(began_s + 30)
    assert plant.house.output_w == 0
    assert plant.reason is Reason.SWITCHED_OFF
    assert plant.controller.decision is not None
    assert plant.controller.decision.plan.setpoint_w == 0


def test_a_silent_meter_beats_the_wish_for_the_minimum(plant):
    began_s = wish(plant, UserOverrides(is_regulating=False))
    plant.run.has_meter = False
    plant.until(began_s + 310)
    assert plant.reason is Reason.METER_LOST_OFF
    assert plant.in_force_w == 0


@pytest.mark.parametrize(
    "feed_in_w", [pytest.param(60.0, marks=pytest.mark.long), 100.0, pytest.param(200.0, marks=pytest.mark.long)]
)
def test_a_plant_too_small_to_prove_anything_is_not_lowered_to_ask_the_meter(feed_in_w):
    plant = make_plant([600.0] * 6000, settings=FILE, is_warm=True)
    began_s = wish(plant, UserOverrides(max_feed_in_w=feed_in_w))
    asked: list[float] = []
    plant.until(
        began_s + 5000, lambda: asked.append(plant.now_s) if plant.controller.meter.response.is_probing else None
    )
    assert asked == []
    assert plant.house.output_w == pytest.approx(feed_in_w, abs=10)
