from __future__ import annotations

import math
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.regulation.drift import SEEN_S, Drift

Load = float | tuple[float, float]


def slopes(loads: Iterable[Load], drift: Drift | None = None, from_s: float = 0.0) -> list[float]:
    """What is seen with one reading per second."""
    drift = drift or Drift()
    seen_w = []
    for n, load in enumerate(loads):
        drift.add_load(from_s + n, *(load if isinstance(load, tuple) else (load, load)))
        seen_w.append(drift.slope_w)
    return seen_w


def ramp(slope_w: float, seconds: int, from_w: float = 500.0) -> list[float]:
    return [from_w + slope_w * n for n in range(seconds)]


@pytest.mark.parametrize("slope_w", [-50.0, -10.0, -2.0, 2.0, 10.0, 50.0])
def test_a_lasting_slope_is_seen_more_and_more_as_it_goes_on(slope_w):
    seen_w = slopes([500.0] * 20 + ramp(slope_w, 60))
    assert set(seen_w[:20]) == {0.0}
    assert all(w * slope_w >= 0 for w in seen_w)
    assert abs(seen_w[30]) >= 0.3 * abs(slope_w), "half of it is believed at first"
    assert seen_w[-1] == pytest.approx(slope_w, rel=0.05)


def test_noise_has_no_slope():
    rng = random.Random(1)
    seen_w = slopes(400 + rng.gauss(0, 10) for _ in range(3600))
    assert sum(abs(w) > 0.3 for w in seen_w) < 36


def test_a_load_that_wanders_to_and_fro_is_not_believed_to_go_on():
    rng = random.Random(1)
    wander_w, loads = 0.0, []
    for _ in range(3600):
        wander_w += -wander_w / 60 + rng.gauss(0, 5)
        loads.append(400 + wander_w)
    seen_w = slopes(loads)
    assert sum(abs(w) for w in seen_w[600:]) / 3000 < 0.3, "it moves by 4 W a second in the middle"


@pytest.mark.parametrize("parts", [(500.0,), (100.0, 400.0), (250.0, 250.0), (-400.0, -100.0)])
def test_a_step_is_no_slope(parts):
    level_w, loads = 1000.0, [1000.0] * 30
    for part_w in parts:
        level_w += part_w
        loads.append(level_w)
    assert set(slopes(loads + [level_w] * 30)) == {0.0}


def test_a_step_within_a_drift_does_not_hide_it_for_long():
    drift = Drift()
    slopes(ramp(10, 60), drift)
    seen_w = slopes(ramp(10, 30, from_w=2000.0), drift, 60.0)
    assert seen_w[6] == pytest.approx(10, rel=0.05)
    assert max(seen_w) < 11


@pytest.mark.parametrize("slope_w", [-50.0, -10.0, 10.0, 50.0])
def test_when_a_ramp_ends_its_slope_is_soon_forgotten(slope_w):
    drift = Drift()
    slopes(ramp(slope_w, 60), drift)
    end_w = 500 + slope_w * 60
    seen_w = slopes([end_w] * 30, drift, 60.0)
    assert sum(abs(w) for w in seen_w) < 100, "W, if it were added up"
    assert set(seen_w[-5:]) == {0.0}


def test_what_is_on_its_way_hides_no_drift_and_makes_none():
    # A command of 60 W every 6 s, of which nobody knows for 4 s whether the meter shows it.
    drift = Drift()
    doubt: list[Load] = [(w - 60 * (n % 6 < 4) * 0.5, w + 60 * (n % 6 < 4) * 0.5) for n, w in enumerate(ramp(10, 90))]
    assert slopes(doubt, drift)[-1] == pytest.approx(10, rel=0.1)
    still: list[Load] = [(500 - 60.0 * (n % 6 < 4), 500 + 30.0 * (n % 6 < 4)) for n in range(90)]
    assert set(slopes(still)) == {0.0}


def test_drift_is_summed_up_and_steps_are_not():
    drift = Drift()
    slopes(ramp(10, 60), drift)
    from_w = drift.drifted_w
    slopes(ramp(10, 31, from_w=2000.0), drift, 60.0)
    assert drift.drifted_w - from_w == pytest.approx(300, abs=60)


def test_after_a_reset_the_line_begins_anew():
    drift = Drift()
    slopes(ramp(10, 60), drift)
    drift.reset()
    assert drift.slope_w == 0.0
    assert set(slopes([5000.0] * 10, drift, 600.0)) == {0.0}


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-2e4, 2e4), st.floats(0, 3e3)), max_size=60))
def test_any_readings_give_a_slope_no_steeper_than_the_load_was(seen):
    drift = Drift()
    at_s = 0.0
    for wait_s, low_w, width_w in seen:
        at_s += wait_s
        drift.add_load(at_s, low_w, low_w + width_w)
        assert math.isfinite(drift.slope_w)
        assert math.isfinite(drift.drifted_w)


def test_only_the_last_seconds_count():
    drift = Drift()
    slopes(ramp(2, 120), drift)
    seen_w = slopes(ramp(-2, int(SEEN_S) + 2, from_w=740.0), drift, 120.0)
    assert seen_w[-1] < 0
