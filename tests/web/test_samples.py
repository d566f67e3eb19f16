"""Rings of fixed size: the oldest goes, a second that was missed is not known, minutes are means."""

from __future__ import annotations

import math
from array import array

import pytest

from opendtu_dcload.web.history.samples import DAY_MINUTES, HOUR_S, Ring, Sample, Samples


def rows(ring: Ring, column: str = "x") -> list[float | None]:
    return [None if math.isnan(number) else number for number in ring.copied()[column]]


def test_a_ring_holds_what_came_last():
    ring = Ring(["x"], 4)
    assert rows(ring) == []
    for index in range(10, 13):
        ring.put(index, [index])
    assert rows(ring) == [10, 11, 12]
    ring.put(13, [13])
    ring.put(14, [14])
    assert rows(ring) == [11, 12, 13, 14]
    assert ring.last == 14


def test_what_was_left_out_is_not_known():
    ring = Ring(["x"], 4)
    ring.put(10, [10])
    ring.put(12, [12])
    assert rows(ring) == [10, None, 12]
    ring.put(30, [30])
    assert rows(ring) == [None, None, None, 30]
    ring.put(30, [31])
    assert rows(ring)[-1] == 31
    ring.put(29, [29])
    assert rows(ring)[-2:] == [None, 31]


def filled(seconds: int, start_s: float = 100_000.0) -> Samples:
    samples = Samples()
    for second in range(seconds):
        samples.add(start_s + second, Sample(second, 0, None, second, 1, 0), 0.5)
    return samples


def test_a_day_of_seconds_keeps_its_size():
    before = size(filled(1))
    assert size(filled(90_000)) == before
    assert before == (HOUR_S * 6 + DAY_MINUTES * 7) * 4 == 126_720


def size(samples: Samples) -> int:
    columns = [column for ring in (samples._hour, samples._day) for column in ring._kept]
    return sum(len(column) * column.itemsize for column in columns)


def ago(ago_s: float) -> str:
    return f"{ago_s:g}"


def test_the_hour_has_each_second_and_the_day_the_means_of_minutes():
    hour, day = filled(4000, start_s=120_000.0).documents(123_999.0, ago)().values()
    assert isinstance(hour, dict)
    assert isinstance(day, dict)
    assert hour["grid_w"] == list(range(400, 4000))
    assert hour["load_w"] == [None] * HOUR_S
    assert (hour["end"], hour["step_s"]) == ("0", 1)
    assert day["grid_w"] == [29.5 + 60 * minute for minute in range(66)]
    assert day["exported_wh"] == [30.0] * 66
    assert day["load_w"] == [None] * 66
    assert (day["end"], day["step_s"]) == ("39", 60)
    assert hour.keys() == {"end", "step_s", *Sample._fields}
    assert day.keys() == {"end", "step_s", *Sample._fields, "exported_wh"}


def test_a_minute_of_which_a_part_is_known_is_the_mean_of_that():
    samples = Samples()
    for second in range(61):
        samples.add(60.0 + second, Sample(10 if second < 6 else None, *[None] * 5), 0.0)
    for second in range(61, 122):
        samples.add(60.0 + second, Sample(*[None] * 6), 0.0)
    _, day = samples.documents(182.0, ago)().values()
    assert isinstance(day, dict)
    assert day["grid_w"] == [10.0, None]
    assert day["exported_wh"] == [0.0, None]


@pytest.mark.parametrize("at_s", [0.0, 5.0])
def test_before_the_first_sample_there_is_nothing(at_s: float):
    hour, day = Samples().documents(at_s, ago)().values()
    assert isinstance(hour, dict)
    assert isinstance(day, dict)
    assert (hour["grid_w"], day["exported_wh"]) == ([], [])


def test_an_array_is_what_is_copied():
    assert isinstance(filled(2)._hour.copied()["grid_w"], array)
