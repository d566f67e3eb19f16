from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.protection.seasonal_soc import (
    HIGHEST_HIGHEST_PCT,
    LOWEST_HIGHEST_PCT,
    SeasonalMinimum,
    surplus_w,
)
from opendtu_dcload.venus.gx.gx_controls import FLOATING_RANGE_PCT


def cycles(seasonal: SeasonalMinimum, *peaks_pct: float, low_pct: float = 30.0) -> list[float]:
    """Return the highest after each cycle from `low_pct` to a peak and down again."""
    after: list[float] = []
    for peak_pct in peaks_pct:
        up = [low_pct + n for n in range(int(peak_pct - low_pct) + 1)]
        for soc_pct in (*up, peak_pct, *up[::-1]):
            seasonal.add_soc(soc_pct)
        after.append(seasonal.highest_pct)
    return after


@pytest.mark.parametrize(("highest_pct", "minimum_pct"), [(100, 8), (74, 34), (110, 0), (60, 34), (200, 0)])
def test_the_minimum_mirrors_the_highest(highest_pct, minimum_pct):
    assert SeasonalMinimum(highest_pct).minimum_pct == minimum_pct


def test_the_highest_creeps_down_while_the_sun_is_weak_and_jumps_half_way_up_when_it_is_back():
    assert cycles(SeasonalMinimum(90), 80, 80, 85, 95) == [89, 88, 87, 91]


def test_a_full_battery_counts_as_full_for_a_while():
    assert cycles(SeasonalMinimum(100), 99, 99, 80) == [105, 107.5, 106.5]


def test_in_a_whole_winter_the_reserve_is_a_third_at_most():
    seasonal = SeasonalMinimum()
    cycles(seasonal, *[50.0] * 100)
    assert seasonal.minimum_pct == 34


def test_small_ups_and_downs_are_no_cycles():
    seasonal = SeasonalMinimum(90)
    for soc_pct in (50, 54, 50, None, 54, 50) * 20:
        seasonal.add_soc(soc_pct)
    assert seasonal.highest_pct == 90


@given(st.lists(st.none() | st.floats(0, 100), max_size=200))
def test_whatever_the_soc_does_the_minimum_stays_in_range(socs_pct):
    seasonal = SeasonalMinimum()
    for soc_pct in socs_pct:
        seasonal.add_soc(soc_pct)
        assert 0 <= seasonal.minimum_pct <= 34


@pytest.mark.parametrize(("soc_pct", "fed_in_w"), [(None, 0), (94.9, 0), (95, 100), (96, 200), (97, 300), (100, 300)])
def test_the_surplus_grows_with_the_soc(soc_pct, fed_in_w):
    assert surplus_w(soc_pct, 95.0, 300.0) == pytest.approx(fed_in_w)


def test_the_gx_offers_the_range_in_which_the_highest_moves():
    assert FLOATING_RANGE_PCT == (LOWEST_HIGHEST_PCT, HIGHEST_HIGHEST_PCT)
