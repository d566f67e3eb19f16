"""Requests, bodies, time limits and turns at the one door to a device."""

import asyncio
import contextlib
import gzip
import resource
import socket
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

import opendtu_dcload
from opendtu_dcload.devices.http import LONGEST_BODY, DeviceHttp, HttpStatusError, open_session
from opendtu_dcload.errors import (
    DeviceAnswerError,
    DeviceConnectionError,
    DeviceError,
    DeviceTimeoutError,
)
from tests.devices.http_door import DoorRig
from tests.doubles.clock import Clock
from tests.doubles.fake_device import Settings, running_device, text


async def test_returns_the_document(rig: DoorRig) -> None:
    rig.device.answers["/a?b=1"] = {"x": [1, 2.5, "three", True, None]}
    assert await rig.door.get("/a?b=1") == {"x": [1, 2.5, "three", True, None]}
    assert rig.device.requests[0].authorization == ""


async def test_posts_a_url_encoded_form(rig: DoorRig) -> None:
    rig.device.answers["/a"] = {}
    await rig.door.post("/a", {"data": '{"s":"+&% ä"}'})
    request = rig.device.requests[0]
    assert (request.method, request.content_type) == ("POST", "application/x-www-form-urlencoded")
    assert request.form == {"data": '{"s":"+&% ä"}'}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "<html>busy</html>",
        '{"a":1',
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"a":-Infinity}',
        b"\xff\xfe\xff",
        "[" * 100_000,
        '{"a":' + "9" * 5000 + "}",
    ],
    ids=["empty", "null", "HTML", "cut", "NaN", "Infinity", "-Infinity", "not text", "deep", "endless number"],
)
async def test_body_that_is_no_strict_json_is_an_answer_error(rig: DoorRig, body: str | bytes) -> None:
    rig.device.answers["/a"] = text(body)
    with pytest.raises(DeviceAnswerError, match="JSON"):
        await rig.door.get("/a")


@pytest.mark.parametrize("status", [204, 301, 400, 403, 404, 500, 501, 503])
async def test_other_status_is_an_answer_error_that_keeps_it(rig: DoorRig, status: int) -> None:
    rig.device.answers["/a"] = text("" if status == 204 else "no", status, {"Location": "/b"})
    rig.device.answers["/b"] = {}
    with pytest.raises(HttpStatusError, match=f"status {status}") as caught:
        await rig.door.get("/a")
    assert (caught.value.status, caught.value.code) == (status, None)
    assert rig.device.paths == ["/a"]  # no redirect is followed


async def test_code_in_the_body_of_a_failure_is_kept(rig: DoorRig) -> None:
    rig.device.answers["/a"] = text('{"code":-105,"message":"Argument not found"}', 500)
    with pytest.raises(HttpStatusError) as caught:
        await rig.door.get("/a")
    assert (caught.value.status, caught.value.code) == (500, -105)


async def test_too_large_a_body_is_cut_off(rig: DoorRig) -> None:
    rig.device.answers["/a"] = text(b"[" + b" " * LONGEST_BODY + b"]")
    with pytest.raises(DeviceAnswerError, match="256 kB"):
        await rig.door.get("/a")


async def test_endless_body_is_cut_off_before_the_time_limit(rig: DoorRig) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while not rig.device.closing.is_set():
            await response.write(b" " * 10_000)
        return response

    rig.device.answers["/a"] = endless
    with pytest.raises(DeviceAnswerError, match="256 kB"):
        await rig.build(timeout_s=60).get("/a")


async def test_body_of_exactly_the_limit_is_read(rig: DoorRig) -> None:
    rig.device.answers["/a"] = text(b"[" + b" " * (LONGEST_BODY - 2) + b"]")
    assert await rig.door.get("/a") == []


async def test_time_limit_covers_the_body(rig: DoorRig) -> None:
    rig.device.answers["/a"] = rig.device.stall
    with pytest.raises(DeviceTimeoutError, match=r"/a completely in 0\.05 s"):
        await rig.build(timeout_s=0.05).get("/a")


async def test_time_limit_covers_the_headers(rig: DoorRig) -> None:
    async def silent(_request: web.Request) -> web.Response:
        await rig.device.closing.wait()
        return web.Response()

    rig.device.answers["/a"] = silent
    with pytest.raises(DeviceTimeoutError):
        await rig.build(timeout_s=0.05).get("/a")


async def test_time_limit_covers_an_answer_that_comes_byte_by_byte(rig: DoorRig) -> None:
    async def dribble(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while not rig.device.closing.is_set():
                await response.write(b" ")
                await asyncio.sleep(0.001)
        return response

    rig.device.answers["/a"] = dribble
    with pytest.raises(DeviceTimeoutError):
        await rig.build(timeout_s=0.05).get("/a")


async def test_waiting_for_its_turn_does_not_count_as_the_devices_time(rig: DoorRig) -> None:
    rig.device.answers["/slow"] = rig.device.stall
    rig.device.answers["/a"] = {}
    door = rig.build(timeout_s=0.08)
    slow, quick = await asyncio.gather(door.get("/slow"), door.get("/a"), return_exceptions=True)
    assert isinstance(slow, DeviceTimeoutError)
    assert quick == {}


async def test_one_request_at_a_time(rig: DoorRig) -> None:
    async def unhurried(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.01)
        return web.json_response({})

    rig.device.answers["/a"] = unhurried
    await asyncio.gather(*(rig.door.get("/a") for _ in range(5)))
    assert len(rig.device.requests) == 5
    assert rig.device.most_in_flight == 1


async def test_doors_with_one_lock_take_turns(rig: DoorRig) -> None:
    async def unhurried(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.01)
        return web.json_response({})

    rig.device.answers["/a"] = unhurried
    lock = asyncio.Lock()
    doors = [DeviceHttp("Device", "meter", rig.settings, rig.session, rig.clock, lock) for _ in range(2)]
    await asyncio.gather(*(door.get("/a") for door in doors * 3))
    assert rig.device.most_in_flight == 1


async def test_cancelling_passes_through_and_frees_the_door(rig: DoorRig) -> None:
    rig.device.answers["/slow"] = rig.device.stall
    rig.device.answers["/a"] = {}
    task = asyncio.create_task(rig.door.get("/slow"))
    await rig.device.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await rig.door.get("/a") == {}


async def test_refused_connection_says_where_and_what_to_check(rig: DoorRig) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        rig.settings = replace(rig.settings, host=f"127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(DeviceConnectionError, match=r"127\.0\.0\.1:\d+ .*Connection refused.*meter\.host"):
            await rig.build().get("/a")


async def _raw_answer(rig: DoorRig, answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        rig.settings = replace(rig.settings, host=f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await rig.build().get("/a")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", DeviceConnectionError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", DeviceConnectionError),
        (b"SSH-2.0-OpenSSH_9.6\r\n", DeviceAnswerError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}", DeviceAnswerError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n{}", DeviceAnswerError),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", DeviceError),
    ],
    ids=["closed", "closed within the body", "no HTTP", "bad length", "huge header", "bad gzip"],
)
async def test_broken_http_is_a_device_error(rig: DoorRig, answer: bytes, error: type[DeviceError]) -> None:
    with pytest.raises(error):
        await _raw_answer(rig, answer)


async def test_host_that_makes_no_url_is_a_device_error(rig: DoorRig) -> None:
    rig.settings = replace(rig.settings, host="127.0.0.1:99999")
    with pytest.raises(DeviceError):
        await rig.build().get("/a")


@settings(max_examples=60, deadline=None)
@given(
    body=st.binary(max_size=200),
    status=st.sampled_from([200, 200, 200, 201, 302, 401, 404, 429, 500]),
    challenge=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=40),
)
def test_no_answer_raises_anything_but_a_device_error(body: bytes, status: int, challenge: str) -> None:
    async def ask() -> None:
        async with running_device() as (device, session):
            device.answers["/a"] = text(body, status, {"WWW-Authenticate": f"Digest {challenge}"})
            door = DeviceHttp("Device", "meter", Settings(device.host, password=SecretStr("x")), session, Clock(1000.0))
            door.authenticate_with("digest")
            with contextlib.suppress(DeviceError):
                await door.get("/a")

    asyncio.run(ask())


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "x-gzip", "gzip, gzip"])
async def test_a_compressed_answer_is_refused_before_it_is_unpacked(rig: DoorRig, name: str) -> None:
    packed = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    assert len(packed) < LONGEST_BODY
    rig.device.answers["/a"] = text(packed, headers={"Content-Encoding": name})
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DeviceAnswerError, match="compressed"):
        await rig.door.get("/a")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < most + 10_000  # kB


async def test_no_compression_is_asked_for(rig: DoorRig) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.headers["Accept-Encoding"])
        return web.json_response({})

    rig.device.answers["/a"] = handler
    await rig.door.get("/a")
    assert asked == ["identity"]


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (HEAD, b"X-A: " + b"b" * 1000 + b"\r\n"),
        (HEAD, b"a:\r\n"),
        (HEAD, b"X" * 1000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: " + b"b" * 1000 + b"\r\n\r\n"),
        (CHUNKED + b"0\r\n", b"X-A: " + b"b" * 1000 + b"\r\n"),
        (CHUNKED, b"1;" + b"x" * 1000 + b"\r\n \r\n"),
        (CHUNKED, b"0" * 1000),
        (b"", b"\r\n" * 1000),
    ],
    ids=["headers", "short headers", "one name", "100s", "103s", "trailers", "chunk extensions", "zeros", "lines"],
)
async def test_an_answer_without_end_is_cut_off_before_the_time_limit(begin: bytes, more: bytes) -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begin)
        part = more * (65536 // len(more))
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(part)
                await writer.drain()
                sent += len(part)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, open_session() as session:
        door = DeviceHttp("Device", "meter", replace(Settings(host), timeout_s=60), session, Clock(1000.0))
        with pytest.raises((DeviceAnswerError, DeviceConnectionError)):
            await door.get("/a")
    assert sent < 20_000_000  # what the two sockets hold


class Names(AbstractResolver):
    """Knows one name, whose address may change."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host=self.address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


@pytest.mark.realtime
async def test_a_device_with_a_new_address_is_found_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names("127.0.0.1")
    monkeypatch.setattr(aiohttp.connector, "DefaultResolver", lambda *_args, **_names: names)
    async with running_device() as (old, _), running_device(old.port, "127.0.0.2") as (new, session):
        settings = replace(Settings(f"meter.lan:{old.port}"), timeout_s=1.0)
        door = DeviceHttp("Device", "meter", settings, session, asyncio.get_running_loop().time)
        old.answers["/a"] = {"from": "old"}
        assert await door.get("/a") == {"from": "old"}
        names.address, old.answers["/a"], new.answers["/a"] = "127.0.0.2", old.stall, {"from": "new"}
        answer = None
        while answer is None:
            with contextlib.suppress(DeviceTimeoutError):
                answer = await door.get("/a")
        assert answer == {"from": "new"}
    assert len(old.requests) <= 1 + 10 / settings.timeout_s + 1, "aiohttp keeps the address of a name for 10 s"


def test_every_door_of_the_program_opens_into_a_bounded_session() -> None:
    package = Path(opendtu_dcload.__file__).parent
    others = [
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if "aiohttp.ClientSession(" in file.read_text() and file.parts[len(package.parts)] != "sim"
    ]
    assert others == ["devices/http.py"]
