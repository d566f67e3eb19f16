"""Reading the grid meter that the GX has, and never our own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from opendtu_dcload.errors import DeviceConnectionError
from opendtu_dcload.model import MeterReading, PhaseReading
from opendtu_dcload.venus.bus.item import Value
from opendtu_dcload.venus.gx.gx_meter import GxMeter
from opendtu_dcload.venus.gx.service_watch import ServiceWatch
from tests.doubles.gx_services import GRID, GRID_VALUES, SYSTEM, Gx, gx
from tests.doubles.until import until

LOWER = "com.victronenergy.grid.http_40"
OURS = "com.victronenergy.grid.shelly_34945470a1b2"


@contextlib.asynccontextmanager
async def reading(daemon, timeout_s: float = 10.0) -> AsyncIterator[tuple[GxMeter, ServiceWatch]]:
    watch = ServiceWatch(daemon.address, answer_timeout_s=timeout_s, retry_delays_s=(0.01,))
    task = asyncio.create_task(watch.run())
    await watch.wait_ready()
    yield GxMeter(watch, lambda: 100.0), watch
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def stand_in(daemon):
    async with gx(daemon.address) as stand_in:
        yield stand_in


async def joined(stand_in: Gx, watch: ServiceWatch, name: str, **values: Value) -> None:
    changed = {f"/{path.replace('_', '/')}": value for path, value in values.items()}
    await stand_in.join(name, {**GRID_VALUES, **changed})
    await until(lambda: name in watch.of_class("grid"))


async def test_the_grid_service_is_read_and_named(daemon, stand_in):
    async with reading(daemon) as (meter, watch):
        await joined(stand_in, watch, GRID)
        assert (await meter.identify()).model == GRID
        assert await meter.read() == MeterReading(at_s=100.0, power_w=412.0)
        stand_in.set(GRID, {"/Ac/Power": -88.0})
        assert (await meter.read()).power_w == -88.0


async def test_of_several_the_lowest_instance_counts_as_for_systemcalc(daemon, stand_in):
    async with reading(daemon) as (meter, watch):
        await joined(stand_in, watch, GRID)
        assert (await meter.read()).power_w == 412.0
        await joined(stand_in, watch, LOWER, DeviceInstance=29, Ac_Power=7.0)
        assert (await meter.read()).power_w == 7.0
        await stand_in.leave(LOWER)
        await until(lambda: LOWER not in watch.of_class("grid"))
        assert (await meter.read()).power_w == 412.0


async def test_without_a_total_the_phases_are_summed(daemon, stand_in):
    async with reading(daemon) as (meter, watch):
        await joined(stand_in, watch, GRID)
        stand_in.set(GRID, {"/Ac/Power": None, "/Ac/L1/Power": 100.0, "/Ac/L3/Power": -30.0})
        assert (await meter.read()).power_w == 70.0


async def test_without_a_grid_service_systemcalc_tells(daemon, stand_in):
    stand_in.set(SYSTEM, {"/Ac/Grid/L1/Power": 200.0, "/Ac/Grid/L2/Power": 50.0})
    async with reading(daemon) as (meter, _):
        assert (await meter.read()).power_w == 250.0


async def test_our_own_service_is_never_read_not_even_through_systemcalc(daemon, stand_in):
    stand_in.set(SYSTEM, {"/Ac/Grid/L1/Power": 200.0})
    async with reading(daemon) as (meter, watch):
        await joined(stand_in, watch, OURS, DeviceInstance=1, Mgmt_ProcessName="opendtu_dcload")
        with pytest.raises(DeviceConnectionError, match="not this program's own"):
            await meter.read()
        await joined(stand_in, watch, GRID)
        assert (await meter.read()).power_w == 412.0


async def test_no_value_no_meter_and_no_bus_are_each_a_sentence(daemon, stand_in):
    async with reading(daemon) as (meter, watch):
        with pytest.raises(DeviceConnectionError, match="has no power now"):
            await meter.read()
        await stand_in.leave(SYSTEM)
        await until(lambda: SYSTEM not in (watch.names or ()))
        with pytest.raises(DeviceConnectionError, match="grid meter of the GX"):
            await meter.read()
        daemon.stop()
        await until(lambda: watch.names is None)
        with pytest.raises(DeviceConnectionError, match="no connection"):
            await meter.identify()


async def test_a_grid_service_that_hangs_is_passed_over_for_one_that_answers(daemon, stand_in):
    async with reading(daemon, 0.5) as (meter, watch):
        await stand_in.fall_silent(LOWER)
        await until(lambda: watch.of_class("grid") == [LOWER])
        with pytest.raises(DeviceConnectionError):
            await meter.read()
        await joined(stand_in, watch, GRID)
        assert (await meter.read()).power_w == 412.0


async def test_a_value_of_a_wrong_type_is_no_value(daemon, stand_in):
    async with reading(daemon) as (meter, watch):
        await joined(stand_in, watch, GRID, Ac_Power="412", Ac_L1_Power="412")
        with pytest.raises(DeviceConnectionError, match="has no power now"):
            await meter.read()


FULL = {"/Ac/L1/Voltage": 231.4, "/Ac/L1/Current": 1.8, "/Ac/Energy/Forward": 12.5, "/Ac/Frequency": 50.02}


@pytest.mark.parametrize(
    ("path", "value"),
    [("/Ac/L1/Voltage", 231.5), ("/Ac/L1/Current", 1.9), ("/Ac/Energy/Forward", 12.51), ("/Ac/Frequency", 50.01)],
)
async def test_while_the_power_stands_still_all_else_that_the_service_tells_shows_whether_it_moves(
    daemon, stand_in, path, value
):
    async with reading(daemon) as (meter, watch):
        await stand_in.join(GRID, {**GRID_VALUES, **FULL})
        await until(lambda: GRID in watch.of_class("grid"))
        await meter.read()
        before = await meter.read()
        assert before == await meter.read(), "a driver that hangs"
        stand_in.set(GRID, {path: value})
        assert before != await meter.read(), "a house that draws the same"


async def test_what_a_grid_service_tells_beside_its_power_is_believed_within_its_range(daemon, stand_in):
    async with reading(daemon) as (meter, watch):
        await stand_in.join(GRID, {**GRID_VALUES, **FULL, "/Ac/Energy/Reverse": -1.0, "/Ac/L2/Voltage": 230.0})
        await until(lambda: GRID in watch.of_class("grid"))
        await meter.read()
        assert await meter.read() == MeterReading(
            at_s=100.0,
            power_w=412.0,
            phases=(PhaseReading(412.0, 231.4, 1.8), None, None),
            energy_import_wh=12500.0,
            frequency_hz=50.02,
        )
