"""Buses that misbehave, and what is looked at meanwhile."""

import asyncio
import contextlib
import gc
import logging
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.venus.bus.bus_address import UnixAddress
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.item import Item

NAME = "com.victronenergy.acload.test_1"
DBUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
MAX_GAP_S = 0.5


@pytest.fixture
def service(daemon):
    service = BusService(NAME, daemon.address, min_interval_s=0.0, retry_delays_s=(0.01,))
    service.add("/Ac/Power", Item(kind=float))
    for number in range(40):
        service.add(f"/Many/N{number}", Item(kind=str, value="x" * 50))
    return service


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="bus") as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def nothing_is_left_to_the_garbage(caplog):
    """asyncio logs an error that nobody asked for when its future is collected, dbus-next logs to the root."""
    yield
    gc.collect()
    records = [*caplog.get_records("call"), *caplog.records]
    assert [record.message for record in records if record.name in {"asyncio", "root"}] == []


@contextlib.asynccontextmanager
async def ticking() -> AsyncIterator[list[float]]:
    """Yield a list that will hold the longest time the event loop did not turn although it had a processor."""
    loop = asyncio.get_running_loop()
    longest = [0.0]

    async def tick() -> None:
        last_s = loop.time() - queued_s()
        while True:
            await asyncio.sleep(0.005)
            now_s = loop.time() - queued_s()
            longest[0] = max(longest[0], now_s - last_s)
            last_s = now_s

    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    yield longest
    await asyncio.sleep(0.01)
    ticker.cancel()


def queued_s() -> float:
    """Return how long this thread has waited for a processor so far; others keep the machine busy."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


@contextlib.asynccontextmanager
async def peer(folder: Path, talk: Callable[[Any, Any], Awaitable[None]]) -> AsyncIterator[UnixAddress]:
    """Listen where a bus should, and talk to who comes."""
    talks = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    path = folder / "bus"
    async with await asyncio.start_unix_server(serve, path):
        yield UnixAddress(str(path))
    await asyncio.gather(*(task for task in talks if task is not None))


def full_backlog(family: socket.AddressFamily, address: Any, stack: contextlib.ExitStack) -> socket.socket:
    """Return a listening socket whose queue is full: further connections get no answer."""
    server = stack.enter_context(contextlib.closing(socket.socket(family, socket.SOCK_STREAM)))
    server.bind(address)
    server.listen(0)
    for _ in range(4):
        waiting = stack.enter_context(contextlib.closing(socket.socket(family, socket.SOCK_STREAM)))
        waiting.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            waiting.connect(server.getsockname())
    return server
