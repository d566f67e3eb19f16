"""What a DTU's answer says about a limit."""

from __future__ import annotations

import pytest

from opendtu_dcload.limit_reading import is_same, speaks_of, watts_of
from opendtu_dcload.model import CommandState, LimitStatus


@pytest.mark.parametrize(
    ("pct", "rated_w", "assumed_w", "watts"),
    [
        (50.0, 800.0, None, 400.0),
        (50.0, 800.0, 1000.0, 400.0),
        (50.0, None, 1000.0, 500.0),
        (50.0, None, None, None),
        (None, 800.0, 1000.0, None),
    ],
)
def test_a_limit_is_known_in_watts_when_its_share_and_some_rated_power_are(pct, rated_w, assumed_w, watts):
    assert watts_of(LimitStatus("1", 0.0, pct, rated_w, CommandState.OK), assumed_w) == watts


@pytest.mark.parametrize(("shown_w", "same"), [(200.0, True), (198.3, True), (201.7, True), (198.1, False)])
def test_a_limit_within_a_step_and_a_watt_is_the_one_that_was_sent(shown_w, same):
    assert is_same(shown_w, 200.0, 800.0) is same


@pytest.mark.parametrize(("after_s", "speaks"), [(0.9, False), (1.0, True)])
def test_an_answer_within_a_second_may_still_speak_of_the_command_before(after_s, speaks):
    assert speaks_of(100.0 + after_s, 100.0) is speaks
