"""A line that repeats is thinned out, whatever numbers it holds, and the next one tells how many there were."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from opendtu_dcload.log_limit import EVERY_S, MOST_AT_ONCE, LogLimit
from tests.doubles.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def written(clock: Clock) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(LogLimit(clock))
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield stream
    log.removeHandler(handler)


log = logging.getLogger("a log of this test")


def test_a_meter_that_comes_and_goes_all_night_fills_no_log(clock: Clock, written: io.StringIO):
    for second in range(0, 10 * 3600, 20):
        clock.now_s = second
        log.warning("%s lost: no answer for %d s", "meter", second % 17)
        log.info("%s back after %d s", "meter", second % 13)
    lines = written.getvalue().splitlines()
    assert len(lines) == pytest.approx(2 * (MOST_AT_ONCE + 10 * 3600 / EVERY_S), abs=2)
    assert lines[2 * MOST_AT_ONCE - 1] == "meter back after 11 s"
    assert lines[-1].startswith("meter back after ")
    assert lines[-1].endswith(" s (and 17 times more, not shown)")


def test_what_is_rare_or_of_another_device_is_not_held_up(clock: Clock, written: io.StringIO):
    for number in range(3 * MOST_AT_ONCE):
        clock.now_s += 1
        log.warning("inverter 11218300%04d does not obey", number)
    for _ in range(3 * MOST_AT_ONCE):
        clock.now_s += EVERY_S
        log.warning("battery lost: no answer")
    assert len(written.getvalue().splitlines()) == 6 * MOST_AT_ONCE
    assert "not shown" not in written.getvalue()


def test_devices_that_differ_in_a_number_have_lines_of_their_own(written: io.StringIO):
    for _ in range(3 * MOST_AT_ONCE):
        log.warning("Garage 1 lost: no answer from 192.0.2.1 for 15 s")
    log.warning("Garage 2 lost: no answer from 192.0.2.2 for 15 s")
    assert written.getvalue().splitlines()[MOST_AT_ONCE:] == ["Garage 2 lost: no answer from 192.0.2.2 for 15 s"]


def test_who_wants_each_step_gets_each_step(written: io.StringIO):
    for _ in range(100):
        log.debug("step")
    assert len(written.getvalue().splitlines()) == 100
