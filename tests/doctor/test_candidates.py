"""Which inverters and which floor are suggested."""

from __future__ import annotations

import pytest

from opendtu_dcload.doctor.init.candidates import Candidate, chosen, likely
from opendtu_dcload.doctor.init.floors import CLEARLY_BELOW, suggestions


def of(*voltages_v: float | None) -> list[Candidate]:
    return [Candidate(f"11240000000{place}", "", None, v, None) for place, v in enumerate(voltages_v)]


@pytest.mark.parametrize(
    ("voltages_v", "places"),
    [
        ((52.8, 52.6, 52.9), [0, 1, 2]),
        ((52.8, 33.1, 52.7), [0, 2]),
        ((52.8, 33.1, 52.7, None), [0, 2]),
        ((33.1,), [0]),
        ((None,), [0]),
        ((52.8, 33.1), []),
        ((33.0, 33.1, 52.8, 52.7), []),
        ((None, None), []),
        ((), []),
    ],
)
def test_those_of_one_voltage_are_likely_unless_it_is_a_guess(voltages_v: tuple[float | None, ...], places: list[int]):
    assert likely(of(*voltages_v)) == places


@pytest.mark.parametrize(
    ("answer", "places"),
    [
        ("1 3", [0, 2]),
        ("1,3", [0, 2]),
        ("3; 1", [0, 2]),
        ("1 - 3", [0, 1, 2]),
        ("1 and 2", [0, 1]),
        ("1 und 2.", [0, 1]),
        ("ALLE", [0, 1, 2]),
        ("all", [0, 1, 2]),
        ("none", []),
        ("keine", []),
        ("112400000001", [1]),
        ("4", None),
        ("1 4", None),
        ("-1", None),
        ("1-", None),
        ("", None),
        (",", None),
        ("²", None),
        ("one", None),
    ],
)
def test_an_answer_is_taken_as_meant_or_not_at_all(answer: str, places: list[int] | None):
    assert chosen(answer, of(52.8, 52.8, 52.8)) == places


@pytest.mark.parametrize(
    ("now_v", "first_v", "others"),
    [
        (51.0, 48.0, {"15 cells LiFePO4", "14 cells Li-ion (NMC)", "24 cells lead"}),
        (54.0, 48.0, {"14 cells Li-ion (NMC)", "13 cells Li-ion (NMC)", "24 cells lead"}),
        (26.4, 24.0, {"7 cells Li-ion (NMC)", "12 cells lead"}),
    ],
)
def test_the_highest_floor_that_suits_is_first_and_every_battery_that_may_be_is_named(
    now_v: float, first_v: float, others: set[str]
):
    first, *more = suggestions(now_v)
    assert first.floor_v == first_v
    assert "LiFePO4" in first.battery
    assert others <= {suggestion.battery for suggestion in more}


def test_no_floor_is_suggested_near_the_voltage_or_for_none():
    for tenths in range(100, 700):
        floors = [suggestion.floor_v for suggestion in suggestions(tenths / 10)]
        assert floors == sorted(floors, reverse=True)
        assert all(floor_v <= CLEARLY_BELOW * tenths / 10 for floor_v in floors)
    assert suggestions(36.0) == []
