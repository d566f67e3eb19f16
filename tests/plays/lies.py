"""Plays plausible lies to the whole program, side by side in real time, and says what each of them cost.

`make lies` plays all in twenty minutes; `python -m tests.plays.lies frozen held` those whose name holds one of the
words. It is no part of `make test`: there `tests/control/test_lies.py` plays the same rows to the controller on virtual
time. Each row is a house with its devices behind real HTTP, and the program as a user starts it. Everything is measured
on the simulated house itself, not on what the program believes. Prints one line for each promise and exits 1 if one is
not kept.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from opendtu_dcload.sim.plant.house import House
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from tests.doubles.clock import Clock
from tests.doubles.devices import ticking
from tests.plays.lie import MINIMUM_W, Lie, LieStage, Promise
from tests.plays.lie_rows import LIES


class RecordingDtu(SimDtu):
    """Keeps each limit that is posted."""

    posts: list[tuple[float, str, float]]

    def post_limit(self, serial: str, limit_type: int, value: float) -> None:
        self.posts.append((self.house.now_s, serial, value))
        super().post_limit(serial, limit_type, value)


WARM_UP_S = 300.0
LATENCY_S = 0.05
STAGGER_S = 4.0
"""Programs start one after the other: all at once they would keep each other from the devices."""
PASSWORD = "simulated-dtu"


async def play(lie: Lie, folder: Path, delay_s: float) -> list[Promise]:
    """Play one row to the whole program."""
    await asyncio.sleep(delay_s)
    models = lie.models
    house = House([lie.load_w], models, cap_w=sum(model.rated_w for model in models), start_s=-WARM_UP_S)
    dtu = RecordingDtu(house, loss=0.02)
    dtu.advance(0.0)
    dtu.posts = []
    clock = Clock(runs=True)
    opendtu = OpenDtuServer(dtu, clock, password=PASSWORD, latency_s=LATENCY_S)
    meter = Gen2Server(dtu, clock, latency_s=LATENCY_S)
    stage = LieStage(house, dtu, meter.meter, posts=dtu.posts)
    async with ticking(dtu, clock), opendtu, meter:
        script = lie.script(stage)
        until_s = next(script)
        blocks = "".join(f'[[inverter]]\nserial = "{model.serial}"\nmin_power_w = {MINIMUM_W}\n' for model in models)
        path = folder / f"{LIES.index(lie)}.toml"
        path.write_text(
            f'[meter]\nhost = "{meter.host}"\n[opendtu]\nhost = "{opendtu.host}"\npassword = "{PASSWORD}"\n{blocks}'
            f"[battery]\nmin_voltage_v = 40\n[control]\nmax_feed_in_w = {house.cap_w}\n"
            "[web]\nenabled = false\n[dbus]\nenabled = false\n"
        )
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "opendtu_dcload", "--config", str(path),
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name != "DBUS_SESSION_BUS_ADDRESS"},
        )  # fmt: skip
        reader = asyncio.create_task(_read(lie, program, stage))
        try:
            while True:
                await asyncio.sleep(max(0.0, until_s - clock()))
                dtu.advance(clock())
                until_s = next(script)
        except StopIteration:
            pass
        finally:
            if program.returncode is None:
                program.terminate()
            await program.wait()
            await reader
    return stage.promises


async def _read(lie: Lie, program: asyncio.subprocess.Process, stage: LieStage) -> None:
    assert program.stderr
    async for line in program.stderr:
        words = line.decode().strip()
        stage.said.append((stage.now_s, words))
        print(f"{stage.now_s:6.0f} s  {lie.name}: {words}", file=sys.stderr, flush=True)


def table(kept: dict[str, list[Promise]]) -> str:
    """Return what came of the rows: row, promise, ok, seen."""
    rows = [
        (name, promise.what, "ok" if promise.ok else "NOT KEPT", promise.seen)
        for name, promises in kept.items()
        for promise in promises
    ]
    first, second, third = (max(len(row[column]) for row in rows) for column in range(3))
    return "\n".join(f"{name:{first}}  {what:{second}}  {ok:{third}}  {seen}" for name, what, ok, seen in rows)


async def main(words: list[str]) -> int:
    chosen = [lie for lie in LIES if not words or any(word in lie.name for word in words)]
    if not chosen:
        print("no row has such a name; there are:", *(lie.name for lie in LIES), sep="\n  ", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="opendtu-dcload-lies-") as folder:
        plays = [play(lie, Path(folder), STAGGER_S * place) for place, lie in enumerate(chosen)]
        kept = dict(zip([lie.name for lie in chosen], await asyncio.gather(*plays), strict=True))
    print(table(kept))
    return 0 if all(promise.ok for promises in kept.values() for promise in promises) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
