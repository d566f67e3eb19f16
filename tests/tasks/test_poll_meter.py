"""The program's meter is asked just after it has refreshed, as on virtual time so in the service."""

from __future__ import annotations

import pytest

from opendtu_dcload.sim.servers.latency import Latency
from tests.plays.meter_ages import Kind, asked_at_an_interval, play


def test_what_the_control_goes_by_is_a_fraction_of_a_second_old():
    kind = Kind("refresh of 1 s", latency=Latency(0.044))
    ages = play(kind, 1)
    assert ages.added_s < 0.2
    assert ages.requests_per_s < 1.1
    with asked_at_an_interval():
        assert play(kind, 1).added_s > 0.3


@pytest.mark.long
@pytest.mark.parametrize("refresh_s", [2.0, 5.0])
def test_so_it_is_with_a_slow_meter(refresh_s: float):
    assert play(Kind("slow", refresh_s=refresh_s), 1).added_s < 0.3
