from __future__ import annotations

from collections.abc import Callable
from itertools import groupby, pairwise

import pytest

from opendtu_dcload.sim.plant.house import House
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.servers.meter_view import Channel, MeterView, Relay
from tests.sim.conftest import make_dtu


def feeding(load_w: float = 500.0) -> tuple[SimDtu, MeterView]:
    dtu = make_dtu([load_w])
    view = MeterView(dtu.house)
    dtu.advance(60.0)
    return dtu, view


def power_frozen(house: House) -> MeterView:
    view = MeterView(house)
    view.is_power_frozen = True
    return view


Answer = tuple[list[Channel], float | None]


def answers(dtu: SimDtu, make: Callable[[House], MeterView], seconds: int) -> list[Answer]:
    """What the meter tells each second."""
    view = make(dtu.house)
    seen: list[Answer] = []
    for second in range(seconds):
        dtu.advance(second + 1.0)
        seen.append((view.phases, view.frequency_hz))
    return seen


def longest_run(seen: list[Answer]) -> int:
    """How many answers in a row were the same to the bit."""
    return max(len(list(group)) for _, group in groupby(seen))


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


def test_meter_of_magnitudes_shows_export_as_import() -> None:
    dtu, view = feeding()
    view.unsigned = "sum"
    dtu.advance(62.0)
    assert view.total_w == pytest.approx(788 - 500, abs=0.11)
    view.unsigned = "phases"
    dtu.advance(64.0)
    assert view.total_w == pytest.approx((788 - 250) + 150 + 100, abs=0.11)
    assert min(view.phases_w) > 0


def test_blind_meter_shows_the_load_only() -> None:
    dtu, view = feeding()
    view.sees_inverters = False
    dtu.advance(62.0)
    assert view.total_w == pytest.approx(500)
    assert view.output_w == pytest.approx(788)


def test_a_healthy_meter_in_a_constant_house_moves_with_nearly_every_sample() -> None:
    # Voltage in steps of 0.1 V that differ from second to second: public logs of Pro 3EM, reference in shelly_meter.py.
    seen = answers(make_dtu([0.0], count=0), MeterView, seconds=600)
    assert longest_run(seen) <= 3
    assert len({phase.voltage_v for phases, _ in seen for phase in phases}) > 20
    assert {hz for _, hz in seen} <= {49.9, 50.0, 50.1}


def test_a_frozen_meter_gives_the_same_answer_to_the_bit_counters_too() -> None:
    dtu = make_dtu([100.0] * 10 + [900.0] * 10)
    view = MeterView(dtu.house)
    dtu.advance(9.0)
    view.is_frozen = True
    before = (view.phases, view.saved_phases, view.total, view.frequency_hz, view.power_w, view.serial)
    dtu.advance(200.0)
    assert (view.phases, view.saved_phases, view.total, view.frequency_hz, view.power_w, view.serial) == before
    view.is_frozen = False
    dtu.advance(202.0)
    assert view.total_w == pytest.approx(dtu.house.meter.power_w, abs=0.2)


def test_a_meter_whose_power_alone_is_frozen_moves_in_everything_else() -> None:
    seen = answers(make_dtu([100.0, 900.0] * 300), power_frozen, seconds=600)
    assert len({phase.power_w for phases, _ in seen for phase in phases[:1]}) == 1
    assert longest_run(seen) <= 3


@pytest.mark.parametrize("frozen_w", [0.0, 20.0, 150.0, 400.0, -88.0])
def test_a_meter_can_be_frozen_at_any_power(frozen_w: float) -> None:
    dtu, view = feeding()
    view.frozen_w, view.is_frozen = frozen_w, True
    dtu.advance(62.0)
    assert (view.power_w, view.total_w, view.total.power_w) == (frozen_w, frozen_w, frozen_w)


def test_a_meter_that_tells_only_watts_has_whole_numbers_and_nothing_else() -> None:
    dtu, view = feeding(500.3)
    view.tells_only_watts = True
    dtu.advance(62.0)
    assert view.power_w == view.total_w == round(view.total_w)
    assert view.frequency_hz is None
    for channel in (*view.phases, *view.saved_phases, view.total):
        assert channel.power_w == round(channel.power_w)
        assert (channel.voltage_v, channel.current_a, channel.imported_wh, channel.exported_wh) == (None,) * 4


@pytest.mark.parametrize("refresh_s", [2.0, 10.0, 15.0])
def test_a_slow_meter_answers_the_same_until_its_refresh(refresh_s: float) -> None:
    dtu = make_dtu([float(second) for second in range(300)])
    view = MeterView(dtu.house)
    view.refresh_s = refresh_s
    seen = []
    for second in range(100, 250):
        dtu.advance(second + 0.9)
        seen.append((view.phases, view.power_w))
    changes = [index for index in range(1, len(seen)) if seen[index] != seen[index - 1]]
    assert {after - before for before, after in pairwise(changes)} == {refresh_s}
    assert view.power_w == pytest.approx(dtu.house.meter.power_w, abs=refresh_s + 1)


def test_saved_counters_move_once_a_minute() -> None:
    dtu, view = feeding()
    saved = []
    for second in range(300):
        dtu.advance(60.0 + second)
        saved.append([phase.imported_wh for phase in view.saved_phases])
    assert sum(now != before for before, now in pairwise(saved)) == 5


def test_energy_is_counted_per_phase_however_rarely_anybody_asks() -> None:
    dtu, view = feeding()
    before = view.phases
    dtu.advance(3660.0)
    pairs = list(zip(view.phases, before, strict=True))
    imported = [(now.imported_wh or 0.0) - (then.imported_wh or 0.0) for now, then in pairs]
    exported = [(now.exported_wh or 0.0) - (then.exported_wh or 0.0) for now, then in pairs]
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
