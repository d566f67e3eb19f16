"""The whole program with everything switched on, beside what a GX has: what others find there, and who rules."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from opendtu_dcload.control.bookkeeping.alarms import RULES, Rule
from opendtu_dcload.control.protection import battery_guard, escalation, hysteresis, plant_guard
from opendtu_dcload.model import Reason
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from opendtu_dcload.sim.servers.shelly_server import Gen1Server
from opendtu_dcload.venus.gx import battery_follower as follower
from opendtu_dcload.venus.gx import gx_control
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.venus.services import plant_services
from opendtu_dcload.venus.services.alarm import NO_ALARM
from tests.doubles.bus_client import Client
from tests.doubles.devices import LOAD_W, SERIALS
from tests.doubles.gx_services import BATTERY, BATTERY_VALUES, SYSTEM, SYSTEM_VALUES, VEBUS, VEBUS_VALUES, Gx
from tests.doubles.localsettings_process import SettingsProcess
from tests.doubles.message_bus import Daemon
from tests.doubles.until import until
from tests.program.in_process import METER, SWITCH, InProcess, shown, write

pytestmark = pytest.mark.realtime

ALARM = "com.victronenergy.digitalinput.opendtu_dcload"
DC_SYSTEM = "com.victronenergy.dcsystem.opendtu"
TEMPERATURE = "com.victronenergy.temperature.opendtu_battery"
INVERTERS = [f"com.victronenergy.dcload.opendtu_{serial}" for serial in SERIALS]
SERVICES = [METER, SWITCH, *INVERTERS, ALARM, DC_SYSTEM, TEMPERATURE]
PLANT_VALUES = {"/Regulation", "/MaxFeedIn", "/GridTarget", "/SocFloatingMax", "/PowerFeedInSoc"}
CARDS = {
    "/SwitchableOutput/regulation/State": "/Regulation",
    "/SwitchableOutput/max_feed_in/Dimming": "/MaxFeedIn",
    "/SwitchableOutput/target/Dimming": "/GridTarget",
    "/SwitchableOutput/alarms/State": "/Settings/AlarmSetting",
    **{f"/SwitchableOutput/opendtu_{serial}/State": f"/Enabled of {serial}" for serial in SERIALS},
}
"""What stands on a card, and the plain path with the same value."""
FILE_CAP_W = 800


def labels(card: str) -> set[str]:
    return {f"{card.rpartition('/')[0]}/Settings/{name}" for name in ("CustomName", "Group")}


WRITABLE = {
    METER: {"/CustomName", "/Role", "/Position", *PLANT_VALUES},
    SWITCH: {"/CustomName", "/SwitchableOutput/reason/Dimming", *PLANT_VALUES, *CARDS}.union(*map(labels, CARDS)),
    **{name: {"/CustomName", "/Enabled"} for name in INVERTERS},
    ALARM: {"/CustomName", "/Settings/AlarmSetting"},
    DC_SYSTEM: {"/CustomName"},
    TEMPERATURE: {"/CustomName", "/TemperatureType"},
}


def key_of(name: str, path: str) -> str:
    """Return a key that is the same for all places of one value."""
    key = CARDS.get(path, path)
    if key in PLANT_VALUES or " of " in key or key == "/Settings/AlarmSetting":
        return key
    return f"{key} of {name.rpartition('_')[2]}" if key == "/Enabled" else name + key


@dataclass
class Everything:
    plant: InProcess
    relay: Gen1Server
    gx: Gx
    settings: list[LocalSettings]

    async def alarm(self, client: Client) -> tuple[str, int]:
        return await shown(client, ALARM, "/CustomName"), await shown(client, ALARM, "/Alarm")

    async def until_reason(self, client: Client, reason: Reason) -> None:
        while await shown(client, METER, "/Plan/Reason") != reason:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)


@pytest.fixture
async def everything(
    plant: InProcess, daemon: Daemon, localsettings: SettingsProcess, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Everything]:
    monkeypatch.setattr(follower, "POLL_S", 0.1)
    made: list[LocalSettings] = []

    def make(*arguments: Any) -> LocalSettings:
        made.append(LocalSettings(*arguments))
        return made[-1]

    monkeypatch.setattr(plant_services, "LocalSettings", make)
    relay = Gen1Server(plant.dtu, plant.clock, device="1pm")
    relay.feed_inverters()
    solar = Gen2Server(plant.dtu, plant.clock, device="pm-mini", mac="A0DD6C445566")
    solar.meter.is_frozen = True
    solar.meter.phases_w = (-50.0, 0.0, 0.0)
    gx = Gx(daemon.address)
    localsettings.start()
    async with relay, solar:
        plant.table |= {
            "battery": plant.table["battery"] | {"min_soc_pct": 20, "seasonal_min_soc": True},
            "control": {"max_feed_in_w": FILE_CAP_W, "standby": True},
            "solar": {"host": solar.host},
            "relay": {"host": relay.host},
            "dbus": plant.table["dbus"] | {"battery_temperature": True, "allow_grid_role": True},
        }
        await gx.join(BATTERY, BATTERY_VALUES)
        await gx.join(VEBUS, VEBUS_VALUES)
        await gx.join(SYSTEM, SYSTEM_VALUES)
        yield Everything(plant, relay, gx, made)
        await gx.end()


@contextlib.asynccontextmanager
async def regulated(everything: Everything, client: Client) -> AsyncIterator[InProcess]:
    """Run the program until it regulates and all services are there."""
    plant = everything.plant
    async with plant.program():
        for name in SERVICES:
            while await shown(client, name, "/DeviceInstance") is None:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.02)
        await until(lambda: plant.holds(10))
        yield plant


@pytest.mark.parametrize("storms", [1, pytest.param(10, marks=pytest.mark.long)])
async def test_another_client_finds_reads_and_writes_all_and_thousands_of_odd_writes_leave_everything_in_order(
    everything: Everything,
    client: Client,
    localsettings: SettingsProcess,
    caplog: pytest.LogCaptureFixture,
    storms: int,
) -> None:
    async with regulated(everything, client):
        items: dict[str, dict[str, Any]] = {}
        for name in SERVICES:
            items[name] = (await client.call(name, "/", "GetItems"))["ok"]
            tree = (await client.call(name, "/", "GetValue"))["ok"]
            assert {f"/{path}" for path in tree} == set(items[name])
            taken = set()
            for path in items[name]:
                kind, value = await client.get(name, path)
                if path == "/AllowedRoles" or kind == "ai":
                    continue
                if (await client.call(name, path, "SetValue", "v", [kind, value]))["ok"][1] == 0:
                    taken.add(path)
            assert taken == WRITABLE[name], name
        caplog.clear()
        # the DC sum leaves while the commands of the storm keep the radio from asking the inverters
        lasting = {name: paths for name, paths in WRITABLE.items() if name != DC_SYSTEM}
        places = [[name, path, key_of(name, path)] for name, paths in lasting.items() for path in sorted(paths)]
        answers: dict[str, int] = defaultdict(int)
        for seed in range(storms):
            told = (await client.do("storm", places=places, count=1000, seed=seed))["ok"]
            assert told["wrong"] == []
            for answer, count in told["answers"].items():
                answers[answer] += count
        assert sum(answers.values()) == 1000 * storms
        assert set(answers) == {"0", "1", "2"}
        for name, paths in lasting.items():
            now = (await client.call(name, "/", "GetItems"))["ok"]
            for path in paths:
                kind, value = now[path]["Value"]
                assert kind == items[name][path]["Value"][0], (name, path)
                if "Min" in now[path]:
                    assert now[path]["Min"][1] <= value <= now[path]["Max"][1], (name, path)
            if "/Plan/Cap" in now:
                assert now["/Plan/Cap"]["Value"][1] <= FILE_CAP_W
        [settings] = everything.settings
        for path, setting in settings._settings.items():
            is_pending = setting.write_limiter.next_s is not None or setting.written is not None
            assert is_pending or setting.value == localsettings.values[path], path
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


async def test_each_service_signals_at_most_once_a_second_and_nothing_that_has_not_changed(
    everything: Everything, client: Client, daemon: Daemon
) -> None:
    match = "type='signal',interface='com.victronenergy.BusItem',member='ItemsChanged'"
    async with regulated(everything, client) as plant:
        unique = {}
        for name in SERVICES:
            answer = await client.call(
                "org.freedesktop.DBus", "/", "GetNameOwner", "s", ["s", name], interface="org.freedesktop.DBus"
            )
            unique[answer["ok"][1]] = name
        while not client.signals.empty():
            client.signals.get_nowait()
        argv = ["dbus-monitor", "--address", str(daemon.address), "--profile", match]
        monitor = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE)
        assert monitor.stdout is not None
        sent_s: dict[str, list[float]] = defaultdict(list)
        while max(map(len, sent_s.values()), default=0) < 8:
            plant.house.load_w = [LOAD_W + 40 * (sum(map(len, sent_s.values())) % 2)]
            kind, *rest = (await monitor.stdout.readline()).decode().split()
            if kind == "sig" and rest[-1] == "ItemsChanged" and rest[2] in unique:
                sent_s[unique[rest[2]]].append(float(rest[0]))
        monitor.terminate()
        await monitor.wait()
    assert len(sent_s) >= 4
    for name, times_s in sent_s.items():  # a second for the machine, which may let one of them wait
        assert len(times_s) - 1 <= times_s[-1] - times_s[0] + 1.0, name
    before: dict[tuple[str, str], Any] = {}
    count = 0
    while not client.signals.empty():
        signal = client.signals.get_nowait()
        if signal["signal"] == "ItemsChanged" and signal["sender"] in unique:
            for path, entry in signal["body"][0].items():
                assert before.get((signal["sender"], path)) != entry["Value"], (unique[signal["sender"]], path)
                before[signal["sender"], path] = entry["Value"]
                count += 1
    assert count > 20


async def test_a_localsettings_that_comes_late_gives_every_service_its_instance_and_takes_what_was_set(
    everything: Everything, client: Client, localsettings: SettingsProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gx_control, "QUIET_S", 0.05)
    localsettings.stop()
    async with regulated(everything, client) as plant:
        await write(client, SWITCH, "/MaxFeedIn", 110)
        await until(lambda: sum(plant.limits_w) <= 110)
        localsettings.start()
        await until(lambda: localsettings.values.get("/Settings/OpenDtuDcload/MaxFeedIn") == 110)
        kept = [path for path in localsettings.values if path.endswith("/ClassAndVrmInstance")]
        assert len(kept) == len(SERVICES)
        for name in SERVICES:
            assert await shown(client, name, "/DeviceInstance") is not None
        assert sum(plant.limits_w) <= 110


async def test_battery_and_multiplus_rule_the_plant_and_one_that_does_not_obey_opens_the_relay_and_is_told(
    everything: Everything, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SOC_DELAY_S", "MULTIPLUS_DELAY_S", "REST_S"):
        monkeypatch.setattr(battery_guard, name, 1.0)
    monkeypatch.setattr(hysteresis.StepLimiter, "DOWN_S", 0.5)
    monkeypatch.setattr(hysteresis.StepLimiter, "UP_S", 0.2)
    escalator = escalation.Escalator(30.0)
    monkeypatch.setattr(plant_guard, "Escalator", lambda _: escalator)
    monkeypatch.setitem(RULES, Reason.GUARD_ESCALATED, Rule(clear_s=1.0))
    gx = everything.gx
    async with regulated(everything, client) as plant:
        inverters = plant.house.inverters.values()
        gx.set(BATTERY, {"/Soc": 20.5})  # a sixth of the way from the minimum to where it may begin again
        seen_w: set[int] = set()

        def is_low() -> bool:
            seen_w.add(round(sum(plant.limits_w)))
            return 40 < sum(plant.limits_w) < 200

        await until(is_low)
        assert len(seen_w) > 2, "step by step"
        await everything.until_reason(client, Reason.BATTERY_NEARLY_LOW)
        gx.set(BATTERY, {"/Soc": 19.0})
        await until(lambda: sum(plant.limits_w) == 0)
        await everything.until_reason(client, Reason.MIN_SOC)
        gx.set(BATTERY, {"/Soc": 22.0})
        gx.set(VEBUS, {"/Dc/0/Power": 300.0})
        await everything.until_reason(client, Reason.MIN_SOC)
        gx.set(BATTERY, {"/Soc": 24.0})
        await everything.until_reason(client, Reason.MULTIPLUS_CHARGING)
        await until(lambda: sum(plant.limits_w) == 0)
        gx.set(VEBUS, {"/Dc/0/Power": 0.0})
        await until(lambda: plant.holds(10))
        assert await everything.alarm(client) == (NO_ALARM, 0)

        deaf = next(iter(inverters))
        with monkeypatch.context() as patch:
            patch.setattr(deaf, "receive_power", lambda *_, **__: None)
            patch.setattr(escalation, "LIMIT_WAIT_S", 1.0)
            escalator._settle_s = 3.0
            patch.setattr(deaf, "receive_limit", lambda *_, **__: None)
            gx.set(BATTERY, {"/Io/AllowToDischarge": 0})
            await until(lambda: not everything.relay.relay.is_on)
            await until(lambda: plant.house.output_w == 0)
            text = "Inverters do not obey the battery guard"
            while await everything.alarm(client) != (text, 2):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.02)
        gx.set(BATTERY, {"/Io/AllowToDischarge": 1})
        await until(lambda: everything.relay.relay.is_on and plant.holds(10))
        while await everything.alarm(client) != (NO_ALARM, 0):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)
        assert await shown(client, ALARM, "/Count") == 1
