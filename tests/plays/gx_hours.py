"""Plays two hours on a GX to the whole program and says which promises were kept.

`make gx-hours` plays two hours, `python -m tests.plays.gx_hours --minutes 20` less; `--only words` those plays whose
name holds one of the words. It is no part of `make test`: there the same is shown piece by piece, with shortened waits.
The house's load was measured, the devices answer over HTTP, and the program is what a user starts, with the waits that
the manual names. Prints what was promised how often and what was not kept, and exits 1 if anything was not.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.plays import gx_device_plays as devices
from tests.plays import gx_plays as user
from tests.plays.gx_stage import OURS, Stage, stage

Play = Callable[[Stage, random.Random], Awaitable[None]]

PLAYS: dict[Play, int] = {
    user.orderly_restart: 4,
    user.killed: 4,
    user.switch_pane: 2,
    user.localsettings_away: 2,
    user.instance_changed: 2,
    user.second_copy: 1,
    user.malformed_signals: 1,
    devices.another_grid_meter: 1,
    devices.dead_shelly: 2,
    devices.one_channel_on_phase_two: 1,
    devices.silent_opendtu: 2,
    devices.clock_not_set: 1,
    devices.stalled: 1,
    devices.alarm_beside_a_platform: 1,
    devices.alarm_without_platform: 1,
}
"""How often each is played in one round."""
LONG: tuple[Play, ...] = (user.ten_minutes,)
"""Once in each hour."""
PAUSE_S = (10.0, 30.0)
SETTLE_S = 3.0
"""At the beginning of a pause what the play has changed is still being told."""
LOG_LINE = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL) ")


async def pause(stage: Stage, rng: random.Random, rates: dict[str, float]) -> None:
    """Leave everything alone for a while, and count what the services signal."""
    await asyncio.sleep(SETTLE_S)
    began_s = time.monotonic()
    await asyncio.sleep(rng.uniform(*PAUSE_S))
    until_s = time.monotonic()
    for name, count in stage.listener.signals(began_s, until_s).items():
        # one signal at each end may belong to the second before or after
        rates[name] = max(rates[name], round((count - 1) / (until_s - began_s), 3))


def script(rng: random.Random, minutes: float, only: list[str]) -> list[list[Play]]:
    """Return the rounds to be played, each in an order of its own."""
    chosen = [play for play in [*PLAYS, *LONG] if not only or any(word in play.__name__ for word in only)]
    rounds: list[list[Play]] = []
    for number in range(100):
        plays = [play for play in chosen for _ in range(PLAYS.get(play, 0))]
        plays += [play for play in LONG if play in chosen and (only or (number % 2 == 0 and minutes > 40))]
        rng.shuffle(plays)
        rounds.append(plays)
    return rounds


async def perform(stage: Stage, play: Play, rng: random.Random) -> None:
    """Play once; whatever goes wrong, the next play finds everything in order."""
    stage.say(f"---- {play.__name__}")
    try:
        await play(stage, rng)
    except Exception as err:  # a play that cannot go on is one that was not kept
        stage.promise(f"{play.__name__} comes to its end", False, repr(err))
        await stage.reset()


async def run(stage: Stage, minutes: float, seed: int, only: list[str]) -> int:
    """Play for some minutes, then print what came of it."""
    rng = random.Random(seed)
    rates: dict[str, float] = dict.fromkeys(OURS, 0.0)
    played: Counter[str] = Counter()
    await stage.start()
    for plays in script(rng, minutes, only):
        for play in plays:
            await pause(stage, rng, rates)
            if stage.now_s > minutes * 60:
                break
            await perform(stage, play, rng)
            played[play.__name__] += 1
        if stage.now_s > minutes * 60:
            break
    status = await stage.stop()
    stage.promise("the program ends with exit status 0", status == 0, status)
    return report(stage, played, rates)


def report(stage: Stage, played: Counter[str], rates: dict[str, float]) -> int:
    """Print the result; return the exit code."""
    lines = [line for _, line in stage.said]
    tracebacks = sum("Traceback" in line for line in lines)
    stage.promise("no traceback in the log", tracebacks == 0, tracebacks)
    fastest = max(rates.values())
    stage.promise("each service signals at most once a second when all is quiet", fastest <= 1.0, rates)
    print(f"{stage.now_s / 60:.0f} minutes; played: " + ", ".join(f"{name} {n}" for name, n in sorted(played.items())))
    width = max(len(what) for what in stage.broken)
    print(f"\n{'promise':{width}}  times  kept  not kept")
    for what, wrong in sorted(stage.broken.items()):
        kept = stage.kept[what]
        print(f"{what:{width}}  {kept + len(wrong):5}  {kept:4}  {len(wrong) or '-':>8}")
    for what, wrong in sorted(stage.broken.items()):
        for seen in wrong:
            print(f"NOT KEPT {what}: {seen}")
    cost = stage.cost
    first, last, lived_s = max(cost.rss_kb, key=lambda life: life[2], default=(0, 0, 0.0))
    print(
        f"\nmemory: {first / 1024:.1f} MB at the start and {last / 1024:.1f} MB at the end of the longest life "
        f"({lived_s / 60:.0f} min), {cost.highest_kb / 1024:.1f} MB at most in {len(cost.rss_kb)} lives"
    )
    print(f"CPU: {100 * cost.cpu_s / max(cost.lived_s, 1):.2f} % of one core in {cost.lived_s / 60:.0f} min")
    print("signals per second in quiet minutes, at most: " + ", ".join(f"{n} {rates[n]:.2f}" for n in sorted(OURS)))
    levels = Counter(found[1] if (found := LOG_LINE.match(line)) else "other" for line in lines)
    print("log lines: " + ", ".join(f"{level} {count}" for level, count in sorted(levels.items())))
    print(f"tracebacks: {tracebacks}")
    return 1 if any(stage.broken.values()) else 0


async def main(arguments: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="opendtu-dcload-gx-") as folder:
        async with stage(Path(folder)) as made:
            return await run(made, arguments.minutes, arguments.seed, arguments.only)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.plays.gx_hours", description=__doc__)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD")
    sys.exit(asyncio.run(main(parser.parse_args())))
