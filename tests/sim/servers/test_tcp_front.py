from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from contextlib import asynccontextmanager

import aiohttp
import pytest

from opendtu_dcload.sim.demo.child_processes import child
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.servers.backstage import Backstage, Rules
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from opendtu_dcload.sim.servers.tcp_front import serve
from tests.doubles.clock import Clock

pytestmark = pytest.mark.realtime

RULES = Rules(target_w=10.0, minimum_w=40.0, maximum_w=800.0, from_s=20.0)


@asynccontextmanager
async def front(to: str, listen: str = "127.0.0.1:0", *more: str):
    lines: asyncio.Queue[str] = asyncio.Queue()
    errors: list[str] = []
    argv = (sys.executable, "-m", "opendtu_dcload.sim.servers.tcp_front", "--listen", listen, "--to", to, *more)
    async with child(argv, lines.put_nowait, errors.append) as process:
        line = await lines.get()
        assert line.endswith(f"to {to}")
        yield process, line.split()[1]
    assert errors == []


async def kill(process: Process) -> None:
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def test_killed_front_is_a_device_that_is_gone_and_a_new_one_brings_it_back(
    dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession
) -> None:
    async with OpenDtuServer(dtu, clock) as server:
        async with front(server.host) as (process, address):
            url = f"http://{address}/api/limit/status"
            async with session.get(url) as response:
                assert response.status == 200
            await kill(process)
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(url)
        async with front(server.host, address), session.get(url) as response:
            assert response.status == 200


async def test_starting_a_front_can_boot_the_dtu(dtu: SimDtu, clock: Clock) -> None:
    async with (
        OpenDtuServer(dtu, clock) as server,
        Gen2Server(dtu, clock) as meter,
        Backstage(server, meter, RULES) as backstage,
    ):
        clock.now_s = 50.0
        async with await serve("127.0.0.1:0", server.host, on_start=f"http://{backstage.host}/_sim/boot"):
            assert dtu.booted_at_s == 50.0


async def test_front_closes_a_connection_that_leads_nowhere(session: aiohttp.ClientSession) -> None:
    async with await serve("127.0.0.1:0", "127.0.0.1:1") as server:
        host, port = server.sockets[0].getsockname()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.get(f"http://{host}:{port}/")


async def test_front_that_cannot_listen_says_so_in_one_sentence() -> None:
    async with await serve("127.0.0.1:0", "127.0.0.1:1") as server:
        port = server.sockets[0].getsockname()[1]
        errors: list[str] = []
        argv = (
            sys.executable,
            "-m",
            "opendtu_dcload.sim.servers.tcp_front",
            "--listen",
            f"127.0.0.1:{port}",
            "--to",
            "127.0.0.1:1",
        )
        async with child(argv, errors.append, errors.append) as process:
            assert await process.wait() == 1
        assert len(errors) == 1
        assert errors[0].startswith("the front cannot start: ")


async def test_child_dies_with_its_parent() -> None:
    parent = (
        "import asyncio, sys\n"
        "from opendtu_dcload.sim.demo.child_processes import child\n"
        "async def main():\n"
        "    argv = (sys.executable, '-c', 'import time; time.sleep(600)')\n"
        "    async with child(argv, print, print) as process:\n"
        "        print(process.pid, flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    pid = int(await process.stdout.readline())
    # The grandchild holds no pipe of ours: its end shows in its state only.
    watch = os.pidfd_open(pid)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(watch, ended.set)
    assert not ended.is_set()
    await kill(process)
    await ended.wait()
    asyncio.get_running_loop().remove_reader(watch)
    os.close(watch)
