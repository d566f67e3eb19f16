"""Where the platform takes notifications, and where not any more."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from opendtu_dcload.venus.services import alarm as alarm_module
from opendtu_dcload.venus.services.alarm import NO_ALARM
from tests.doubles.bus_client import Client
from tests.doubles.gx_services import Gx
from tests.doubles.message_bus import Daemon
from tests.doubles.until import until
from tests.venus.services.alarm_on_bus import BLIND, HOT, LOST, NAME, ShownAlarm, house, platform

pytestmark = pytest.mark.realtime

__all__ = ["house"]  # fixtures


async def test_where_the_platform_takes_notifications_each_alarm_is_told_once_and_there_is_no_digital_input(
    daemon: Daemon,
) -> None:
    house = ShownAlarm(daemon)
    async with platform(daemon) as given, house.running():
        await until(lambda: house.platform.takes_notifications is True)
        house.state.set_alarms((BLIND,))
        await until(lambda: given == [f"1\tInverters\t{BLIND.text}"])
        house.state.set_alarms((BLIND, LOST, HOT))
        await until(lambda: given[1:] == [f"1\tInverters\t{LOST.text}"])
        house.state.set_alarms((LOST,))
        house.state.set_alarms(())
        await asyncio.sleep(0.1)
        assert len(given) == 2
        assert not house.alarm.service.is_online


async def test_beside_notifications_a_digital_input_that_is_asked_for_keeps_its_name(
    daemon: Daemon, client: Client
) -> None:
    house = ShownAlarm(daemon, "on")
    async with platform(daemon) as given, house.running():
        await until(lambda: house.alarm.service.is_online and house.platform.takes_notifications is True)
        house.state.set_alarms((LOST,))
        await until(lambda: house.alarm.service.value("/Alarm") == 2)
        assert await client.get(NAME, "/CustomName") == ["s", NO_ALARM]
        await until(lambda: given == [f"1\tInverters\t{LOST.text}"])


async def test_off_means_never_a_digital_input(daemon: Daemon) -> None:
    house = ShownAlarm(daemon, "off")
    async with house.running():
        await until(lambda: house.platform.takes_notifications is False)
        house.state.set_alarms((LOST,))
        await asyncio.sleep(0.1)
        assert not house.alarm.service.is_online


async def test_a_platform_that_starts_again_makes_no_digital_input_and_gets_what_came_meanwhile(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarm_module, "RETRY_S", 0.01)
    house = ShownAlarm(daemon)
    house.platform._away_s = 20.0
    async with house.running():
        async with platform(daemon):
            await until(lambda: house.platform.takes_notifications is True)
        house.state.set_alarms((LOST,))
        await asyncio.sleep(0.1)
        assert not house.alarm.service.is_online
        async with platform(daemon) as given:
            await until(lambda: given == [f"1\tInverters\t{LOST.text}"])


async def test_after_an_update_of_the_platform_the_digital_input_goes_and_after_a_step_back_it_comes(
    daemon: Daemon,
) -> None:
    house = ShownAlarm(daemon)
    async with house.running():
        async with platform(daemon, path="/Notifications/Alarm"):
            await until(lambda: house.alarm.service.is_online)
        async with platform(daemon):
            await until(lambda: not house.alarm.service.is_online)
        await until(lambda: house.alarm.service.is_online)


async def test_a_platform_that_refuses_is_as_good_as_none(daemon: Daemon) -> None:
    house = ShownAlarm(daemon)
    async with platform(daemon, accepts=False) as given, house.running():
        house.state.set_alarms((replace(LOST, text="Inverter lost: a\x00b\tc"),))
        await until(lambda: bool(given))
        assert given == ["1\tInverters\tInverter lost: abc"]
        await until(lambda: house.alarm.service.is_online and house.alarm.service.value("/Alarm") == 2)


async def test_a_platform_that_never_answers_is_as_good_as_none(daemon: Daemon) -> None:
    house, gx = ShownAlarm(daemon), Gx(daemon.address)
    house.watch._answer_timeout_s = 0.02
    await gx.fall_silent("com.victronenergy.platform")
    async with house.running():
        house.state.set_alarms((LOST,))
        await until(lambda: house.alarm.service.is_online and house.alarm.service.value("/Alarm") == 2)
    await gx.end()


@pytest.mark.parametrize("has_platform", [True, False], ids=["older platform", "no platform"])
async def test_a_bus_without_that_notification_gets_the_digital_input(
    house: ShownAlarm, daemon: Daemon, has_platform: bool
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        if has_platform:
            await stack.enter_async_context(platform(daemon, path="/Notifications/Alarm"))
        await house.show(BLIND, LOST)
        await house.show(LOST)
        await house.show()
