import asyncio
import contextlib
import gzip
import resource
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

import opendtu_dcload
from opendtu_dcload.devices.http import LONGEST_BODY, BackOff, DeviceHttp, HttpStatusError, open_session
from opendtu_dcload.errors import (
    DeviceAnswerError,
    DeviceAuthError,
    DeviceBusyError,
    DeviceConnectionError,
    DeviceError,
    DeviceTimeoutError,
    ServiceError,
)
from tests.doubles.fake_device import BasicLogin, DigestLogin, FakeClock, FakeDevice, Settings, running_device, text

PASSWORD = "S3cret-päss"
TOKEN = "YWRtaW46UzNjcmV0LXDDpHNz"  # admin:S3cret-päss in UTF-8


class Rig:
    """A door with the device behind it."""

    def __init__(self, device: FakeDevice, session: aiohttp.ClientSession) -> None:
        self.device = device
        self.session = session
        self.clock = FakeClock()
        self.settings = Settings(device.host)
        self.door = self.build()

    def build(self, password: str | None = None, timeout_s: float = 2.0) -> DeviceHttp:
        secret = None if password is None else SecretStr(password)
        self.settings = replace(self.settings, password=secret, timeout_s=timeout_s)
        self.door = DeviceHttp("Device", "meter", self.settings, self.session, self.clock)
        return self.door


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running_device() as (device, session):
        yield Rig(device, session)


async def test_returns_the_document(rig: Rig) -> None:
    rig.device.answers["/a?b=1"] = {"x": [1, 2.5, "three", True, None]}
    assert await rig.door.get("/a?b=1") == {"x": [1, 2.5, "three", True, None]}
    assert rig.device.requests[0].authorization == ""


async def test_posts_a_url_encoded_form(rig: Rig) -> None:
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
async def test_body_that_is_no_strict_json_is_an_answer_error(rig: Rig, body: str | bytes) -> None:
    rig.device.answers["/a"] = text(body)
    with pytest.raises(DeviceAnswerError, match="JSON"):
        await rig.door.get("/a")


@pytest.mark.parametrize("status", [204, 301, 400, 403, 404, 500, 501, 503])
async def test_other_status_is_an_answer_error_that_keeps_it(rig: Rig, status: int) -> None:
    rig.device.answers["/a"] = text("" if status == 204 else "no", status, {"Location": "/b"})
    rig.device.answers["/b"] = {}
    with pytest.raises(HttpStatusError, match=f"status {status}") as caught:
        await rig.door.get("/a")
    assert (caught.value.status, caught.value.code) == (status, None)
    assert rig.device.paths == ["/a"]  # no redirect is followed


async def test_code_in_the_body_of_a_failure_is_kept(rig: Rig) -> None:
    rig.device.answers["/a"] = text('{"code":-105,"message":"Argument not found"}', 500)
    with pytest.raises(HttpStatusError) as caught:
        await rig.door.get("/a")
    assert (caught.value.status, caught.value.code) == (500, -105)


async def test_too_large_a_body_is_cut_off(rig: Rig) -> None:
    rig.device.answers["/a"] = text(b"[" + b" " * LONGEST_BODY + b"]")
    with pytest.raises(DeviceAnswerError, match="256 kB"):
        await rig.door.get("/a")


async def test_endless_body_is_cut_off_before_the_time_limit(rig: Rig) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while not rig.device.closing.is_set():
            await response.write(b" " * 10_000)
        return response

    rig.device.answers["/a"] = endless
    with pytest.raises(DeviceAnswerError, match="256 kB"):
        await rig.build(timeout_s=60).get("/a")


async def test_body_of_exactly_the_limit_is_read(rig: Rig) -> None:
    rig.device.answers["/a"] = text(b"[" + b" " * (LONGEST_BODY - 2) + b"]")
    assert await rig.door.get("/a") == []


async def test_time_limit_covers_the_body(rig: Rig) -> None:
    rig.device.answers["/a"] = rig.device.stall
    with pytest.raises(DeviceTimeoutError, match=r"/a completely in 0\.05 s"):
        await rig.build(timeout_s=0.05).get("/a")


async def test_time_limit_covers_the_headers(rig: Rig) -> None:
    async def silent(_request: web.Request) -> web.Response:
        await rig.device.closing.wait()
        return web.Response()

    rig.device.answers["/a"] = silent
    with pytest.raises(DeviceTimeoutError):
        await rig.build(timeout_s=0.05).get("/a")


async def test_waiting_for_its_turn_does_not_count_as_the_devices_time(rig: Rig) -> None:
    rig.device.answers["/slow"] = rig.device.stall
    rig.device.answers["/a"] = {}
    door = rig.build(timeout_s=0.08)
    slow, quick = await asyncio.gather(door.get("/slow"), door.get("/a"), return_exceptions=True)
    assert isinstance(slow, DeviceTimeoutError)
    assert quick == {}


async def test_one_request_at_a_time(rig: Rig) -> None:
    async def unhurried(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.01)
        return web.json_response({})

    rig.device.answers["/a"] = unhurried
    await asyncio.gather(*(rig.door.get("/a") for _ in range(5)))
    assert len(rig.device.requests) == 5
    assert rig.device.most_in_flight == 1


async def test_doors_with_one_lock_take_turns(rig: Rig) -> None:
    async def unhurried(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.01)
        return web.json_response({})

    rig.device.answers["/a"] = unhurried
    lock = asyncio.Lock()
    doors = [DeviceHttp("Device", "meter", rig.settings, rig.session, rig.clock, lock) for _ in range(2)]
    await asyncio.gather(*(door.get("/a") for door in doors * 3))
    assert rig.device.most_in_flight == 1


async def test_cancelling_passes_through_and_frees_the_door(rig: Rig) -> None:
    rig.device.answers["/slow"] = rig.device.stall
    rig.device.answers["/a"] = {}
    task = asyncio.create_task(rig.door.get("/slow"))
    await rig.device.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await rig.door.get("/a") == {}


async def test_refused_connection_says_where_and_what_to_check(rig: Rig) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        rig.settings = replace(rig.settings, host=f"127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(DeviceConnectionError, match=r"127\.0\.0\.1:\d+ .*Connection refused.*meter\.host"):
            await rig.build().get("/a")


async def _raw_answer(rig: Rig, answer: bytes) -> None:
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
async def test_broken_http_is_a_device_error(rig: Rig, answer: bytes, error: type[DeviceError]) -> None:
    with pytest.raises(error):
        await _raw_answer(rig, answer)


async def test_host_that_makes_no_url_is_a_device_error(rig: Rig) -> None:
    rig.settings = replace(rig.settings, host="127.0.0.1:99999")
    with pytest.raises(DeviceError):
        await rig.build().get("/a")


async def test_basic_is_sent_unasked_and_in_utf_8(rig: Rig) -> None:
    rig.device.login = BasicLogin(TOKEN)
    rig.device.answers["/a"] = {}
    door = rig.build(PASSWORD)
    door.authenticate_with("basic")
    assert await door.get("/a") == {}
    assert len(rig.device.requests) == 1


@pytest.mark.parametrize("scheme", ["basic", "digest"])
async def test_open_path_is_asked_without_credentials(rig: Rig, scheme: Literal["basic", "digest"]) -> None:
    rig.device.login = DigestLogin(PASSWORD) if scheme == "digest" else BasicLogin(TOKEN)
    rig.device.open_paths = {"/open"}
    rig.device.answers |= {"/a": {}, "/open": {}}
    door = rig.build(PASSWORD)
    door.authenticate_with(scheme)
    await door.get("/a")
    await door.get("/open", is_open=True)
    assert rig.device.requests[-2].authorization != ""
    assert rig.device.requests[-1].authorization == ""


async def test_without_a_password_nothing_is_shown(rig: Rig) -> None:
    rig.device.login = BasicLogin(TOKEN)
    rig.door.authenticate_with("basic")
    with pytest.raises(DeviceAuthError, match=r"wants a password: set meter\.password"):
        await rig.door.get("/a")
    assert rig.device.requests[0].authorization == ""


async def test_refused_password_stops_all_requests_for_60_s_then_twice_as_long_up_to_an_hour(rig: Rig) -> None:
    rig.device.login = BasicLogin("other")
    door = rig.build(PASSWORD)
    door.authenticate_with("basic")
    for attempt, pause_s in enumerate((60, 120, 240, 480, 960, 1920, 3600, 3600), start=1):
        with pytest.raises(DeviceAuthError, match=rf"refuses the password.*meter\.password.* {pause_s} s") as caught:
            await door.get("/a")
        assert caught.value.retry_after_s == pause_s
        rig.clock.now_s += pause_s - 1
        with pytest.raises(DeviceAuthError, match="next attempt in 1 s") as caught:
            await door.get("/a", is_open=True)
        assert caught.value.retry_after_s == pytest.approx(1)
        assert len(rig.device.requests) == attempt
        rig.clock.now_s += 1


async def test_success_forgets_the_refusals(rig: Rig) -> None:
    rig.device.answers["/a"] = {}
    door = rig.build(PASSWORD)
    door.authenticate_with("basic")
    for _ in range(2):
        rig.device.login = BasicLogin("other")
        with pytest.raises(DeviceAuthError) as caught:
            await door.get("/a")
        assert caught.value.retry_after_s == 60
        rig.clock.now_s += 60
        rig.device.login = BasicLogin(TOKEN)
        await door.get("/a")


async def test_answer_of_an_open_path_does_not_forget_the_refusals(rig: Rig) -> None:
    rig.device.login = BasicLogin("other")
    rig.device.open_paths = {"/open"}
    rig.device.answers["/open"] = {}
    for pause_s in (60, 120):
        with pytest.raises(DeviceAuthError) as caught:
            await rig.door.get("/a")
        assert caught.value.retry_after_s == pause_s
        rig.clock.now_s += pause_s
        await rig.door.get("/open", is_open=True)


async def test_429_pauses_5_10_20_40_60_s_whatever_retry_after_says(rig: Rig) -> None:
    rig.device.answers["/a"] = text("Too Many Requests", 429, {"Retry-After": "60"})
    for attempt, pause_s in enumerate((5, 10, 20, 40, 60, 60), start=1):
        with pytest.raises(DeviceBusyError) as caught:
            await rig.door.get("/a")
        assert caught.value.retry_after_s == pause_s
        rig.clock.now_s += pause_s - 0.5
        with pytest.raises(DeviceBusyError) as caught:
            await rig.door.get("/a")
        assert caught.value.retry_after_s == pytest.approx(0.5)
        assert len(rig.device.requests) == attempt
        rig.clock.now_s += 0.5


async def test_success_ends_the_429_series(rig: Rig) -> None:
    for _ in range(2):
        rig.device.answers["/a"] = text("Too Many Requests", 429)
        with pytest.raises(DeviceBusyError) as caught:
            await rig.door.get("/a")
        assert caught.value.retry_after_s == 5
        rig.clock.now_s += 5
        rig.device.answers["/a"] = {}
        await rig.door.get("/a")


async def test_429_for_failed_logins_counts_as_a_refused_password(rig: Rig) -> None:
    rig.device.answers["/a"] = text('{"code":429,"message":"Too many failed authentication attempts"}', 429)
    with pytest.raises(DeviceAuthError) as caught:
        await rig.build(PASSWORD).get("/a")
    assert caught.value.retry_after_s == 60


async def test_ten_digest_requests_cost_one_challenge(rig: Rig) -> None:
    rig.device.login = login = DigestLogin(PASSWORD)
    rig.device.answers["/a?id=0"] = {}
    door = rig.build(PASSWORD)
    for _ in range(10):
        door.authenticate_with("digest")  # saying it again changes nothing
        await door.get("/a?id=0")
    assert login.challenges == 1
    assert len(rig.device.requests) == 11


async def test_expired_nonce_is_replaced_within_one_request(rig: Rig) -> None:
    rig.device.login = login = DigestLogin(PASSWORD)
    rig.device.answers["/a"] = {}
    door = rig.build(PASSWORD)
    door.authenticate_with("digest")
    await door.get("/a")
    login.expire_nonces()
    assert await door.get("/a") == {}
    assert login.challenges == 2


async def test_wrong_digest_password_is_tried_once_and_then_after_the_pause(rig: Rig) -> None:
    rig.device.login = login = DigestLogin("another")
    door = rig.build(PASSWORD)
    door.authenticate_with("digest")
    for attempt, pause_s in enumerate((60, 120), start=1):
        for _ in range(5):
            with pytest.raises(DeviceAuthError):
                await door.get("/a")
        assert login.attempts == attempt
        rig.clock.now_s += pause_s


async def test_429_drops_the_nonce(rig: Rig) -> None:
    rig.device.login = DigestLogin(PASSWORD)
    rig.device.answers["/a"] = {}
    door = rig.build(PASSWORD)
    door.authenticate_with("digest")
    await door.get("/a")
    rig.device.answers["/a"] = text("throttled", 429)
    with pytest.raises(DeviceBusyError):
        await door.get("/a")
    rig.device.answers["/a"] = {}
    rig.clock.now_s += 5
    await door.get("/a")
    assert rig.device.requests[-2].authorization == ""  # asks for a challenge first
    assert rig.device.requests[-1].authorization.startswith("Digest ")


async def test_challenge_that_cannot_be_answered_does_not_block_the_door_for_ever(rig: Rig) -> None:
    def broken_login(_request: web.Request) -> web.Response:
        return web.Response(status=401, headers={"WWW-Authenticate": 'Digest realm="r", algorithm=ROT13'})

    rig.device.login = broken_login
    rig.device.answers["/a"] = {}
    door = rig.build(PASSWORD)
    door.authenticate_with("digest")
    with pytest.raises(DeviceAnswerError):
        await door.get("/a")
    rig.device.login = DigestLogin(PASSWORD)
    assert await door.get("/a") == {}


@pytest.mark.parametrize("status", [401, 404, 429, 500])
@pytest.mark.parametrize("scheme", ["basic", "digest"])
async def test_no_error_shows_the_password(rig: Rig, status: int, scheme: Literal["basic", "digest"]) -> None:
    rig.device.answers["/a"] = text("no", status, {"WWW-Authenticate": 'Digest realm="r", nonce="1", qop="auth"'})
    door = rig.build(PASSWORD)
    door.authenticate_with(scheme)
    with pytest.raises(ServiceError) as caught:
        await door.get("/a")
    error: BaseException | None = caught.value
    while error is not None:
        assert PASSWORD not in repr(error)
        assert TOKEN not in repr(error)
        error = error.__cause__ or error.__context__


def test_back_off_has_no_pause_before_the_first_failure() -> None:
    clock = FakeClock()
    clock.now_s = -5.0
    assert BackOff(5, 60, clock).remaining_s == 0


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
            door = DeviceHttp("Device", "meter", Settings(device.host, password=SecretStr("x")), session, FakeClock())
            door.authenticate_with("digest")
            with contextlib.suppress(DeviceError):
                await door.get("/a")

    asyncio.run(ask())


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "x-gzip", "gzip, gzip"])
async def test_a_compressed_answer_is_refused_before_it_is_unpacked(rig: Rig, name: str) -> None:
    packed = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    assert len(packed) < LONGEST_BODY
    rig.device.answers["/a"] = text(packed, headers={"Content-Encoding": name})
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DeviceAnswerError, match="compressed"):
        await rig.door.get("/a")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < most + 10_000  # kB


async def test_no_compression_is_asked_for(rig: Rig) -> None:
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
        door = DeviceHttp("Device", "meter", replace(Settings(host), timeout_s=60), session, FakeClock())
        with pytest.raises((DeviceAnswerError, DeviceConnectionError)):
            await door.get("/a")
    assert sent < 20_000_000  # what the two sockets hold


def test_every_door_of_the_program_opens_into_a_bounded_session() -> None:
    package = Path(opendtu_dcload.__file__).parent
    others = [
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if "aiohttp.ClientSession(" in file.read_text() and file.parts[len(package.parts)] != "sim"
    ]
    assert others == ["devices/http.py"]
