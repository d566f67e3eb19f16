from __future__ import annotations

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.control.commands.command_budget import GUARD_PER_H, USUAL_PER_H, USUAL_PRICE_WS, Budget
from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.control.settings import Settings
from tests.control.plant import make_plant, models_of

HOUR_S = 3600.0
BUDGETS = [12, 60, 300, 1800]


def rise_whenever_possible(budget: Budget, from_s: float, until_s: float) -> list[float]:
    """One rise per second as long as the price is finite; the times."""
    sent_s = []
    now_s = from_s
    while now_s < until_s:
        if math.isfinite(budget.rise_ws(now_s)):
            budget.spend(now_s)
            sent_s.append(now_s)
        now_s += 1.0
    return sent_s


def most_in_an_hour(sent_s: list[float]) -> int:
    return max((bisect_left(sent_s, at_s + HOUR_S) - n for n, at_s in enumerate(sent_s)), default=0)


def used_up(per_hour: int) -> Budget:
    budget = Budget(per_hour, 0.0)
    rise_whenever_possible(budget, 0.0, 2 * HOUR_S)
    assert budget.rise_ws(2 * HOUR_S) > Budget(per_hour, 0.0).fall_ws(0.0)
    return budget


@pytest.mark.parametrize("per_hour", BUDGETS)
def test_no_hour_of_greedy_rises_exceeds_the_budget_and_most_of_it_can_be_used(per_hour):
    sent_s = rise_whenever_possible(Budget(per_hour, 0.0), 0.0, 4 * HOUR_S)
    assert 0.8 * per_hour <= most_in_an_hour(sent_s) <= per_hour
    assert bisect_left(sent_s, 4 * HOUR_S) - bisect_left(sent_s, 3 * HOUR_S) >= 0.8 * per_hour, "it flows in evenly"


@given(st.sampled_from([12, 13, 60]), st.lists(st.tuples(st.integers(1, 900), st.integers(0, 1200)), max_size=8))
def test_no_hour_exceeds_the_budget_however_rises_and_rests_follow(per_hour, phases):
    budget = Budget(per_hour, 0.0)
    sent_s: list[float] = []
    now_s = 0.0
    for busy_s, rest_s in phases:
        sent_s += rise_whenever_possible(budget, now_s, now_s + busy_s)
        now_s += busy_s + rest_s
    assert most_in_an_hour(sent_s) <= per_hour


@pytest.mark.parametrize("per_hour", BUDGETS)
def test_a_rise_becomes_dearer_with_each_command_and_then_impossible(per_hour):
    budget = Budget(per_hour, 0.0)
    prices_ws = []
    while math.isfinite(price_ws := budget.rise_ws(0.0)):
        prices_ws.append(price_ws)
        budget.spend(0.0)
    assert prices_ws == sorted(prices_ws)
    assert prices_ws[0] == Budget(per_hour, 0.0).fall_ws(0.0)
    assert prices_ws[-1] > prices_ws[0] or len(prices_ws) == 1
    assert len(prices_ws) <= 0.15 * per_hour + 1, "not much more than the burst at once"


def test_a_command_costs_more_when_there_are_less_per_hour():
    budgets = [Budget(per_hour, 0.0) for per_hour in BUDGETS]
    for prices_ws in (
        [b.rise_ws(0.0) for b in budgets],
        [b.fall_ws(0.0) for b in budgets],
        [b.trim_ws(0.0) for b in budgets],
    ):
        assert prices_ws == sorted(set(prices_ws), reverse=True)


@pytest.mark.parametrize("per_hour", [60, 300, 1800])
def test_a_fall_costs_less_and_has_room_after_the_last_rise(per_hour):
    budget = Budget(per_hour, 0.0)
    prices_ws = []
    while math.isfinite(rise_ws := budget.rise_ws(0.0)):
        prices_ws.append(budget.fall_ws(0.0))
        assert prices_ws[-1] <= rise_ws
        budget.spend(0.0)
    assert prices_ws == sorted(prices_ws)
    assert budget.fall_ws(0.0) == USUAL_PRICE_WS * USUAL_PER_H / per_hour


def test_a_price_is_found_at_which_the_budget_is_just_used_up():
    # Of the ten commands of a minute each would save 50 W x s more than the one before.
    budget = Budget(300, 0.0)
    sent_s: list[float] = []
    for second in range(0, 4 * 3600, 6):
        now_s = float(second)
        if budget.rise_ws(now_s) < 200.0 + 50.0 * (second // 6 % 10):
            budget.spend(now_s)
            sent_s.append(now_s)
    last_hour = [s for s in sent_s if s >= 3 * HOUR_S]
    assert 0.8 * 300 <= len(last_hour) <= 300
    worth_ws = [200.0 + 50.0 * (int(s) // 6 % 10) for s in last_hour]
    assert sum(w >= 450 for w in worth_ws) > 0.9 * len(worth_ws), "those that save most"


@pytest.mark.parametrize("per_hour", BUDGETS)
@pytest.mark.parametrize("repeats_every_s", [7, 60, 210])
def test_no_hour_of_greedy_falls_and_repeats_exceeds_the_budget(per_hour, repeats_every_s):
    budget = Budget(per_hour, 0.0)
    sent_s = []
    counted = 0.0
    for second in range(4 * 3600):
        now_s = float(second)
        if second % repeats_every_s == 0 and budget.may_repeat(now_s):
            counted += budget._counted(now_s)
            budget.repeat(now_s)
        if counted >= 1:
            counted -= 1
            sent_s.append(now_s)
        if math.isfinite(budget.fall_ws(now_s)):
            budget.spend(now_s)
            sent_s.append(now_s)
    assert most_in_an_hour(sent_s) <= per_hour
    assert len(sent_s) / 4 >= 0.8 * per_hour, "most of it can be used"


def test_greedy_falls_do_not_keep_a_limit_from_being_sent_again():
    budget = Budget(300, 0.0)
    waited_s = due_s = 0.0
    for second in range(4 * 3600):
        now_s = float(second)
        if now_s >= due_s and budget.may_repeat(now_s):
            waited_s, due_s = max(waited_s, now_s - due_s), now_s + 70.0
            budget.repeat(now_s)
        while math.isfinite(budget.fall_ws(now_s)):
            budget.spend(now_s)
    assert waited_s <= 10


def test_guards_have_a_small_allowance_of_their_own():
    budget = Budget(300, 0.0, inverters=3)
    sent_s = []
    for second in range(4 * 3600):
        if budget.may_guard(float(second)):
            budget.guard(float(second))
            sent_s.append(float(second))
    assert most_in_an_hour(sent_s) <= 3 * GUARD_PER_H
    assert len([s for s in sent_s if s < 60]) >= 3 * 4, "a limit and a switch-off for each at once, and once more"


def test_a_trim_costs_little_while_there_is_plenty_and_as_much_as_a_fall_when_there_is_not():
    budget = Budget(300, 0.0)
    prices_ws = []
    while math.isfinite(budget.rise_ws(0.0)):
        prices_ws.append(budget.trim_ws(0.0))
        budget.spend(0.0)
    assert prices_ws[0] < budget.fall_ws(0.0) / 2
    assert prices_ws == sorted(prices_ws)
    assert budget.trim_ws(0.0) == budget.fall_ws(0.0)


@pytest.mark.parametrize("per_hour", BUDGETS)
def test_after_a_rest_the_budget_is_full_again(per_hour):
    budget = used_up(per_hour)
    fresh = Budget(per_hour, 0.0)
    rested_s = 2 * HOUR_S + 1200.0
    assert budget.rise_ws(rested_s) == fresh.rise_ws(0.0)
    assert budget.trim_ws(rested_s) == fresh.trim_ws(0.0)
    count = len(rise_whenever_possible(budget, rested_s, rested_s + 60))
    assert count == len(rise_whenever_possible(fresh, 0.0, 60.0)), "a rest does not save up more than a burst either"


@pytest.mark.parametrize("per_hour", BUDGETS)
@pytest.mark.parametrize("every_s", [1, 20, 60, 600])
def test_repeated_limits_take_at_most_half_of_the_budget(per_hour, every_s):
    budget = Budget(per_hour, 0.0)
    changes = 0
    for second in range(4 * 3600):
        if second % every_s == 0:
            budget.repeat(float(second))
        if math.isfinite(budget.rise_ws(float(second))):
            budget.spend(float(second))
            changes += 1
    left = max(per_hour - HOUR_S / every_s, per_hour / 2)
    assert 0.8 * left <= changes / 4 <= left + 0.1 * per_hour


@pytest.mark.long
@pytest.mark.parametrize(("count", "per_hour"), [(3, 12), (9, 60)])
def test_limits_that_are_only_repeated_do_not_keep_the_plant_at_its_minimum(count, per_hour):
    # Each HMS is told its limit anew each 210 s, which is more than these budgets hold.
    settings = Settings(max_feed_in_w=400.0 * count, dtus={"opendtu": DtuSettings(max_commands_per_hour=per_hour)})
    low_w, high_w = 30.0 * count, 300.0 * count
    plant = make_plant([low_w] * 1800 + [high_w] * 3600, models_of(count), settings=settings, is_warm=True)
    plant.until(5400.0)
    assert abs(plant.house.grid_w) < 0.1 * high_w
