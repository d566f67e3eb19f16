"""Plays of `gx_hours` in which somebody sets something on the GX, or ends the program: what is left of it."""

from __future__ import annotations

import asyncio
import math
import random
import signal
import time
from typing import Any

from dbus_next.constants import MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

from opendtu_dcload.sim.demo.demo_plant import CAP_W, SERIALS
from opendtu_dcload.venus.bus.connection import connected
from opendtu_dcload.venus.gx.gx_control import FOLDER
from tests.plays.gx_stage import INVERTERS, OURS, PLACES, SWITCH, Stage

SETTINGS = "com.victronenergy.settings"
SWITCH_QUIET_S, NAME_QUIET_S, NUMBER_QUIET_S = 10.0, 5.0, 600.0
"""As the manual says."""
USUAL: dict[tuple[str, str], int | str] = {
    (SWITCH, "/MaxFeedIn"): int(CAP_W),
    (SWITCH, "/GridTarget"): 0,
    (SWITCH, "/Regulation"): 1,
    (SWITCH, "/SwitchableOutput/alarms/State"): 1,
    **{(name, "/Enabled"): 1 for name in INVERTERS},
    (INVERTERS[0], "/CustomName"): "",
}


async def move(stage: Stage, rng: random.Random) -> dict[tuple[str, str], object]:
    """Set things on the GX as a restless user would; return what is to be shown then."""
    wanted: dict[tuple[str, str], object] = {}
    for what in rng.sample(["number", "target", "toggles", "inverter", "alarms", "name"], rng.randint(2, 6)):
        if what == "number":
            place = rng.choice(["/MaxFeedIn", "/SwitchableOutput/max_feed_in/Dimming"])
            for value in rng.sample(range(300, 1200), 3):
                await stage.write(SWITCH, place, value)
                wanted[SWITCH, "/MaxFeedIn"] = wanted[stage.meter_name, "/MaxFeedIn"] = value
        elif what == "target":
            value = wanted[SWITCH, "/GridTarget"] = rng.randint(-30, 120)
            await stage.write(stage.meter_name, "/GridTarget", value)
        elif what == "toggles":
            for value in (0, 1, 0, 1, 0, 1)[: rng.choice([3, 6])]:
                await stage.write(SWITCH, "/SwitchableOutput/regulation/State", value)
                wanted[SWITCH, "/Regulation"] = wanted[stage.meter_name, "/Regulation"] = value
        elif what == "inverter":
            value = wanted[INVERTERS[1], "/Enabled"] = rng.randint(0, 1)
            await stage.write(SWITCH, f"/SwitchableOutput/opendtu_{SERIALS[1]}/State", value)
        elif what == "alarms":
            value = wanted[SWITCH, "/SwitchableOutput/alarms/State"] = rng.randint(0, 1)
            await stage.write(SWITCH, "/SwitchableOutput/alarms/State", value)
        else:
            name = wanted[INVERTERS[0], "/CustomName"] = rng.choice(["Barn", "Cellar", "Roof"])
            await stage.write(INVERTERS[0], "/CustomName", name)
    return wanted


async def as_usual(stage: Stage) -> None:
    for (name, path), value in USUAL.items():
        await stage.write(name, path, value)


async def orderly_restart(stage: Stage, rng: random.Random) -> None:
    wanted = await move(stage, rng)
    wait_s = rng.choice([0.0, 0.1, 0.6, 2.0, 6.0, 11.0])
    await asyncio.sleep(wait_s)
    number = rng.choice([signal.SIGTERM, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
    status = await stage.stop(number)
    stage.promise("orderly end: exit status 0", status == 0, f"{number.name} {status}")
    await stage.start()
    wrong = await stage.until_shown(wanted, 10)
    stage.promise("orderly restart: what was last shown comes back", not wrong, wrong or f"{len(wanted)}, {wait_s} s")
    await as_usual(stage)


async def killed(stage: Stage, rng: random.Random) -> None:
    wanted = {(SWITCH, "/Regulation"): 0, (SWITCH, "/MaxFeedIn"): rng.randint(500, 900)}
    wanted[INVERTERS[2], "/Enabled"] = 0
    for (name, path), value in wanted.items():
        await stage.write(name, path, value)
    name = rng.choice(["Barn", "Cellar", "Roof"])
    await stage.write(INVERTERS[0], "/CustomName", name)
    rested_s = rng.choice([2.0, NAME_QUIET_S + 1.5, SWITCH_QUIET_S + 1.5, SWITCH_QUIET_S + 1.5])
    await asyncio.sleep(rested_s)
    assert stage.program is not None
    stage.program.kill()
    await stage.program.wait()
    keys = {
        (SWITCH, "/Regulation"): f"{FOLDER}/Regulation",
        (SWITCH, "/MaxFeedIn"): f"{FOLDER}/MaxFeedIn",
        (INVERTERS[2], "/Enabled"): f"{FOLDER}/Inverters/opendtu_{SERIALS[2]}",
        (INVERTERS[0], "/CustomName"): f"{PLACES}/opendtu_{SERIALS[0]}/CustomName",
    }
    kept = {place: stage.localsettings.values[key] for place, key in keys.items()}
    if rested_s > NAME_QUIET_S:
        is_kept = kept[INVERTERS[0], "/CustomName"] == name
        stage.promise("killed: a name is kept after 5 s", is_kept, kept[INVERTERS[0], "/CustomName"])
    if rested_s > SWITCH_QUIET_S:
        switches = [kept[SWITCH, "/Regulation"], kept[INVERTERS[2], "/Enabled"]]
        stage.promise("killed: a switch is kept after 10 s", switches == [0, 0], switches)
    await stage.until(lambda: not stage.listener.names & OURS, 10)
    await stage.start()
    # whoever has no name of its own is called as in OpenDTU
    wrong = await stage.until_shown({place: value for place, value in kept.items() if value != ""}, 10)
    stage.promise("killed: what was kept comes back", not wrong, wrong or f"after {rested_s} s")
    await as_usual(stage)


async def ten_minutes(stage: Stage, rng: random.Random) -> None:
    """A number rests for ten minutes, and is kept when the power fails then."""
    path, value = "OpenDtuDcload/MaxFeedIn", rng.randint(700, 1100)
    before = stage.setting(path)
    await stage.write(SWITCH, "/MaxFeedIn", value)
    await asyncio.sleep(NUMBER_QUIET_S - 10)
    stage.promise("number: not written to flash before 10 minutes", stage.setting(path) == before, stage.setting(path))
    await asyncio.sleep(20)
    stage.promise("number: kept after 10 minutes", stage.setting(path) == value, stage.setting(path))
    assert stage.program is not None
    stage.program.kill()
    await stage.program.wait()
    await stage.until(lambda: not stage.listener.names & OURS, 10)
    await stage.start()
    wrong = await stage.until_shown({(SWITCH, "/MaxFeedIn"): value}, 10)
    stage.promise("number: comes back after a power cut", not wrong, wrong)
    await as_usual(stage)


async def switch_pane(stage: Stage, _: random.Random) -> None:
    items = {name: await stage.items(name) for name in OURS & stage.listener.names}
    carriers = {name for name, told in items.items() if any(path.startswith("/SwitchableOutput/") for path in told)}
    stage.promise("switch pane: all outputs are in one service", carriers == {SWITCH}, carriers)
    told = items[SWITCH]
    groups = {path.split("/")[2]: value for path, value in told.items() if path.endswith("/Settings/Group")}
    wanted = dict.fromkeys(("regulation", "max_feed_in", "target", "alarms"), "")
    wanted |= {f"opendtu_{serial}": "Inverters" for serial in SERIALS}
    named = {path.split("/")[2] for path in told if path.endswith("/Name") and told[path]}
    is_right = groups == wanted and named == {*wanted, "reason"}
    stage.promise("switch pane: plant together, inverters together, each has a name", is_right, groups)
    line = told["/SwitchableOutput/reason/Settings/Labels"]
    stage.promise("switch pane: the reason is a line of text", line == [told["/Plan/Reason"]], line)


async def localsettings_away(stage: Stage, rng: random.Random) -> None:
    began_s = time.monotonic()
    name = f"Barn {rng.randint(1, 99)}"
    stage.localsettings.stop()
    await asyncio.sleep(1.0)
    is_taken = await stage.write(INVERTERS[1], "/CustomName", name)
    await asyncio.sleep(5.0)
    stage.localsettings.start()
    key = f"Devices/opendtu_{SERIALS[1]}/CustomName"
    kept_s = await stage.until(lambda: stage.setting(key) == name, 20)
    stage.promise("localsettings away: what was set meanwhile is kept", is_taken and kept_s is not None, kept_s)
    told = stage.lines(began_s, "settings is away", "settings is there")
    is_right = ["away" in line for line in told] == [True, False]
    stage.promise("localsettings away: the log says once that it is gone, once that it is back", is_right, told)
    await stage.write(INVERTERS[1], "/CustomName", "")


async def instance_changed(stage: Stage, rng: random.Random) -> None:
    began_s = time.monotonic()
    name, place = INVERTERS[0], f"{PLACES}/opendtu_{SERIALS[0]}/ClassAndVrmInstance"
    wanted = rng.randint(140, 240)
    await stage.write(SETTINGS, place, f"dcload:{wanted}")
    wrong = await stage.until_shown({(name, "/DeviceInstance"): wanted}, 15)
    lost = stage.lines(began_s, "lost", "ERROR")
    stage.promise(
        "instance changed by the user: it is taken, no word of a lost connection", not wrong and not lost, lost
    )
    await stage.write(SETTINGS, place, "dcload:3000000000")
    await asyncio.sleep(3)
    if rng.random() < 0.5:
        await stage.anew()
    instances = [await stage.shown(inverter, "/DeviceInstance") for inverter in INVERTERS]
    is_right = None not in instances and len(set(instances)) == len(INVERTERS) and max(instances) < 2**31
    stage.promise("instance above the range: nobody else's is taken", is_right, instances)
    await stage.write(SETTINGS, place, "dcload:134")
    await stage.until_shown({(name, "/DeviceInstance"): 134}, 15)


async def second_copy(stage: Stage, rng: random.Random) -> None:
    began_s = time.monotonic()
    second = await stage.spawn(stage.config(), "(second) ")
    await asyncio.sleep(rng.uniform(6, 12))
    told = stage.lines(began_s, "another copy of this program")
    moves = [name for at_s, name, _ in stage.listener.moves if at_s >= began_s and name in OURS]
    is_waiting = second.returncode is None
    stage.promise("second copy: waits and says so once", is_waiting and len(told) == 1, told)
    stage.promise("second copy: nothing changes on the bus", not moves, moves)
    second.terminate()
    status = await asyncio.wait_for(second.wait(), 20)
    stage.promise("second copy: ends when told", status == 0, status)


async def malformed_signals(stage: Stage, rng: random.Random) -> None:
    """Somebody has taken the name of localsettings and says nonsense under it."""
    path = f"{FOLDER}/MaxFeedIn"
    before = await stage.shown(SWITCH, "/MaxFeedIn")
    began_s = time.monotonic()
    odd: list[tuple[str, str, list[Any]]] = [
        ("PropertiesChanged", "", []),
        ("PropertiesChanged", "i", [7]),
        ("PropertiesChanged", "a{sv}", [{"Value": Variant("a{sv}", {"Value": Variant("d", math.nan)})}]),
        ("ItemsChanged", "as", [[path]]),
        ("ItemsChanged", "a{sv}", [{path: Variant("i", 7)}]),
        ("ItemsChanged", "a{sa{sv}}", [{path: {"Value": Variant("ai", [])}, "/": {}}]),
    ]
    stage.localsettings.stop()
    async with connected(stage.daemon.address) as stranger:
        await stranger.request_name(SETTINGS)
        await asyncio.sleep(0.5)
        for member, signature, body in rng.sample(odd * 20, 100):
            where = path if member == "PropertiesChanged" else "/"
            kind = MessageType.SIGNAL
            stranger.send(
                Message(
                    path=where,
                    interface="com.victronenergy.BusItem",
                    member=member,
                    message_type=kind,
                    signature=signature,
                    body=body,
                )
            )
        await stranger.release_name(SETTINGS)
    stage.localsettings.start()
    await asyncio.sleep(3)
    told = stage.lines(began_s, "cannot be read")
    now = await stage.shown(SWITCH, "/MaxFeedIn")
    stage.promise("malformed signals: one line at most, nothing changes", len(told) <= 1 and now == before, told)
