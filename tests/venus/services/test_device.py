import asyncio
import itertools
import math

import pytest

from opendtu_dcload.venus.bus.bus_address import UnixAddress
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.item import Item
from opendtu_dcload.venus.services.device import Counter, follow
from tests.doubles.until import until


def test_a_counter_never_falls_and_never_shows_a_moment_of_zero():
    counter = Counter()
    assert [counter.kwh(energy_wh) for energy_wh in (1500.0, 0.0, 1499.0, 1501.0)] == [1.5, 1.5, 1.5, 1.501]


@pytest.mark.parametrize("energy_wh", [None, math.nan, math.inf])
def test_a_counter_without_a_number_shows_none_and_keeps_what_it_knows(energy_wh):
    counter = Counter()
    counter.kwh(1500.0)
    assert counter.kwh(energy_wh) is None
    assert counter.kwh(0.0) == 1.5


def test_a_counter_may_begin_at_zero():
    assert Counter().kwh(0.0) == 0.0


async def test_values_are_shown_again_without_any_change_because_they_age():
    service = BusService("com.victronenergy.dcload.test_1", UnixAddress("/nowhere"))
    service.add("/Age", Item(kind=int, value=0))
    ages = itertools.count()
    task = asyncio.create_task(follow(service, lambda: {"/Age": next(ages)}, tick_s=0.001))
    await until(lambda: service.value("/Age") not in {0, 1, 2})
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
