"""Looking at what others offer on the bus, whatever they do."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator

import pytest

from opendtu_dcload.errors import BusError
from opendtu_dcload.venus.gx.service_watch import ServiceWatch, number
from tests.doubles.gx_services import BATTERY, GRID, GRID_VALUES, SYSTEM, gx
from tests.doubles.message_bus import Daemon
from tests.doubles.until import until

QUICK_S = 0.5


@contextlib.asynccontextmanager
async def watching(daemon: Daemon, timeout_s: float = 10.0) -> AsyncIterator[ServiceWatch]:
    watch = ServiceWatch(daemon.address, answer_timeout_s=timeout_s, retry_delays_s=(0.01,))
    task = asyncio.create_task(watch.run())
    await watch.wait_ready()
    yield watch
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_services_are_seen_whether_they_were_there_before_or_come_and_go(daemon):
    async with gx(daemon.address, vebus=False) as stand_in, watching(daemon) as watch:
        assert watch.of_class("battery") == [BATTERY]
        assert watch.of_class("grid") == []
        with watch.listen() as changed:
            await stand_in.join(GRID, GRID_VALUES)
            await changed.wait()
            assert watch.of_class("grid") == [GRID]
            changed.clear()
            await stand_in.leave(GRID)
            await changed.wait()
        assert watch.of_class("grid") == []
        assert watch.names is not None
        assert SYSTEM in watch.names


async def test_without_a_bus_nothing_is_known_and_with_it_everything_again(daemon):
    async with gx(daemon.address) as stand_in, watching(daemon) as watch:
        daemon.stop()
        await until(lambda: watch.names is None)
        assert watch.of_class("battery") == []
        with pytest.raises(BusError):
            await watch.read(BATTERY, "/Soc")
        daemon.start()
        await watch.wait_ready()
        await until(lambda: watch.of_class("battery") == [BATTERY])
        await stand_in.leave(BATTERY)
        await until(lambda: watch.of_class("battery") == [])


async def test_values_invalid_ones_and_paths_that_do_not_exist(daemon):
    async with gx(daemon.address) as stand_in, watching(daemon) as watch:
        stand_in.set(BATTERY, {"/Dc/0/Voltage": None})
        answers = await watch.read_all(BATTERY, ["/Soc", "/Dc/0/Voltage", "/Io/AllowToDischarge", "/Not/There"])
    assert answers == {"/Soc": 63.0, "/Dc/0/Voltage": None, "/Io/AllowToDischarge": 1, "/Not/There": None}


async def test_a_service_that_is_not_there_is_an_error_not_an_absent_value(daemon):
    async with watching(daemon) as watch:
        with pytest.raises(BusError, match="ServiceUnknown"):
            await watch.read_all("com.victronenergy.battery.none", ["/Soc"])


async def test_a_service_that_answers_nothing_costs_one_timeout_for_all_its_paths(daemon):
    async with gx(daemon.address) as stand_in, watching(daemon, QUICK_S) as watch:
        await stand_in.fall_silent(BATTERY)
        with pytest.raises(BusError, match="no answer to GetValue"):
            await watch.read_all(BATTERY, [f"/Path{index}" for index in range(100)])
        assert await watch.read(SYSTEM, "/DeviceInstance") == 0


@pytest.mark.parametrize("value", [None, "63", True, math.nan, math.inf, -0.1, 100.1, 2**1024, [1], {"a": 1}], ids=repr)
def test_what_is_no_number_in_the_range_is_none(value):
    assert number(value, 0, 100) is None


@pytest.mark.parametrize("value", [0, 100, 63.5])
def test_a_number_in_the_range_is_taken(value):
    assert number(value, 0, 100) == value
