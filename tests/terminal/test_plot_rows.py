from __future__ import annotations

import math

import pytest

from opendtu_dcload.terminal.plain_text import columns
from opendtu_dcload.terminal.plot_rows import LABEL, Window, panel, time_row


def test_a_curve_is_drawn_between_its_lowest_and_its_highest_power():
    window = Window(0.0, 1.0, 2)
    points = [(0.0, 0.0), (1.0, 100.0), (2.0, 100.0), (3.0, None)]
    assert panel("grid", points, window, 3) == ["    100 W ⢸⠁", "     grid ⢸⠀", "      0 W ⣸⠀"]


def test_what_is_exported_is_below_zero():
    rows = panel("grid", [(0.0, -250.0), (1.0, 90.0)], Window(0.0, 1.0, 1), 3)
    assert [row[:LABEL].strip() for row in rows] == ["100 W", "grid", "-260 W"]


@pytest.mark.parametrize("points", [[], [(0.0, None)], [(0.0, 0.0)], [(-5.0, 9.0), (99.0, 9.0)]], ids=str)
def test_where_little_is_known_little_is_drawn(points):
    rows = panel("grid", points, Window(0.0, 1.0, 30), 3)
    assert [row[:LABEL] for row in rows] == ["    100 W ", "     grid ", "      0 W "]


def test_a_column_stays_where_it_is_as_time_goes_on():
    early, late = Window.until(100.9, 2.0, 40), Window.until(102.0, 2.0, 40)
    assert early.first_s == late.first_s - 2.0
    assert Window.until(101.0, 2.0, 40) == early


@pytest.mark.parametrize("factor", [0.001, 1.0, 1234.5, 1e6])
def test_all_rows_are_of_one_width_whatever_the_power(factor):
    window = Window.until(300.0, 2.0, 50)
    points = [(float(at_s), factor * math.sin(at_s / 9)) for at_s in range(300)]
    rows = panel("inverters", points, window, 3)
    assert {columns(row) for row in rows} == {LABEL + 50}
    assert columns(time_row(window)) == LABEL + 50


def test_no_scale_begins_at_minus_zero():
    assert not any("-0" in row for row in panel("grid", [(0.0, -0.0), (1.0, 0.4)], Window(0.0, 1.0, 9), 3))


def test_the_row_of_time_says_how_much_is_shown():
    assert time_row(Window(0.0, 2.0, 75)).split() == ["5", "min", "ago", "now"]
    assert time_row(Window(0.0, 0.5, 75)).split() == ["75", "s", "ago", "now"]
