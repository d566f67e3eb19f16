"""Requests follow the meter's refresh, whatever it is like, and never come more often or more rarely than promised."""

from __future__ import annotations

import bisect
import math
import random
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendtu_dcload.sim.plant.meter_clock import MeterClock, Samples, uneven_clock
from opendtu_dcload.sim.servers.latency import Latency, shelly_latency
from opendtu_dcload.tasks.refresh_lock import RefreshLock
from opendtu_dcload.tasks.timetable import Interval, Timetable

SEEDS = (1, 2, 3)
LASTS_S = 1500.0
FOUND_S = 300.0
"""By then the refresh must have been found."""


@dataclass
class Asked:
    """A meter that is asked as a timetable says."""

    clock: MeterClock
    seed: int = 1
    repeats: float = 0.01
    """Share of the refreshes that show what the one before showed."""
    latency: Latency | None = None
    silent_s: tuple[float, float] = (math.inf, math.inf)
    """It does not answer between these times, and has another phase afterwards."""
    asked_s: list[float] = field(default_factory=list)
    heard: list[tuple[float, float]] = field(default_factory=list)
    """When an answer came, and the refresh that it showed."""

    def run(self, timetable: Timetable, lasts_s: float = LASTS_S) -> None:
        rng = random.Random(self.seed)
        latency = self.latency or shelly_latency(self.seed)
        refreshes_s, shown = self._refreshes(rng, lasts_s)
        now_s, before = rng.random(), None
        while now_s < lasts_s:
            self.asked_s.append(now_s)
            if self.silent_s[0] <= now_s < self.silent_s[1]:
                now_s = timetable.failed(now_s, now_s + 0.01)
                continue
            at_s = now_s + latency.next_s()
            place = bisect.bisect_right(refreshes_s, at_s) - 1
            told = shown[place] if place >= 0 else None
            self.heard.append((at_s, refreshes_s[max(place, 0)]))
            now_s = timetable.answered(now_s, at_s, has_changed=told != before)
            before = told

    def _refreshes(self, rng: random.Random, lasts_s: float) -> tuple[list[float], list[int]]:
        at_s = -rng.random()
        samples = Samples(self.clock, at_s, rng)
        refreshes_s, shown = [at_s], [0]
        while at_s < lasts_s + 60:
            at_s = samples.after(at_s)
            moved_s = 0.43 if at_s > self.silent_s[1] else 0.0
            refreshes_s.append(at_s + moved_s)
            shown.append(shown[-1] + (rng.random() >= self.repeats))
        return refreshes_s, shown

    def lag_s(self, from_s: float = FOUND_S, until_s: float = LASTS_S) -> float:
        """Return how long after its refresh a value was first heard, in the mean over time."""
        parts = [
            ((at_s + next_s) / 2 - refresh_s, next_s - at_s)
            for (at_s, refresh_s), (next_s, _) in pairwise(self.heard)
            if from_s <= at_s < until_s
        ]
        age_s = sum(age_s * lasts_s for age_s, lasts_s in parts) / sum(lasts_s for _, lasts_s in parts)
        return age_s - self.clock.period_s / 2

    @property
    def most_in_a_minute(self) -> int:
        return most_in_a_minute(self.asked_s)


def most_in_a_minute(asked_s: list[float]) -> int:
    return max(bisect.bisect_left(asked_s, at_s + 60.0) - index for index, at_s in enumerate(asked_s))


def mean_lag_s(asked: list[Asked]) -> float:
    for each in asked:
        each.run(RefreshLock(1.0))
        assert each.most_in_a_minute <= 66
    return sum(each.lag_s() for each in asked) / len(asked)


@pytest.mark.parametrize("period_s", [1.0, 2.0, 5.0])
def test_requests_come_just_after_the_refresh(period_s: float):
    clocks = [uneven_clock(seed) for seed in SEEDS]
    meters = [
        Asked(MeterClock(clock.period_s * period_s, clock.wander_s, clock.jitter_s), seed)
        for seed, clock in zip(SEEDS, clocks, strict=True)
    ]
    assert mean_lag_s(meters) < 0.2
    for meter in meters:
        before = Asked(meter.clock, meter.seed)
        before.run(Interval(1.0))
        assert before.lag_s() > 0.3


def test_a_clock_that_is_three_percent_off_is_followed():
    assert mean_lag_s([Asked(MeterClock(period_s, jitter_s=0.03)) for period_s in (0.975, 1.03)]) < 0.2


def test_a_value_in_twenty_that_is_the_same_as_before_is_no_lost_refresh():
    assert mean_lag_s([Asked(uneven_clock(seed), seed, repeats=0.05) for seed in SEEDS]) < 0.3


@pytest.mark.parametrize(
    "meter",
    [
        pytest.param(Asked(MeterClock(0.05)), id="values that change at any moment"),
        pytest.param(Asked(uneven_clock(1), repeats=0.8), id="a load that stands still"),
        pytest.param(Asked(MeterClock(1.5)), id="a refresh that the interval cannot follow"),
        pytest.param(Asked(MeterClock(0.5)), id="a refresh that is quicker than the interval"),
        pytest.param(Asked(uneven_clock(1), latency=Latency(1.0, 0.2)), id="answers that take as long as a refresh"),
    ],
)
def test_a_meter_that_cannot_be_followed_is_asked_as_by_the_interval(meter: Asked):
    meter.run(RefreshLock(1.0))
    before = Asked(meter.clock, meter.seed, meter.repeats, meter.latency)
    before.run(Interval(1.0))
    assert meter.lag_s() < max(0.5, before.lag_s()) + 0.1
    assert meter.most_in_a_minute <= 66
    assert len(meter.asked_s) > 0.9 * len(before.asked_s)


@pytest.mark.parametrize("interval_s", [3.0, 10.0])
def test_a_long_interval_stays_what_it_is(interval_s: float):
    meter = Asked(uneven_clock(1))
    meter.run(RefreshLock(interval_s))
    waits_s = [later_s - at_s for at_s, later_s in pairwise(meter.asked_s)]
    assert min(waits_s) > 0.94 * interval_s
    assert max(waits_s) < interval_s + 0.5


def test_after_an_outage_the_refresh_is_found_where_it_then_is():
    meter = Asked(uneven_clock(2), silent_s=(600.0, 700.0))
    meter.run(RefreshLock(1.0))
    assert meter.lag_s(750.0) < 0.2
    gone_s = [at_s for at_s in meter.asked_s if 600.0 <= at_s < 700.0]
    assert 90 <= len(gone_s) <= 110


ANSWERS = st.lists(
    st.tuples(
        st.booleans(),
        st.one_of(st.just(None), st.sampled_from([0.0, 0.04, 0.2, 0.9, 1.1, 2.0]), st.floats(0.0, 2.0)),
    ),
    min_size=1,
    max_size=12,
)
"""Whether an answer tells anything new and how long it takes, None = there is none; played over and over."""


@settings(deadline=None, max_examples=60)
@given(answers=ANSWERS, interval_s=st.sampled_from([0.5, 1.0, 2.0, 5.0, 10.0]))
def test_whatever_is_answered_no_minute_has_more_requests_than_promised_and_no_wait_is_longer(
    answers: list[tuple[bool, float | None]], interval_s: float
):
    lock = RefreshLock(interval_s)
    now_s = 0.0
    asked_s: list[float] = []
    waits_s: list[float] = []
    while now_s < 200.0:
        has_changed, takes_s = answers[len(asked_s) % len(answers)]
        asked_s.append(now_s)
        ended_s = now_s + (takes_s or 0.0)
        next_s = (
            lock.failed(now_s, ended_s) if takes_s is None else lock.answered(now_s, ended_s, has_changed=has_changed)
        )
        assert next_s >= ended_s
        assert next_s > now_s
        waits_s.append(next_s - ended_s)
        now_s = next_s
    assert most_in_a_minute(asked_s) <= 63 / interval_s + 3
    assert max(waits_s) <= interval_s + 0.5
