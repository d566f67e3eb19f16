"""The plant's alarm on the bus, seen by dbus-python."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from opendtu_dcload.control.bookkeeping.alarms import Alarms, Watched
from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import (
    METER,
    CommandState,
    DtuStatus,
    InverterPlan,
    InverterStatus,
    LimitStatus,
    MeterReading,
    Plan,
    Reason,
)
from opendtu_dcload.state import State
from opendtu_dcload.tallies import CommandRecord, Link, Outcome, Today
from opendtu_dcload.venus.services.alarm import NO_ALARM, AlarmFace
from tests.doubles.bus_client import Client
from tests.doubles.message_bus import Daemon
from tests.doubles.until import until
from tests.venus.services.alarm_on_bus import BLIND, HOT, LOST, NAME, SERIAL, ShownAlarm, changes, house, platform

pytestmark = pytest.mark.realtime

__all__ = ["house"]  # fixtures


async def test_everything_is_shown_with_its_type_and_text(daemon: Daemon, client: Client) -> None:
    house = ShownAlarm(daemon)
    state = house.state
    inverter = InverterStatus(SERIAL, "Left", 99.0, 99.0, reachable=True)
    state.set_inverters("opendtu", {SERIAL: inverter})
    state.set_limits("opendtu", {SERIAL: LimitStatus(SERIAL, 99.0, 50.0, 400.0, CommandState.OK)})
    state.set_dtu("opendtu", DtuStatus(79.0))
    state.set_meter(MeterReading(99.0, 12.0))
    state.set_plan(Plan(99.0, 300.4, 800.0, Reason.REGULATING))
    older = CommandRecord(sent=3, failed=1, last="off", outcome=Outcome.TAKEN, at_s=10.0)
    latest = CommandRecord(sent=5, failed=1, last="limit 200 W", is_limit=True, outcome=Outcome.ACKNOWLEDGED, at_s=90.0)
    state.set_commands({"999999999999": older, SERIAL: latest})
    state.set_link(METER, Link(4, 1))
    state.set_link("DTU", Link(6, 2))
    state.set_link(SERIAL, Link(0, 9))
    state.set_today(Today(exported_wh=12.3, avoidable_wh=345.6))
    async with house.running():
        await until(lambda: house.alarm.service.is_online)
        items = (await client.call(NAME, "/", "GetItems"))["ok"]
    shown = {path: (*entry["Value"], entry["Text"][1]) for path, entry in items.items()}
    assert shown == {
        "/Mgmt/ProcessName": ("s", "opendtu_dcload", "opendtu_dcload"),
        "/Mgmt/ProcessVersion": ("s", "1.2.3", "1.2.3"),
        "/Mgmt/Connection": ("s", "opendtu_dcload", "opendtu_dcload"),
        "/DeviceInstance": ("i", 60, "60"),
        "/ProductId": ("i", 65535, "0xFFFF"),
        "/ProductName": ("s", "Inverter alarm", "Inverter alarm"),
        "/CustomName": ("s", NO_ALARM, NO_ALARM),
        "/FirmwareVersion": ("s", "1.2.3", "1.2.3"),
        "/HardwareVersion": ("ai", [], "---"),
        "/Serial": ("ai", [], "---"),
        "/Connected": ("i", 1, "1"),
        "/Type": ("i", 255, "255"),
        "/Alarm": ("i", 0, "0"),
        "/State": ("i", 8, "8"),
        "/InputState": ("i", 0, "0"),
        "/Count": ("i", 0, "0"),
        "/Settings/AlarmSetting": ("i", 1, "1"),
        "/Plan/Reason": ("s", "regulating", "regulating"),
        "/Plan/SetPoint": ("d", 300.0, "300W"),
        "/Plan/Cap": ("d", 800.0, "800W"),
        "/Health/LastCommand": ("s", "Left: limit 200 W", "Left: limit 200 W"),
        "/Health/LastResult": ("s", "acknowledged by the inverter", "acknowledged by the inverter"),
        "/Health/Commands": ("i", 8, "8"),
        "/Health/CommandsFailed": ("i", 2, "2"),
        "/Health/MeterFailures": ("i", 4, "4"),
        "/Health/MeterReconnects": ("i", 1, "1"),
        "/Health/MeterAge": ("i", 0, "0s"),
        "/Health/DtuFailures": ("i", 6, "6"),
        "/Health/DtuReconnects": ("i", 2, "2"),
        "/Health/InverterRestarts": ("i", 0, "0"),
        "/Health/DtuReboots": ("i", 0, "0"),
        "/Health/DtuAge": ("i", 20, "20s"),
        "/Health/ExportedToday": ("d", 0.012, "0.012kWh"),
        "/Health/AvoidableImportToday": ("d", 0.346, "0.346kWh"),
    }


async def test_what_is_not_known_yet_is_invalid(house: ShownAlarm, client: Client) -> None:
    items = (await client.call(NAME, "/", "GetItems"))["ok"]
    unknown = {path for path, entry in items.items() if entry["Value"] == ["ai", []]}
    assert unknown == {
        "/HardwareVersion", "/Serial", "/Plan/Reason", "/Plan/SetPoint", "/Plan/Cap",
        "/Health/LastCommand", "/Health/LastResult", "/Health/MeterAge", "/Health/DtuAge",
    }  # fmt: skip


def test_a_plan_of_yesterday_is_no_plan(daemon: Daemon) -> None:
    house = ShownAlarm(daemon)
    house.state.set_plan(Plan(house.now_s, 300.0, 800.0, Reason.REGULATING))
    assert house.alarm.values()["/Plan/SetPoint"] == 300.0
    house.now_s += 86_400.0
    assert {house.alarm.values()[f"/Plan/{name}"] for name in ("Reason", "SetPoint", "Cap")} == {None}


async def test_the_text_comes_in_an_earlier_signal_than_the_alarm(house: ShownAlarm, client: Client) -> None:
    await house.show(LOST)
    await house.show()
    assert await changes(client, house) == [
        {"/CustomName": LOST.text},
        {"/Alarm": 2, "/State": 9, "/InputState": 1, "/Count": 1},
        {"/Alarm": 0, "/State": 8, "/InputState": 0},
        {"/CustomName": NO_ALARM},
    ]


async def test_the_worst_is_shown_and_the_next_one_when_that_clears(house: ShownAlarm, client: Client) -> None:
    await house.show(LOST)
    await house.show(BLIND, LOST)
    await house.show(LOST)
    told = [
        {p: v for p, v in signal.items() if p in {"/CustomName", "/Alarm"}} for signal in await changes(client, house)
    ]
    first = [{"/CustomName": LOST.text}, {"/Alarm": 2}, {"/Alarm": 0}]
    assert told == [*first, {"/CustomName": BLIND.text}, {"/Alarm": 2}, {"/Alarm": 0}, *first[:2]]


async def test_nothing_is_sent_while_an_alarm_lasts(house: ShownAlarm, client: Client) -> None:
    await house.show(LOST)
    await changes(client, house)
    house.state.set_alarms((LOST, replace(LOST, subject="another", text="Inverter lost: Right")))
    house.state.set_alarms((replace(LOST),))
    await asyncio.sleep(0.05)
    house.now_s += 1
    assert await changes(client, house) == []


async def test_warnings_are_not_its_business(house: ShownAlarm, client: Client) -> None:
    house.state.set_alarms((HOT,))
    await asyncio.sleep(0.05)
    assert house.is_shown(NO_ALARM)
    await house.show(LOST, HOT)


# ---- what the user sets


async def test_muted_no_alarm_rises_and_none_is_told_and_what_is_still_up_is_when_it_is_loud_again(
    daemon: Daemon, client: Client
) -> None:
    house = ShownAlarm(daemon, "on")
    setting = ("/Settings/AlarmSetting", "SetValue", "v")
    async with platform(daemon) as given, house.running():
        await until(lambda: house.alarm.service.is_online and house.platform.takes_notifications is True)
        assert (await client.call(NAME, *setting, ["i", 0]))["ok"] == ["i", 0]
        house.state.set_alarms((LOST,))
        await until(lambda: house.alarm.service.value("/State") == 9)
        await asyncio.sleep(0.05)
        assert (await client.get(NAME, "/Alarm"), given) == (["i", 0], [])
        await client.call(NAME, *setting, ["i", 1])
        await until(lambda: house.alarm.service.value("/Alarm") == 2 and len(given) == 1)


async def test_its_name_can_be_given_and_taken_back(house: ShownAlarm, client: Client) -> None:
    for name, shown in (("Cellar", "Cellar"), ("", NO_ALARM)):
        assert (await client.call(NAME, "/CustomName", "SetValue", "v", ["s", name]))["ok"] == ["i", 0]
        assert await client.get(NAME, "/CustomName") == ["s", shown]
        await house.show(LOST)
        house.state.set_alarms(())
        while await client.get(NAME, "/CustomName") != ["s", shown]:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)


def test_an_alarm_that_is_over_before_it_was_shown_is_not_shown() -> None:
    face = AlarmFace()
    assert face.show(LOST)
    assert face.show(None)
    assert not face.show(None)
    assert (face.values()["/Alarm"], face.values()["/CustomName"], face.count) == (0, NO_ALARM, 0)


@pytest.mark.parametrize(
    ("break_it", "text"),
    [
        pytest.param(lambda h: h.update(temperature_c=80.0), "Inverter too hot: Left", id="over-temperature"),
        pytest.param(lambda h: h.update(reachable=False), "Inverter lost: Left", id="inverter lost"),
        pytest.param(lambda h: h.update(dtu=False), "DTU lost", id="DTU lost"),
        pytest.param(lambda h: h.update(meter=False), "Meter lost", id="meter lost"),
        pytest.param(lambda h: h.update(reason=Reason.METER_BLIND), "Meter does not see the inverters", id="blind"),
        pytest.param(lambda h: h.update(reason=Reason.FOREIGN_LIMITS), "Another controller sets limits", id="masters"),
        pytest.param(
            lambda h: h.update(reason=Reason.BATTERY_LOW),
            "Battery voltage below the minimum: inverters off",
            id="battery guard",
        ),
        pytest.param(lambda h: h.update(told_w=0.0), "Inverter gives more than it is told: Left", id="no effect"),
    ],
)
async def test_each_alarm_appears_on_the_bus_once_and_clears(
    house: ShownAlarm, client: Client, break_it: Callable[[dict[str, Any]], None], text: str
) -> None:
    settings = Settings(min_voltage_v=48.0, dtus={"opendtu": DtuSettings()})
    alarms = Alarms(settings, (Watched(SERIAL, "opendtu"),), house.now_s)
    fine: dict[str, Any] = {
        "temperature_c": 40.0, "reachable": True, "dtu": True, "meter": True,
        "reason": Reason.REGULATING, "told_w": 200.0,
    }  # fmt: skip
    is_now = dict(fine)

    async def run(seconds: int) -> None:
        for _ in range(seconds):
            house.now_s += 1
            see(house.state, house.now_s, **is_now)
            if (up := alarms.update(house.state, house.now_s)) != house.state.alarms:
                house.state.set_alarms(up)
            await asyncio.sleep(0)

    await run(60)
    break_it(is_now)
    await run(400)
    await until(lambda: house.is_shown(text))
    is_now = fine
    await run(700)
    await until(lambda: house.is_shown(NO_ALARM))
    signals = await changes(client, house)
    assert [signal["/Alarm"] for signal in signals if "/Alarm" in signal] == [2, 0]
    assert [signal["/CustomName"] for signal in signals if "/CustomName" in signal] == [text, NO_ALARM]


def see(
    state: State, now_s: float, *, temperature_c: float, reachable: bool, dtu: bool, meter: bool, reason: Reason,
    told_w: float,
) -> None:  # fmt: skip
    """Let the devices answer, as far as they do."""
    if meter:
        state.set_meter(MeterReading(now_s, 10.0))
    if dtu:
        state.set_dtu("opendtu", DtuStatus(now_s, serials=frozenset({SERIAL})))
        status = InverterStatus(
            SERIAL, "Left", now_s, now_s, reachable=reachable,
            ac_power_w=200.0, dc_voltage_v=52.0, temperature_c=temperature_c,
        )  # fmt: skip
        state.set_inverters("opendtu", {SERIAL: status})
    state.set_plan(Plan(now_s, told_w, 800.0, reason, (InverterPlan(SERIAL, told_w, is_on=told_w > 0),)))
