"""The battery's temperature as a sensor for the GX's relay."""

import asyncio

from opendtu_dcload.freshness import BATTERY_S
from opendtu_dcload.model import BatteryStatus
from opendtu_dcload.state import State
from opendtu_dcload.venus.bus.bus_address import UnixAddress
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.venus.services.context import ServiceContext
from opendtu_dcload.venus.services.temperature import NAME, TemperatureService
from tests.doubles.until import until


async def test_the_sensor_appears_with_the_first_temperature_and_follows_it(daemon, client):
    state = State()
    service = TemperatureService(ServiceContext(state=state, bus=daemon.address, clock=lambda: 100.0))
    task = asyncio.create_task(service.run())
    state.set_battery(BatteryStatus(at_s=100.0))
    await asyncio.sleep(0.02)
    assert not service.service.is_online
    state.set_battery(BatteryStatus(at_s=100.0, temperature_c=4.26))
    await until(lambda: service.service.is_online)
    items = (await client.call(NAME, "/", "GetItems"))["ok"]
    assert items["/Temperature"] == {"Value": ["d", 4.3], "Text": ["s", "4.3C"]}
    assert (items["/TemperatureType"]["Value"], items["/Status"]["Value"]) == (["i", 0], ["i", 0])
    state.set_battery(None)
    assert (await client.signal())["body"][0]["/Temperature"]["Value"] == ["ai", []]
    assert service.service.is_online
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_type_that_the_setup_page_offers_can_be_set_and_is_kept(daemon, client, localsettings):
    localsettings.start()
    for before, written, answer, after in ((0, 7, 2, 0), (0, 5, 0, 5), (5, 2, 0, 2)):
        state = State()
        settings = LocalSettings(daemon.address, lambda: 100.0, retry_delays_s=(0.01,))
        context = ServiceContext(state=state, bus=daemon.address, clock=lambda: 100.0, settings=settings)
        service = TemperatureService(context)
        tasks = [asyncio.create_task(settings.run()), asyncio.create_task(service.run())]
        state.set_battery(BatteryStatus(at_s=100.0, temperature_c=4.0))
        await until(lambda service=service: service.service.is_online)  # type: ignore[misc]  # mypy infers no lambda with a default
        assert await client.get(NAME, "/TemperatureType") == ["i", before]
        told = await client.call(NAME, "/TemperatureType", "SetValue", "v", ["i", written])
        assert told["ok"] == ["i", answer]
        assert await client.get(NAME, "/TemperatureType") == ["i", after]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_an_old_temperature_is_not_shown():
    state = State()
    state.set_battery(BatteryStatus(at_s=100.0, temperature_c=4.0))
    now_s = [100.0 + BATTERY_S]
    service = TemperatureService(ServiceContext(state=state, bus=UnixAddress("/nowhere"), clock=lambda: now_s[0]))
    assert (service.values()["/Temperature"], service.values()["/Status"]) == (4.0, 0)
    now_s[0] += 0.1
    assert (service.values()["/Temperature"], service.values()["/Status"]) == (None, 1)
