"""Device instances and names, as the GX and its users choose them."""

import asyncio
import logging

import pytest

from opendtu_dcload.venus.services import device
from opendtu_dcload.venus.services.device import Device
from tests.doubles.until import until
from tests.venus.gx.one_start import FIRST, MAC, METER, SECOND, SERIALS, SWITCH, OneStart, gx, write

__all__ = ["gx"]  # fixtures


async def test_the_instance_in_the_reply_is_used_and_kept_over_a_restart(gx, client, daemon, localsettings):
    localsettings.start()
    path = "/Settings/Devices/somebody_else/ClassAndVrmInstance"
    await client.do("add_settings", settings=[[path, "dcload:134"]])
    for start in (gx, OneStart(daemon.address)):
        async with start.running(client):
            shown = [(await client.get(name, "/DeviceInstance"))[1] for name in (FIRST, SECOND, METER, SWITCH)]
            assert shown == [135, 136, 59, 134]


async def test_another_instance_chosen_on_the_gx_brings_the_service_back_under_it(gx, client, localsettings, caplog):
    caplog.set_level(logging.INFO)
    localsettings.start()
    async with gx.running(client):
        path = f"/Settings/Devices/opendtu_{SERIALS[0]}/ClassAndVrmInstance"
        before = gx.inverters[0].service._connection
        await client.call("com.victronenergy.settings", path, "SetValue", "v", ["s", "dcload:150"])
        await until(lambda: gx.inverters[0].service._connection is not before and gx.inverters[0].service.is_online)
        assert await client.get(FIRST, "/DeviceInstance") == ["i", 150]
    assert f"{FIRST}: comes again, its device instance is now 150" in caplog.messages
    assert "lost" not in caplog.text


@pytest.mark.parametrize("stored", ["dcload", "dcload:", "dcload:-3", "dcload:x", "dcload:99999999999999", ""])
async def test_an_instance_that_cannot_be_leaves_the_one_before_and_takes_nobody_elses(
    gx, client, daemon, localsettings, stored
):
    localsettings.start()
    first, second = (f"/Settings/Devices/opendtu_{serial}/ClassAndVrmInstance" for serial in SERIALS)
    await client.do("add_settings", settings=[[first, "dcload:134"], [second, "dcload:135"]])
    for path, place in ((second, "dcload:134"), (first, "dcload:150")):  # the user exchanged them
        await client.call("com.victronenergy.settings", path, "SetValue", "v", ["s", place])
    async with gx.running(client):
        assert [(await client.get(name, "/DeviceInstance"))[1] for name in (FIRST, SECOND)] == [150, 134]
        await client.call("com.victronenergy.settings", first, "SetValue", "v", ["s", stored])
        await until(lambda: gx.inverters[0]._device._place.kept == stored)
        assert await client.get(FIRST, "/DeviceInstance") == ["i", 150]
        gx.later(device.NAME_QUIET_S)
        await until(lambda: localsettings.values[first] == "dcload:150")
    await client.call("com.victronenergy.settings", first, "SetValue", "v", ["s", stored])
    again = OneStart(daemon.address)
    async with again.running(client):
        assert [(await client.get(name, "/DeviceInstance"))[1] for name in (FIRST, SECOND)] == [135, 134]


async def test_every_instance_that_the_gx_lets_a_user_type_is_taken(gx, client, localsettings):
    localsettings.start()
    async with gx.running(client):
        path = f"/Settings/Devices/opendtu_{SERIALS[0]}/ClassAndVrmInstance"
        await client.call("com.victronenergy.settings", path, "SetValue", "v", ["s", "dcload:2147483647"])
        await until(lambda: gx.inverters[0].service.value("/DeviceInstance") == 2147483647)


async def test_a_meter_that_gets_another_role_is_of_that_class_in_localsettings(gx, client, daemon, localsettings):
    localsettings.start()
    path = f"/Settings/Devices/shelly_{MAC}/ClassAndVrmInstance"
    async with gx.running(client):
        assert localsettings.values[path] == "acload:59"
    again = OneStart(daemon.address)
    meter = Device(again.settings, f"shelly_{MAC}", "grid", 59)
    task = asyncio.create_task(again.settings.run())
    await meter.asked()
    assert meter.instance == 59
    meter.become("grid")
    again.later(device.NAME_QUIET_S)
    await until(lambda: localsettings.values[path] == "grid:59")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_name_given_on_the_gx_is_kept_and_an_empty_one_brings_back_its_own(gx, client, daemon, localsettings):
    localsettings.start()
    async with gx.running(client):
        assert await client.get(FIRST, "/CustomName") == ["s", "Inverter 0"]
        for name in (FIRST, METER, SWITCH):
            assert await write(client, name, "/CustomName", "s", "Barn") == 0
            assert await client.get(name, "/CustomName") == ["s", "Barn"]
        gx.later(device.NAME_QUIET_S)
        await until(lambda: list(localsettings.values.values()).count("Barn") == 3)
    again = OneStart(daemon.address)
    async with again.running(client):
        for name in (FIRST, METER, SWITCH):
            assert await client.get(name, "/CustomName") == ["s", "Barn"]
        await write(client, FIRST, "/CustomName", "s", "")
        await until(lambda: again.inverters[0].service.value("/CustomName") == "Inverter 0")
