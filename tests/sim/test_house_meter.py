from __future__ import annotations

import pytest

from opendtu_dcload.sim.dtu import SimDtu
from opendtu_dcload.sim.shelly_meter import MeterView, Relay
from tests.sim.conftest import make_dtu


def feeding(load_w: float = 500.0) -> tuple[SimDtu, MeterView]:
    dtu = make_dtu([load_w])
    view = MeterView(dtu.house)
    dtu.advance(60.0)
    return dtu, view


def test_meter_shows_load_less_output() -> None:
    dtu, view = feeding()
    assert dtu.house.output_w == pytest.approx(788)
    assert view.total_w == pytest.approx(500 - 788, abs=0.11)


def test_meter_holds_its_sample_for_a_second() -> None:
    dtu = make_dtu([100.0] * 10 + [900.0] * 10)
    values = []
    view = MeterView(dtu.house)
    for tenth in range(100, 130):
        dtu.advance(tenth / 10)
        values.append(view.total_w)
    assert len(set(values)) == 3  # before the step, the second that has the step in it, after it


def test_inverters_feed_the_first_phase_and_the_phases_make_up_the_total() -> None:
    _, view = feeding()
    first_w, second_w, third_w = view.phases_w
    assert (second_w, third_w) == (150, 100)
    assert first_w == pytest.approx(250 - 788, abs=0.11)
    assert view.total_w == round(first_w + second_w + third_w, 1)


def test_reversed_meter_shows_the_opposite() -> None:
    dtu, view = feeding()
    right_w = view.total_w
    view.sign = -1
    dtu.advance(62.0)
    assert view.total_w == -right_w


def test_blind_meter_shows_the_load_only() -> None:
    dtu, view = feeding()
    view.sees_inverters = False
    dtu.advance(62.0)
    assert view.total_w == pytest.approx(500)
    assert view.output_w == pytest.approx(788)


def test_frozen_meter_stays_as_it_is_while_the_house_changes() -> None:
    dtu = make_dtu([100.0] * 10 + [900.0] * 10)
    view = MeterView(dtu.house)
    dtu.advance(9.0)
    before_w, view.is_frozen = view.total_w, True
    dtu.advance(18.0)
    assert view.total_w == before_w
    assert dtu.house.meter.power_w != pytest.approx(before_w)


def test_energy_is_counted_per_phase_however_rarely_anybody_asks() -> None:
    dtu, view = feeding()
    before = view.phases
    dtu.advance(3660.0)
    imported = [now.imported_wh - then.imported_wh for now, then in zip(view.phases, before, strict=True)]
    exported = [now.exported_wh - then.exported_wh for now, then in zip(view.phases, before, strict=True)]
    assert imported == pytest.approx([0, 150, 100], abs=0.5)
    assert exported == pytest.approx([538, 0, 0], abs=0.5)


def test_relay_timer_flips_it_back_and_sending_again_restarts_it() -> None:
    relay = Relay()
    relay.switch(0.0, on=True, flip_after_s=900.0)
    relay.switch(800.0, on=True, flip_after_s=900.0)
    relay.update(1699.0)
    assert relay.is_on
    assert relay.remaining_s(1699.0) == 1.0
    relay.update(1700.0)
    assert not relay.is_on
    assert relay.remaining_s(1700.0) == 0.0
