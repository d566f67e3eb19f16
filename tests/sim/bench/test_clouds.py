"""The clouds of the bench change the light as much and as quickly as measured ones."""

from __future__ import annotations

import random
from itertools import groupby, pairwise
from statistics import fmean, median, pstdev

import pytest

from opendtu_dcload.sim.bench.clouds import DAY_S, EDGE_S, FULL, SHADE, WANDER, daylight, sky

HOURS = 40
CLEAR = (FULL[0] + SHADE[1]) / 2


@pytest.fixture(scope="module")
def light():
    return sky(HOURS * 3600, random.Random("clouds"))


def test_minute_means_change_as_on_measured_days_of_broken_clouds(light):
    minutes = [fmean(light[first : first + 60]) for first in range(0, len(light), 60)]
    changes = [abs(after - before) for before, after in pairwise(minutes)]
    assert 0.07 < fmean(changes) < 0.11
    assert 0.01 < median(changes) < 0.04
    assert 0.05 < sum(change > 0.37 for change in changes) / len(changes) < 0.09
    assert 0.55 < max(changes) < 0.8


def test_an_edge_takes_seconds_to_a_minute_and_between_edges_the_light_is_smooth(light):
    changes = [after - before for before, after in pairwise(light)]
    depth = FULL[1] - SHADE[0]
    # The middle of a smooth edge is half again as steep as its mean.
    assert max(map(abs, changes)) < 1.5 * depth / EDGE_S[0] + 0.01
    steep = [sum(1 for _ in run) for is_steep, run in groupby(abs(c) > 0.01 for c in changes) if is_steep]
    assert max(steep) <= EDGE_S[1]
    assert sum(steep) < 0.12 * len(light)


def test_sun_and_shade_take_turns_of_seconds_to_many_minutes(light):
    turns_s = [sum(1 for _ in run) for _, run in groupby(share > CLEAR for share in light)]
    assert len(turns_s) > 20 * HOURS
    assert 30 < median(turns_s) < 90
    assert max(turns_s) > 600


def test_the_light_depends_on_the_seed_only_and_stays_a_share():
    one, same, other = (sky(3600, random.Random(seed)) for seed in (1, 1, 2))
    assert one == same != other
    assert all(0 < share <= 1 for share in one)


def test_the_light_wanders_a_little_while_no_clouds_pass(light):
    calm = [light[first : first + 60] for first in range(0, len(light), 60)]
    spread = median(pstdev(minute) / fmean(minute) for minute in calm)
    assert WANDER / 5 < spread < WANDER


def test_a_day_is_dark_at_its_ends_and_brightest_around_noon():
    light = daylight(random.Random(1))
    hours = [fmean(light[first : first + 3600]) for first in range(0, DAY_S, 3600)]
    assert len(light) == DAY_S
    assert hours[:6] == [0.0] * 6
    assert hours[20:] == [0.0] * 4
    assert fmean(hours[11:15]) > 1.5 * fmean([*hours[7:9], *hours[17:19]]) > 0
