from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.regulation.forecast import (
    FORGET_S,
    KEPT,
    RULES_S,
    SETTLED_S,
    SPIKE_S,
    SPIKES,
    STAYS,
    Forecast,
    Gains,
    Layer,
)
from opendtu_dcload.control.regulation.regulator import EXPORT_WEIGHT
from opendtu_dcload.model import Priority

LAG_S = 3.0
BASE_W, PULSE_W, TOP_W = 200.0, 1000.0, 1500.0
BALANCED = EXPORT_WEIGHT[Priority.BALANCED]


def swinging(on_s: float, off_s: float, *, ends_on: bool, cycles: int = 20) -> tuple[Layer, float]:
    """A layer that went on and off evenly, and when it last did."""
    at_s = 0.0
    layer = Layer(at_s, is_on=False)
    for _ in range(cycles):
        at_s += off_s
        layer.turn(at_s)
        at_s += on_s
        layer.turn(at_s)
    if ends_on:
        at_s += off_s
        layer.turn(at_s)
    assert layer.is_on == ends_on
    return layer, at_s


def house(on_s: float, off_s: float, cycles: int = 20) -> tuple[Forecast, float]:
    """A house whose load swings between base and pulse, just off."""
    forecast = Forecast()
    at_s = 0.0
    for _ in range(cycles):
        forecast.add_load(at_s, BASE_W, BASE_W, TOP_W)
        forecast.add_load(at_s + off_s, PULSE_W, PULSE_W, TOP_W)
        at_s += off_s + on_s
    forecast.add_load(at_s, BASE_W, BASE_W, TOP_W)
    return forecast, at_s


def gains_of(forecast: Forecast, now_s: float, export_weight: float = BALANCED) -> Gains:
    return forecast.gains(now_s, lambda _: LAG_S, export_weight)


# ---- one layer


def test_a_layer_of_even_pulses_is_forecast_on_before_it_goes_on():
    layer, off_s = swinging(15, 15, ends_on=False)
    assert layer.share_on(off_s + 1, LAG_S) < 0.1
    assert layer.share_on(off_s + 12, LAG_S) > 0.9


def test_a_layer_of_even_pulses_is_forecast_off_before_it_goes_off():
    layer, on_s = swinging(15, 15, ends_on=True)
    assert layer.share_on(on_s + 1, LAG_S) > 0.9
    assert layer.share_on(on_s + 12, LAG_S) < 0.1


def test_the_later_a_command_acts_the_earlier_the_change_is_forecast():
    layer, off_s = swinging(15, 15, ends_on=False)
    assert layer.share_on(off_s + 4, LAG_S) < 0.1
    assert layer.share_on(off_s + 4, LAG_S + 8) > 0.9


@pytest.mark.parametrize("ends_on", [True, False])
def test_a_drum_of_4_s_each_12_s_is_never_worth_following_at_balanced(ends_on):
    layer, turned_s = swinging(4, 8, ends_on=ends_on)
    shares = [layer.share_on(turned_s + age_s / 2, LAG_S) for age_s in range(8 if ends_on else 16)]
    assert max(shares) < BALANCED / (1 + BALANCED)
    assert max(shares) > 0.2, "it does come on again"


@pytest.mark.parametrize("is_on", [True, False])
@pytest.mark.parametrize("age_s", [2, 30, 3000])
def test_what_is_not_known_yet_stays(is_on, age_s):
    assert Layer(0.0, is_on=is_on).share_on(age_s, LAG_S) == is_on


def test_what_has_just_changed_for_the_first_time_may_be_a_spike():
    layer = Layer(0.0, is_on=False)
    layer.turn(100.0)
    assert 0.5 < layer.share_on(101.0, LAG_S) < 0.8
    assert layer.share_on(102.0, LAG_S) == 1.0


@given(st.lists(st.floats(0.5, 40.0), min_size=3, max_size=60), st.floats(0.1, 30.0), st.floats(0.5, 20.0))
def test_the_share_is_the_mean_of_what_came_after_each_earlier_time_that_lasted_as_long(spans_s, age_s, lag_s):
    layer, turned_s = Layer(0.0, is_on=False), [0.0]
    for span_s in spans_s:
        turned_s.append(turned_s[-1] + span_s)
        layer.turn(turned_s[-1])
    turned_s = turned_s[-2 * KEPT :]
    now_s = turned_s[-1] + age_s
    age_s = now_s - turned_s[-1]
    alike = [(begin_s, end_s) for begin_s, end_s in pairwise(turned_s)][-2::-2]
    same, total = STAYS, STAYS + (SPIKES if age_s < SPIKE_S else 0.0)
    for begin_s, end_s in alike:
        until_s = begin_s + age_s + lag_s + RULES_S
        if end_s - begin_s > age_s and until_s <= now_s:
            spent_s = sum(
                max(0.0, min(later_end_s, until_s) - max(later_begin_s, until_s - RULES_S))
                for later_begin_s, later_end_s in [*alike, (turned_s[-1], now_s)]
                if later_begin_s >= begin_s
            )
            weight = math.exp((begin_s - now_s) / FORGET_S)
            same, total = same + weight * spent_s / RULES_S, total + weight
    expected = same / total if layer.is_on else 1 - same / total
    assert layer.share_on(now_s, lag_s) == pytest.approx(expected, abs=1e-9)


def test_what_lasts_longer_than_ever_before_stays():
    layer, on_s = swinging(15, 15, ends_on=True)
    assert layer.share_on(on_s + 14, LAG_S) < 0.1
    assert layer.share_on(on_s + 16, LAG_S) == 1.0


def test_what_has_lasted_long_goes_on_whatever_happened_before():
    layer, on_s = swinging(SETTLED_S + 100, 15, ends_on=True)
    assert layer.share_on(on_s + SETTLED_S - LAG_S, LAG_S + 100) < 1.0
    assert layer.share_on(on_s + SETTLED_S + 1, LAG_S + 100) == 1.0


def test_only_the_last_24_pulses_count():
    layer, at_s = swinging(15, 5, ends_on=True, cycles=40)
    for _ in range(24):
        at_s += 30
        layer.turn(at_s)
        at_s += 5
        layer.turn(at_s)
    assert layer.share_on(at_s + 12, LAG_S) > 0.9, "the 40 pulses of 15 s are forgotten"


def test_a_pulse_counts_only_when_it_is_known_what_came_then():
    again, alone = Layer(0.0, is_on=False), Layer(0.0, is_on=False)
    for turned_s in (100.0, 101.0, 101.5):
        again.turn(turned_s)
    alone.turn(101.5)
    assert again.share_on(101.9, LAG_S) == alone.share_on(101.9, LAG_S)


@given(st.lists(st.floats(0, 2000), max_size=120), st.booleans(), st.floats(0, 2000), st.floats(0, 90))
def test_a_share_is_a_share_whatever_happened(waits_s, is_on, age_s, lag_s):
    at_s = 0.0
    layer = Layer(at_s, is_on=is_on)
    for wait_s in waits_s:
        at_s += wait_s
        layer.turn(at_s)
    assert -1e-9 <= layer.share_on(at_s + age_s, lag_s) <= 1 + 1e-9


# ---- all layers


def test_a_kettle_is_worth_following_from_its_third_second_to_its_end():
    forecast = Forecast()
    forecast.add_load(0.0, BASE_W, BASE_W, 3000.0)
    forecast.add_load(600.0, 2200.0, 2200.0, 3000.0)
    for at_s in (603.0, 700.0, 779.0):
        bottom_w, top_w = gains_of(forecast, at_s).best_w()
        assert bottom_w < 2200 <= top_w
    forecast.add_load(780.0, BASE_W, BASE_W, 3000.0)
    bottom_w, top_w = gains_of(forecast, 780.0).best_w()
    assert bottom_w < BASE_W <= top_w, "its end is believed at once"


@pytest.mark.parametrize(
    ("on_s", "followed_by"),
    [
        pytest.param(2.0, set(), id="one fourth on"),
        pytest.param(3.5, {Priority.NO_IMPORT}, id="0.44 on"),
        pytest.param(6.2, {Priority.NO_IMPORT, Priority.BALANCED}, id="0.78 on"),
        pytest.param(7.5, set(Priority), id="0.94 on"),
    ],
)
def test_the_priority_shifts_how_often_a_load_must_be_there_to_be_followed(on_s, followed_by):
    # In periods of 8 s, as long as a command rules at least, no moment of the period tells more than any other.
    forecast, off_s = house(on_s, 8 - on_s)
    now_s = off_s + (8 - on_s) / 2
    best_w = {priority: gains_of(forecast, now_s, EXPORT_WEIGHT[priority]).best_w() for priority in Priority}
    for priority, (bottom_w, top_w) in best_w.items():
        expected_w = PULSE_W if priority in followed_by else BASE_W
        assert bottom_w < expected_w <= top_w, priority


@pytest.mark.parametrize(
    ("priority", "threshold"), [(Priority.NO_EXPORT, 6 / 7), (Priority.BALANCED, 2 / 3), (Priority.NO_IMPORT, 1 / 3)]
)
def test_a_layer_breaks_even_at_the_share_that_the_priority_sets(priority, threshold):
    # Any 8 s of this contain the share; what is not known yet moves the forecast by less than the 0.06.
    weight = EXPORT_WEIGHT[priority]
    for share, sign in ((threshold + 0.06, 1), (threshold - 0.06, -1)):
        forecast, off_s = house(8 * share, 8 * (1 - share), cycles=60)
        saved_w = gains_of(forecast, off_s + 4 * (1 - share), weight).saved_w(500, 501)
        assert saved_w * sign > 0


def test_nothing_but_load_is_worth_giving():
    forecast = Forecast()
    forecast.add_load(0.0, 500.0, 500.0, TOP_W)
    gains = gains_of(forecast, 10.0)
    bottom_w, top_w = gains.best_w()
    assert bottom_w < 500 <= top_w
    assert gains.saved_w(0, 400) == pytest.approx(400)
    assert gains.saved_w(600, 1000) == pytest.approx(-400 * BALANCED)


@pytest.mark.parametrize("load_w", [0.0, -700.0])
def test_a_house_that_gives_power_itself_is_given_none(load_w):
    forecast = Forecast()
    forecast.add_load(0.0, load_w, load_w, TOP_W)
    assert gains_of(forecast, 10.0).best_w() == (0.0, 0.0)


@given(st.floats(-100, 2000), st.floats(-100, 2000), st.floats(-100, 2000))
def test_what_is_saved_adds_up_and_the_way_back_costs_it(a_w, b_w, c_w):
    forecast, off_s = house(15, 15)
    gains = gains_of(forecast, off_s + 9)
    assert gains.saved_w(a_w, b_w) + gains.saved_w(b_w, c_w) == pytest.approx(gains.saved_w(a_w, c_w), abs=1e-6)
    assert gains.saved_w(a_w, b_w) == -gains.saved_w(b_w, a_w)
    assert gains.saved_w(a_w, a_w) == 0


def test_the_best_output_is_the_one_that_saves_most():
    # A load that stays, above one that is known to come for some seconds only.
    gains = Gains([0.0, 10.0, 20.0, 30.0], [1.0, -0.5, 1.0])
    assert max((0, 10, 20, 30), key=lambda output_w: gains.saved_w(0, output_w)) == 30
    assert gains.best_w() == (20.0, 30.0)


def test_an_ambiguous_reading_leaves_the_layers_in_between_as_they_were():
    seen, unseen = Forecast(), Forecast()
    for forecast in (seen, unseen):
        forecast.add_load(0.0, BASE_W, BASE_W, TOP_W)
        forecast.add_load(100.0, 500.0, 500.0, TOP_W)
    for second in range(20):
        seen.add_load(101.0 + second, 300.0, 800.0, TOP_W)
    for weight in EXPORT_WEIGHT.values():
        for output_w in range(0, int(TOP_W), 50):
            now, before = (gains_of(f, 122.0, weight).saved_w(0, output_w) for f in (seen, unseen))
            assert now == before


def test_an_ambiguous_reading_tells_of_the_layers_above_and_below_it():
    forecast = Forecast()
    forecast.add_load(0.0, 500.0, 500.0, TOP_W)
    forecast.add_load(100.0, 600.0, 1000.0, TOP_W)
    assert gains_of(forecast, 110.0).saved_w(450, 590) == pytest.approx(140), "at least 600 W are there"
    assert gains_of(forecast, 110.0).saved_w(650, 1000) == pytest.approx(-350 * BALANCED), "more is not certain"
    forecast.add_load(200.0, 100.0, 300.0, TOP_W)
    assert gains_of(forecast, 210.0).saved_w(320, 590) == pytest.approx(-270 * BALANCED), (
        "more than 300 W are not there"
    )
    assert gains_of(forecast, 210.0).saved_w(110, 290) == pytest.approx(180), "less is not certain"


def test_a_ceiling_higher_than_all_before_adds_layers_and_keeps_the_others():
    forecast = Forecast()
    forecast.add_load(0.0, 1600.0, 1600.0, 1000.0)
    assert gains_of(forecast, 10.0).saved_w(0, 5000) == pytest.approx(1000, abs=30)
    forecast.add_load(20.0, 1600.0, 1600.0, 2000.0)
    gains = gains_of(forecast, 30.0)
    bottom_w, top_w = gains.best_w()
    assert bottom_w < 1600 <= top_w
    assert gains.saved_w(0, 1550) == pytest.approx(1550)
    forecast.add_load(40.0, 1600.0, 1600.0, 500.0)
    assert gains_of(forecast, 50.0).best_w() == (bottom_w, top_w), "a lower ceiling takes none away"


def test_after_a_reset_it_knows_as_little_as_at_the_start():
    forecast, off_s = house(15, 15)
    fresh = Forecast()
    forecast.reset()
    assert gains_of(forecast, off_s).best_w() == (0.0, 0.0)
    for either in (forecast, fresh):
        either.add_load(off_s + 10, BASE_W, BASE_W, TOP_W)
    now, new = (gains_of(f, off_s + 22) for f in (forecast, fresh))
    assert now.best_w() == new.best_w()
    assert [now.saved_w(0, w) for w in range(0, 1500, 100)] == [new.saved_w(0, w) for w in range(0, 1500, 100)]


@given(
    st.lists(st.tuples(st.floats(0, 1000), st.floats(-1e5, 1e5), st.just(0.0) | st.floats(0, 1e4)), max_size=40),
    st.floats(0, 3000),
    st.floats(0, 90),
)
def test_whatever_is_read_no_layer_is_worth_more_than_all_or_less_than_nothing(readings, top_w, lag_s):
    forecast = Forecast()
    at_s = 0.0
    for wait_s, low_w, spread_w in readings:
        at_s += wait_s
        forecast.add_load(at_s, low_w, low_w + spread_w, top_w)
        gains = forecast.gains(at_s, lambda _: lag_s, 0.0)
        assert all(-1e-9 <= gains.saved_w(w, w + 100) <= 100 + 1e-6 for w in range(0, 3000, 100))
        bottom_w, best_w = forecast.gains(at_s, lambda _: lag_s, BALANCED).best_w()
        assert 0 <= bottom_w <= best_w <= top_w + max(10.0, 0.025 * top_w)


# ---- the first part of a fall


def fallen(*, to_w: float, first_w: float = PULSE_W, then_s: float = 60.0) -> Forecast:
    """Base, then to `first_w` and a second later to the pulse; `then_s` later a reading of `to_w`."""
    forecast = Forecast()
    for at_s, load_w in ((0.0, BASE_W), (100.0, first_w), (101.0, PULSE_W), (101.0 + then_s, to_w)):
        forecast.add_load(at_s, load_w, load_w, TOP_W)
    return forecast


def test_when_part_of_what_went_on_together_is_off_the_rest_is_not_given_any_longer():
    # The meter shows the mean of a second, so nearly every fall is seen in two parts.
    low_w, high_w = gains_of(fallen(to_w=700.0, first_w=500.0), 161.0).best_w()
    assert low_w <= BASE_W <= high_w + 10


def test_when_the_rest_stays_it_is_given_again_a_reading_later():
    forecast = fallen(to_w=700.0)
    forecast.add_load(162.0, 700.0, 700.0, TOP_W)
    low_w, high_w = gains_of(forecast, 162.0).best_w()
    assert low_w <= 700 <= high_w + 20


@pytest.mark.parametrize(
    ("to_w", "then_s"),
    [
        pytest.param(985.0, 60.0, id="a little less is no first part"),
        pytest.param(700.0, 3.0, id="what just came on may begin with a peak"),
    ],
)
def test_other_falls_are_followed_as_far_as_they_are_seen(to_w, then_s):
    low_w, high_w = gains_of(fallen(to_w=to_w, then_s=then_s), 101.0 + then_s).best_w()
    assert low_w <= to_w <= high_w + 30


def test_what_went_on_at_another_time_stays_on():
    forecast = Forecast()
    for at_s, load_w in ((0.0, BASE_W), (50.0, 600.0), (100.0, PULSE_W), (160.0, 600.0)):
        forecast.add_load(at_s, load_w, load_w, TOP_W)
    low_w, high_w = gains_of(forecast, 160.0).best_w()
    assert low_w <= 600 <= high_w + 20
