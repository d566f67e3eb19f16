"""Why the regulator lets a difference be, in words."""

from __future__ import annotations

from collections.abc import Iterable

from opendtu_dcload.control.regulation.regulator import AvailableMoves, Regulator, Wait
from tests.control.regulation.test_regulator import NOTHING, held, moves, pulses, step


def waits(loads: Iterable[float], committed_w: float, can: AvailableMoves | None = None) -> list[Wait]:
    """What is said after each reading, while everything asked for is commanded at once."""
    regulator, said = Regulator(), []
    for n, load_w in enumerate(loads):
        asked_w = step(regulator, float(n), load_w, committed_w, can)
        committed_w = committed_w if asked_w is None else asked_w
        said.append(regulator.wait)
    return said


def test_at_the_target_and_a_little_beside_it_there_is_nothing_to_say():
    assert set(waits([400.0] * 30 + [425.0] * 8, 400.0)) == {Wait.NO}


def test_a_load_that_may_go_again_is_waited_for_and_one_that_was_answered_is_not():
    said = waits([400.0] * 60 + [700.0] * 20, 400.0)
    assert said[60:62] == [Wait.SHORT_LOAD] * 2
    assert set(said[:60] + said[62:]) == {Wait.NO}


def test_where_loads_have_been_short_so_far_it_says_so_for_as_long_as_they_last():
    said = waits(pulses(5, 20, 8), 200.0)
    assert said[-5:] == [Wait.SHORT_LOAD] * 5
    assert said[-25:-5] == [Wait.NO] * 20


def test_where_dips_have_been_short_so_far_it_says_so():
    assert waits(([800.0] * 30 + [500.0] * 4) * 7, 800.0)[-4:] == [Wait.SHORT_DIP] * 4


def test_what_would_be_right_and_not_worth_a_command_is_said_to_save_one():
    dear = moves(400.0, price_ws=6000.0, trim_ws=6000.0)
    assert waits([400.0] * 60 + [300.0] * 5, 400.0, dear)[-5:] == [Wait.PRICE] * 5


def test_while_no_command_can_be_given_that_is_no_waiting_of_ours():
    assert set(waits([400.0] * 60 + [700.0] * 5, 400.0, NOTHING)) == {Wait.NO}


def test_whoever_is_told_otherwise_has_nothing_to_wait_for():
    regulator = Regulator()
    held(regulator, [400.0] * 60 + [700.0], 400.0)
    before = regulator.wait
    regulator.reset()
    assert (before, regulator.wait) == (Wait.SHORT_LOAD, Wait.NO)
