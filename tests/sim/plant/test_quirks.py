"""What Hoymiles inverters and OpenDTU are reported to do beside the rules, and that the controller lives with it."""

from __future__ import annotations

import pytest

from opendtu_dcload.control.controller import Controller
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.controller_alone import Run, unit_of

SERIAL = "1124a0000001"


def plant(load_w: float, **quirks: float) -> SimDtu:
    model = InverterModel(SERIAL, "HMS", dead_time_spread=0.0, **quirks)  # type: ignore[arg-type]  # by name
    return SimDtu(House([load_w], [model]), loss=0.0)


def regulated(dtu: SimDtu) -> Run:
    units = [unit_of(inverter.model) for inverter in dtu.house.inverters.values()]
    return Run(World(dtu.house, [dtu]), Controller(Settings(max_feed_in_w=2000), units, 0.0))


def test_half_the_inputs_give_half_the_limit():
    dtu = plant(1000.0, inputs=2, connected_inputs=1)
    dtu.advance(60.0)
    dtu.post_limit(SERIAL, 0, 200.0)
    dtu.advance(90.0)
    assert dtu.house.output_w == pytest.approx(0.5 * 200 * 0.985, abs=1)


def test_an_output_swings_around_what_its_limit_leads_to():
    dtu = plant(1000.0, swing_w=50.0, swing_period_s=20.0)
    dtu.advance(60.0)
    dtu.post_limit(SERIAL, 0, 200.0)
    dtu.advance(90.0)
    outputs_w = []
    for second in range(90, 130):
        dtu.advance(second)
        outputs_w.append(dtu.house.output_w)
    assert sum(outputs_w) / len(outputs_w) == pytest.approx(200 * 0.985, abs=5)
    assert 80 < max(outputs_w) - min(outputs_w) <= 100


def test_one_that_is_mute_hears_limits_and_gives_no_data():
    dtu = plant(1000.0)
    dtu.advance(60.0)
    dtu.house.inverters[SERIAL].is_mute = True
    dtu.post_limit(SERIAL, 0, 200.0)
    dtu.advance(120.0)
    assert dtu.house.output_w == pytest.approx(200 * 0.985, abs=1)
    assert dtu.believed[SERIAL].limit_pct == 50
    assert dtu.data_age_s(SERIAL) > 50


def test_temporary_limit_is_forgotten_after_a_while_by_firmware_that_does_so():
    dtu = plant(1000.0, falls_back_after_s=240.0)
    dtu.advance(60.0)
    dtu.post_limit(SERIAL, 0, 100.0)
    dtu.advance(290.0)
    assert dtu.house.output_w < 100
    dtu.advance(320.0)
    assert dtu.house.output_w == pytest.approx(394, abs=1)


def test_refresh_comes_before_the_limit_is_forgotten():
    run = regulated(plant(200.0, falls_back_after_s=240.0))
    grids_w = []
    while run.house.now_s < 1800:
        run.advance_second()
        if run.house.now_s > 120:
            grids_w.append(run.house.grid_w)
    assert min(grids_w) > -30
    assert max(grids_w) < 60


def test_inverter_that_stops_at_its_minimum_is_brought_back():
    run = regulated(plant(200.0, stops_below_w=30.0))
    while run.house.now_s < 600:
        run.advance_second()
    assert run.house.grid_w == pytest.approx(10, abs=30)


def test_too_many_limits_silence_the_inverter_for_a_while():
    dtu = plant(1000.0, endured_per_min=6)
    dtu.advance(30.0)
    for number in range(8):
        dtu.post_limit(SERIAL, 0, 100.0 + number)
        dtu.advance(dtu.house.now_s + 4)
    dtu.advance(dtu.house.now_s + 60)
    assert dtu.data_age_s(SERIAL) > 50
    dtu.advance(dtu.house.now_s + 120)
    assert dtu.data_age_s(SERIAL) < 10


def test_night_without_polling_freezes_the_values_and_takes_the_plant_to_its_minimum():
    dtu = plant(300.0)
    run = regulated(dtu)
    while run.house.now_s < 120:
        run.advance_second()
    dtu.is_polling = False
    assert dtu.house.inverters[SERIAL].limit_w > 100
    while run.house.now_s < 400:
        run.advance_second()
    assert not dtu.is_reachable(SERIAL)
    assert dtu.data_age_s(SERIAL) > 200
    assert dtu.house.inverters[SERIAL].limit_w == 20
