"""No client slows another one, or what regulates: what is slow, too much or nonsense is left out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import pytest

from opendtu_dcload.model import Alarm, Cause, Severity
from opendtu_dcload.web import web_server
from opendtu_dcload.web.feed import MOST_LISTENERS, MOST_WAITING, Feed
from opendtu_dcload.web.history.history import History
from opendtu_dcload.web.web_server import MOST_CONNECTIONS
from tests.doubles.ports import free_port
from tests.doubles.until import until
from tests.web.served import TOKEN, Served, served

pytestmark = pytest.mark.realtime


@contextlib.asynccontextmanager
async def stream(site: Served) -> AsyncIterator[aiohttp.ClientResponse]:
    timeout = aiohttp.ClientTimeout(total=None)
    async with site.session.get(site.url("/api/stream"), timeout=timeout) as answer:
        yield answer


async def event(answer: aiohttp.ClientResponse) -> tuple[str, Any]:
    name = ""
    while line := (await answer.content.readline()).decode().removesuffix("\n"):
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            return name, json.loads(line.removeprefix("data: "))
    return await event(answer)


async def test_the_stream_tells_the_state_and_what_happens(site: Served):
    async with stream(site) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        name, first = await event(answer)
        assert name == "state"
        assert first.keys() == (await site.document()).keys()
        site.clock.now_s += 1.0
        site.state.set_alarms((Alarm(Cause.METER_LOST, "meter", Severity.ALARM, "Meter lost", site.clock() - 7),))
        rows: list[Any] = []
        while len(rows) < 2:
            name, told = await event(answer)
            if name == "log":
                rows.append(told)
    assert [row["name"] for row in rows] == ["INVERTER_WARM", "METER_LOST"]
    assert [row["lasted_s"] for row in rows] == [61, None]
    assert rows[1] | {"at": ""} == {
        "at": "",
        "subject": "meter",
        "name": "METER_LOST",
        "text": "Meter lost",
        "lasted_s": None,
    }
    events = (await site.document("/api/history"))["events"]
    assert [row["name"] for row in events] == ["INVERTER_WARM", "METER_LOST"]


async def test_a_stream_without_news_is_ended(site: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(web_server, "REQUEST_S", 0.05)
    async with stream(site) as answer:
        await event(answer)
        await answer.content.read()
        assert answer.content.at_eof()


async def test_only_so_many_streams(site: Served):
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(MOST_LISTENERS):
            answer = await stack.enter_async_context(stream(site))
            assert answer.status == 200
        assert await is_full(site)
        assert (await site.get("/api/state"))[0] == 200
    while await is_full(site):  # the server learns within a moment that they are gone
        pass


async def is_full(site: Served) -> bool:
    async with stream(site) as answer:
        return answer.status == 503


async def test_who_does_not_take_it_misses_it():
    feed = Feed()
    with feed.listening() as slow, feed.listening() as quick:
        taken = []
        for number in range(MOST_WAITING + 10):
            feed.send_state(b"%d" % number)
            feed.send_row(b"%d" % number)
            taken.append(await quick.taken())
        assert taken[5] == b"event: log\ndata: 5\n\nevent: state\ndata: 5\n\n"
        missed = await slow.taken()
        assert missed.count(b"event: state") == 1
        assert missed.count(b"event: log") == MOST_WAITING
        assert missed.endswith(b"event: state\ndata: %d\n\n" % (MOST_WAITING + 9))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(slow.taken(), 0.0)
    assert not feed.is_heard


async def test_one_address_alone_cannot_take_all_connections(site: Served):
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(MOST_CONNECTIONS):
            _, writer = await asyncio.open_connection("127.0.0.1", site.port)
            stack.callback(writer.close)
        assert await site.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port, local_addr=("127.0.0.2", 0))
        stack.callback(writer.close)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"


async def test_only_so_many_connections(site: Served):
    async with contextlib.AsyncExitStack() as stack:
        writers = []
        for number in range(MOST_CONNECTIONS):
            local_addr = (f"127.0.0.{2 + number % 4}", 0)
            _, writer = await asyncio.open_connection("127.0.0.1", site.port, local_addr=local_addr)
            stack.callback(writer.close)
            writers.append(writer)
        assert await site.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
        for writer in writers[:10]:
            writer.close()
            await writer.wait_closed()
        answer = b""
        while not answer.startswith(b"HTTP/1.1 200"):
            answer = await site.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("begun", [b"", b"GET /api/state HTTP/1.1\r\nHost: local", b"\x16\x03\x01\x02\x00"])
async def test_a_connection_without_a_request_is_ended(begun: bytes, site: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(web_server, "REQUEST_S", 0.1)
    await site.raw(begun)


async def test_one_that_does_not_read_its_answers_is_ended(site: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(web_server, "REQUEST_S", 0.1)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", site.port))
        with pytest.raises(ConnectionError):
            await send_for_ever(client, 1000 * b"GET /api/state HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await site.get("/healthz"))[0] == 200


async def send_for_ever(client: socket.socket, sent: bytes) -> NoReturn:
    while True:
        await asyncio.get_running_loop().sock_sendall(client, sent)


async def test_a_stream_that_is_not_read_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    feed = Feed()
    monkeypatch.setattr("opendtu_dcload.web.serving.Feed", lambda: feed)
    monkeypatch.setattr(web_server, "REQUEST_S", 0.2)
    async with served(tmp_path) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1024)
        writer.write(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readline()
        assert feed.is_heard
        while feed.is_heard:
            feed.send_state(b"1" * 1_000_000)
            assert (await site.get("/healthz"))[0] == 200
        writer.close()


async def test_nonsense_is_neither_answered_nor_news(site: Served, caplog: pytest.LogCaptureFixture):
    rng = random.Random(1)
    sent = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(200),
        b"SSH-2.0-scan\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"b" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(500)) + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        *(rng.randbytes(300) + b"\r\n\r\n" for _ in range(20)),
    ]
    with caplog.at_level(logging.DEBUG):
        for garbage in sent:
            answer = await site.raw(garbage)
            assert answer == b"" or answer.startswith((b"HTTP/1.0 4", b"HTTP/1.1 4")), answer
            assert TOKEN.encode() not in answer
    assert not [record for record in caplog.records if record.name != "asyncio"]
    assert (await site.get("/healthz"))[0] == 200


async def test_a_taken_port_is_one_line_and_had_once_it_is_free(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(web_server, "RETRY_S", 0.02)
    port = free_port()
    monkeypatch.setattr("tests.web.served.free_port", lambda: port)
    taker = socket.create_server(("127.0.0.1", port))
    with caplog.at_level(logging.INFO):
        async with served(tmp_path) as site:
            await until(lambda: len(caplog.messages) > 0)
            taker.close()
            await until(lambda: len(caplog.messages) > 1)
            assert (await site.get("/healthz"))[0] == 200
    assert caplog.messages == [
        f"no status page: port {port} is taken by another program; free it or set another web.port",
        f"the status page is there: port {port} is free",
    ]


async def test_histories_that_are_asked_for_and_given_up_are_one_document(
    site: Served, monkeypatch: pytest.MonkeyPatch
):
    made = 0

    def document(self: History, now_s: float) -> Callable[[], dict[str, Any]]:
        nonlocal made
        made += 1
        return lambda: {"hour": {}}

    monkeypatch.setattr(History, "document", document)
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"GET /api/history HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert await site.document("/api/history") == {"hour": {}}
    assert made == 1


async def test_an_address_of_another_computer_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    async def serve() -> None:
        async with served(tmp_path, listen="192.0.2.77"):
            pass

    serving = asyncio.create_task(serve())
    await until(lambda: len(caplog.messages) > 0)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert "192.0.2.77 is no address of this computer; correct web.listen, or leave it out" in caplog.text
