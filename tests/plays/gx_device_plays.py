"""Plays of `gx_hours` in which a device, another service or the machine fails: what the GX is shown then."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from typing import Any

from opendtu_dcload.venus.services.acload import FREE_S
from opendtu_dcload.venus.services.alarm import NO_ALARM
from tests.doubles.gx_services import GRID, GRID_VALUES
from tests.plays.gx_stage import ACLOAD, ALARM, AS_GRID, DC_SYSTEM, INVERTERS, MAC, SWITCH, Stage

MULTIPLUS_W = 380.0
AUX = "/Dc/1/Voltage"
MEASURED = ("/Dc/0/Voltage", "/Dc/0/Current", "/Dc/0/Power", "/Ac/Power", AUX)
NAME_QUIET_S = 5.0


async def become(stage: Stage, role: str) -> None:
    """Let the meter have a role, as a user chooses it."""
    name = ACLOAD if role == "acload" else AS_GRID
    if not stage.has(name):
        await stage.write(stage.meter_name, "/Role", role)
    if await stage.until(lambda: stage.has(name), 20) is None:
        raise RuntimeError(f"the meter does not become {role}")


async def another_grid_meter(stage: Stage, rng: random.Random) -> None:
    await become(stage, "grid")
    await stage.gx.join(GRID, GRID_VALUES)
    after_s = await stage.until(lambda: stage.has(ACLOAD) and not stage.has(AS_GRID), 20)
    stage.promise("role: beside another grid meter ours is an acload", after_s is not None, f"after {after_s} s")
    is_taken = await stage.write(ACLOAD, "/Role", "acload")
    place = f"Devices/{MAC}/ClassAndVrmInstance"
    kept_s = await stage.until(lambda: stage.setting(place) == "acload:59", NAME_QUIET_S + 5)
    stage.promise("role: acload chosen then is in localsettings", is_taken and kept_s is not None, f"{kept_s} s")
    if rng.random() < 0.5:
        await stage.anew()
    began_s = time.monotonic()
    await stage.gx.leave(GRID)
    await asyncio.sleep(FREE_S + 15)
    is_still = stage.has(ACLOAD) and not stage.listener.moved(AS_GRID, began_s)
    is_kept = stage.setting(place) == "acload:59"
    stage.promise("role: acload chosen holds after the other has left", is_still and is_kept, stage.setting(place))
    await stage.write(ACLOAD, "/Role", "grid")
    after_s = await stage.until(lambda: stage.has(AS_GRID) and not stage.has(ACLOAD), 20)
    stage.promise("role: grid chosen again is taken", after_s is not None, f"after {after_s} s")


async def dead_shelly(stage: Stage, rng: random.Random) -> None:
    await become(stage, "grid")
    began_s = time.monotonic()
    if is_hanging := rng.random() < 0.5:
        stage.meter.faults.stall = True
    else:
        await stage.meter.stop()
    left_s = await stage.until(lambda: not stage.has(AS_GRID), 60)
    in_time = left_s is not None and 28 <= left_s <= 36
    stage.promise("dead Shelly: the grid meter leaves the bus 30 s after the last reading", in_time, left_s)
    found_s = await stage.until(lambda: stage.system.values["/Ac/Grid/L1/Power"] == MULTIPLUS_W, 5)
    stage.promise("dead Shelly: then the GX takes what the MultiPlus measures", found_s is not None, found_s)
    await asyncio.sleep(rng.uniform(1, 15))
    if is_hanging:
        stage.meter.faults.stall = False
    else:
        await stage.meter.start()
    came_s = await stage.until(lambda: stage.has(AS_GRID), 60)
    in_time = came_s is not None and 9.5 <= came_s <= 18
    stage.promise("dead Shelly: it is back after 10 s with readings", in_time, came_s)
    moves = stage.listener.moved(AS_GRID, began_s)
    stage.promise("dead Shelly: it leaves and comes once", moves == [False, True], moves)


async def one_channel_on_phase_two(stage: Stage, _: random.Random) -> None:
    await stage.anew(stage.config(meter='channel = "a"\nphase = 2\n'))
    name, began_s = stage.meter_name, time.monotonic()
    await stage.until(lambda: bool(stage.listener.told(name, "/Ac/L2/Power", began_s)), 20)
    items = await stage.items(name)
    seen = {path: items.get(path) for path in ("/NrOfPhases", "/Ac/L1/Power", "/Ac/L2/Power", "/Ac/L3/Power")}
    are_known = [value is not None for value in seen.values()]
    stage.promise("channel a on phase 2: only L2 is shown, no number of phases", are_known == [0, 0, 1, 0], seen)
    await stage.anew()


async def silent_opendtu(stage: Stage, rng: random.Random) -> None:
    before = [await stage.shown(name, AUX) for name in INVERTERS]
    began_s = time.monotonic()
    seen = len(stage.system.seen["/Dc/System/Power"])
    is_hanging = await take_opendtu_away(stage, rng)
    left_s = await stage.until(lambda: not stage.has(DC_SYSTEM), 40)
    in_time = left_s is not None and 8 <= left_s <= 16
    stage.promise("silent OpenDTU: the DC sum leaves the bus after 10 s", in_time, left_s)
    await asyncio.sleep(max(0.0, began_s + 35 - time.monotonic()))
    meanwhile = [await stage.shown(name, AUX) for name in INVERTERS]
    is_right = None not in before and meanwhile == [None] * len(INVERTERS)
    stage.promise("silent OpenDTU: no auxiliary voltage is shown", is_right, f"{before} -> {meanwhile}")
    await bring_opendtu_back(stage, is_hanging=is_hanging)
    came_s = await stage.until(lambda: stage.has(DC_SYSTEM), 90)
    in_time = came_s is not None and 29 <= came_s <= 50
    stage.promise("silent OpenDTU: the DC sum is back after 30 s with a sum", in_time, came_s)
    await asyncio.sleep(15)
    moves = stage.listener.moved(DC_SYSTEM, began_s)
    stage.promise("silent OpenDTU: the DC sum does not flap", moves == [False, True], moves)
    shown = stage.system.seen["/Dc/System/Power"][seen:]
    told = stage.listener.told(DC_SYSTEM, "/Dc/0/Power", began_s)
    stage.promise("silent OpenDTU: the GX knows no sum and never takes it for 0 W", None in shown and 0.0 not in shown)
    stage.promise("silent OpenDTU: the sum is never shown as invalid", None not in told)
    after = [await stage.shown(name, AUX) for name in INVERTERS]
    stage.promise("silent OpenDTU: the auxiliary voltage is back", None not in after, after)


async def take_opendtu_away(stage: Stage, rng: random.Random) -> bool:
    if is_hanging := rng.random() < 0.5:
        stage.opendtu.faults.drop = True
    else:
        await stage.opendtu.stop()
    return is_hanging


async def bring_opendtu_back(stage: Stage, *, is_hanging: bool) -> None:
    if is_hanging:
        stage.opendtu.faults.drop = False
    else:
        await stage.opendtu.start()


async def agreement(stage: Stage) -> list[str]:
    """Return where the services contradict each other, or what the DTU was told last."""
    told = {name: await stage.items(name) for name in (stage.meter_name, SWITCH, *INVERTERS)}
    wrong = []
    for path in ("/Plan/Reason", "/Plan/SetPoint", "/Plan/Cap"):
        shown = [told[name].get(path) for name in (stage.meter_name, SWITCH)]
        if shown[0] != shown[1]:
            wrong.append(f"{path} {shown}")
    reason = told[SWITCH].get("/Plan/Reason")
    wrong += [f"{name} {told[name].get('/Reason')}, plan {reason}" for name in INVERTERS
              if not str(told[name].get("/Reason")).startswith(str(reason))]  # fmt: skip
    limits_w: list[Any] = [told[name].get(AUX) for name in INVERTERS]
    if None not in limits_w and abs(sum(map(float, limits_w)) - (told[SWITCH].get("/Plan/SetPoint") or 0.0)) > 3:
        wrong.append(f"limits {limits_w}, set-point {told[SWITCH].get('/Plan/SetPoint')}")
    return wrong


async def until_agreed(stage: Stage, within_s: float) -> list[str]:
    """Wait for a moment in which no service is behind another; return what never agreed."""
    began_s = time.monotonic()
    while (wrong := await agreement(stage)) and time.monotonic() - began_s < within_s:  # noqa: ASYNC110  others have to be asked
        await asyncio.sleep(0.2)
    return wrong


async def clock_not_set(stage: Stage, rng: random.Random) -> None:
    wrong = await until_agreed(stage, 30)
    stage.promise("plan: all services agree with each other", not wrong, wrong)
    unset_s = rng.uniform(20, 30)
    stage.dtu.clock_set_after_s = unset_s
    stage.dtu.boot()
    began_s = time.monotonic()

    async def shown() -> list[object]:
        items = [await stage.items(name) for name in INVERTERS]
        return [told.get(path) for told in items for path in MEASURED] + [told.get("/Connected") for told in items]

    unknown: list[object] = [None] * len(MEASURED) * len(INVERTERS) + [0] * len(INVERTERS)
    while (seen := await shown()) != unknown and time.monotonic() - began_s < 10:  # noqa: ASYNC110  as above
        await asyncio.sleep(0.2)
    stage.promise("DTU's clock not set: no value of an inverter is shown", seen == unknown, seen)
    wrong = await until_agreed(stage, 8)
    stage.promise("DTU's clock not set: plan and reasons agree", not wrong, wrong)
    stage.dtu.clock_set_after_s = 0.0
    await asyncio.sleep(max(0.0, began_s + unset_s - time.monotonic()))
    came_s = await stage.until(lambda: stage.has(DC_SYSTEM), 90)
    wrong = await until_agreed(stage, 30)
    stage.promise(
        "DTU's clock set again: everything is shown again and agrees", came_s is not None and not wrong, wrong
    )


async def stalled(stage: Stage, _: random.Random) -> None:
    """The machine has no time for the program: its plan and its values grow old."""
    assert stage.program is not None
    began_s = time.monotonic()
    stage.program.send_signal(signal.SIGSTOP)
    await asyncio.sleep(12)
    stage.program.send_signal(signal.SIGCONT)
    wrong = await until_agreed(stage, 15)
    stage.promise("stalled for 12 s, plan old: everything agrees again", not wrong, wrong)
    came_s = await stage.until(lambda: stage.has(DC_SYSTEM), 60)
    told = stage.listener.told(DC_SYSTEM, "/Dc/0/Power", began_s)
    lives = stage.program.returncode is None
    stage.promise("stalled for 12 s: it lives on", lives and came_s is not None and None not in told, came_s)


def alarm_steps(stage: Stage, since_s: float) -> list[tuple[str, object]]:
    """Return how name and alarm of the digital input changed."""
    paths = {"/CustomName", "/Alarm"}
    return [(p, value) for at_s, n, p, value in stage.listener.shown if at_s >= since_s and n == ALARM and p in paths]


async def lose_opendtu(stage: Stage, rng: random.Random) -> float:
    """Take OpenDTU away for as long as an alarm takes; return when that began."""
    stage.notifications.clear()
    began_s = time.monotonic()
    is_hanging = await take_opendtu_away(stage, rng)
    await asyncio.sleep(78)
    await bring_opendtu_back(stage, is_hanging=is_hanging)
    return began_s


async def alarm_beside_a_platform(stage: Stage, rng: random.Random) -> None:
    mode = rng.choice(["auto", "on"])
    await stage.anew(stage.config(alarm_input=mode))
    if mode == "on":
        await stage.until(lambda: stage.has(ALARM), 20)
    began_s = await lose_opendtu(stage, rng)
    told = list(stage.notifications)
    is_right = len(told) == 1 and told[0].startswith("1\tInverters\tDTU lost")
    stage.promise("alarm: a platform that takes notifications is told once", is_right, told)
    steps = alarm_steps(stage, began_s)
    if mode == "auto":
        stage.promise("alarm: then there is no digital input", not stage.listener.moved(ALARM, began_s), steps)
        return
    stage.promise("alarm: the digital input beside it keeps its name", steps == [("/Alarm", 2)], steps)
    name = await stage.shown(ALARM, "/CustomName")
    over_s = await stage.until(lambda: alarm_steps(stage, began_s)[1:] == [("/Alarm", 0)], 100)
    stage.promise("alarm: it is over a minute after its cause", over_s is not None and name == NO_ALARM, over_s)
    await stage.anew()


async def alarm_without_platform(stage: Stage, rng: random.Random) -> None:
    await stage.platform_leaves()
    await stage.anew()
    there_s = await stage.until(lambda: stage.has(ALARM), 20)
    stage.promise("alarm: without a platform there is a digital input", there_s is not None, there_s)
    began_s = await lose_opendtu(stage, rng)
    steps = alarm_steps(stage, began_s)
    is_right = [path for path, _ in steps] == ["/CustomName", "/Alarm"] and str(steps[0][1]).startswith("DTU lost")
    stage.promise("alarm: first the digital input's name says it, then the alarm rises", is_right, steps)
    over_s = await stage.until(
        lambda: alarm_steps(stage, began_s)[2:] == [("/Alarm", 0), ("/CustomName", NO_ALARM)], 100
    )
    stage.promise("alarm: first the alarm ends, then it has its own name", over_s is not None, over_s)
    await stage.platform_comes()
    left_s = await stage.until(lambda: not stage.has(ALARM), 20)
    stage.promise("alarm: with a platform there is no digital input any more", left_s is not None, left_s)
