"""What OpenDTU pushes by its websocket, and what else may come from there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import zlib
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import WSMsgType, web
from aiohttp.http_websocket import WebSocketWriter
from pydantic import SecretStr

from opendtu_dcload.devices.frames import LONGEST_FRAME
from opendtu_dcload.devices.http import LONGEST_ANSWER
from opendtu_dcload.devices.opendtu import opendtu_client
from opendtu_dcload.devices.opendtu.opendtu_client import LivePart, OpenDtu
from opendtu_dcload.errors import (
    DeviceAnswerError,
    DeviceAuthError,
    DeviceConnectionError,
    DeviceError,
    DeviceTimeoutError,
)
from opendtu_dcload.sim.servers.opendtu_push import CHALLENGE, has_digest
from tests.devices.opendtu.opendtu_documents import (
    BALCONY,
    GARAGE,
    LIMITS,
    LIVE,
    NEW,
    OLD,
    SHED,
    SHED_STATUS,
    DtuRig,
    live_document,
)
from tests.doubles.fake_device import BasicLogin, running_device, text

pytestmark = pytest.mark.realtime

PUSH = "/livedata"
SHED_FRAME = NEW[f"{LIVE}?inv={SHED}"]
GOOD = json.dumps(SHED_FRAME)
ON_BATTERY = json.dumps({"battery": {"enabled": True}, "power_meter": {"Power": {"v": 412.5, "u": "W", "d": 1}}})

Send = Callable[[web.WebSocketResponse], Awaitable[None]]


def pushing(rig: DtuRig, send: Send) -> asyncio.Event:
    """Let the DTU open a websocket, send, and wait for its end; return what is set then."""
    closed = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await send(socket)
        with contextlib.suppress(RuntimeError):  # closed by `send`
            while (await socket.receive()).type not in (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.CLOSE):
                pass
        closed.set()
        return socket

    rig.device.answers[PUSH] = handle
    return closed


def texts(*frames: str) -> Send:
    async def send(socket: web.WebSocketResponse) -> None:
        for frame in frames:
            await socket.send_str(frame)

    return send


async def next_part(dtu: OpenDtu) -> LivePart:
    async with contextlib.aclosing(dtu.pushed()) as parts:
        return await anext(parts)


async def test_a_frame_tells_what_an_answer_tells(rig: DtuRig) -> None:
    pushing(rig, texts(GOOD))
    part = await next_part(rig.dtu)
    assert part == LivePart({SHED: SHED_STATUS}, is_clock_set=True, spoilt="")


async def test_old_firmware_pushes_all_inverters_at_once_and_only_ours_are_told_of(rig: DtuRig) -> None:
    pushing(rig, texts(json.dumps(OLD[LIVE])))
    assert set((await next_part(rig.build([BALCONY, SHED]))).inverters) == {BALCONY, SHED}
    assert set((await next_part(rig.build([BALCONY]))).inverters) == {BALCONY}


async def test_the_clock_is_told_of_by_frames_too(rig: DtuRig) -> None:
    pushing(rig, texts(json.dumps(SHED_FRAME | {"hints": {"time_sync": True}})))
    assert not (await next_part(rig.dtu)).is_clock_set


async def _send_much(socket: web.WebSocketResponse) -> None:
    for frame in (ON_BATTERY, "", "null", "[]", "{", "[" * 20000, '{"inverters": 7}', json.dumps(live_document())):
        await socket.send_str(frame)
    await socket.send_bytes(b"\x00\xff")
    await socket.ping(b"are you there?")
    await socket.pong(b"")
    await socket.send_str(GOOD)


async def _send_in_fragments(socket: web.WebSocketResponse) -> None:
    writer = _writer(socket)
    middle = len(GOOD) // 2
    _raw(writer, 0x01, GOOD[:middle].encode())
    await socket.ping()
    _raw(writer, 0x80, GOOD[middle:].encode())


def _writer(socket: web.WebSocketResponse) -> WebSocketWriter:
    assert socket._writer is not None
    return socket._writer


def _raw(writer: WebSocketWriter, first: int, body: bytes) -> None:
    """Send one frame exactly so."""
    size = len(body)
    length = bytes([size]) if size < 126 else bytes([126]) + size.to_bytes(2, "big")
    writer.transport.write(bytes([first]) + length + body)


@pytest.mark.parametrize("send", [_send_much, _send_in_fragments])
async def test_what_is_no_frame_of_inverters_is_passed_over(rig: DtuRig, send: Send) -> None:
    pushing(rig, send)
    assert SHED in (await next_part(rig.dtu)).inverters


async def test_frames_may_be_more_in_all_than_an_answer_may_be(rig: DtuRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opendtu_dcload.devices.frames.BETWEEN_S", 0.0)
    large = json.dumps(SHED_FRAME | {"more": "x" * (LONGEST_FRAME - 4096)})
    count = LONGEST_ANSWER // len(large) + 3
    pushing(rig, texts(*[large] * count))
    async with contextlib.aclosing(rig.dtu.pushed()) as parts:
        for _ in range(count):
            assert SHED in (await anext(parts)).inverters


async def _send_too_long(socket: web.WebSocketResponse) -> None:
    await socket.send_str(json.dumps(SHED_FRAME | {"more": "x" * LONGEST_FRAME}))


async def _send_without_end(socket: web.WebSocketResponse) -> None:
    writer = _writer(socket)
    _raw(writer, 0x01, b"{")
    for _ in range(3 * LONGEST_FRAME // 1000):
        _raw(writer, 0x00, b" " * 1000)


async def _send_compressed(socket: web.WebSocketResponse) -> None:
    """Send what nobody asked for, and what would be 16 MB."""
    packer = zlib.compressobj(9, wbits=-15)
    _raw(_writer(socket), 0xC1, packer.compress(b" " * 2**24) + packer.flush(zlib.Z_SYNC_FLUSH))


async def _send_nonsense(socket: web.WebSocketResponse) -> None:
    _raw(_writer(socket), 0x8F, b"?")


async def _send_no_utf8(socket: web.WebSocketResponse) -> None:
    _raw(_writer(socket), 0x81, b"\xff\xfe")


async def _close(socket: web.WebSocketResponse) -> None:
    await socket.close()


async def _break(socket: web.WebSocketResponse) -> None:
    _writer(socket).transport.abort()


@pytest.mark.parametrize(
    "send", [_send_too_long, _send_without_end, _send_compressed, _send_nonsense, _send_no_utf8, _close, _break]
)
async def test_what_no_websocket_may_send_ends_it(rig: DtuRig, send: Send) -> None:
    pushing(rig, send)
    with pytest.raises(DeviceConnectionError, match="has closed /livedata"):
        await next_part(rig.dtu)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (text("Not found", 404), DeviceAnswerError, "HTTP status 404"),
        (text("<html>" * 100000), DeviceAnswerError, "opens no websocket"),
        (text("", 401), DeviceAuthError, "refuses the password"),
        (text("", 429), DeviceError, "overloaded"),
    ],
    ids=["404", "page", "401", "429"],
)
async def test_a_dtu_that_opens_no_websocket_is_an_error(
    rig: DtuRig, answer: object, error: type[DeviceError], words: str
) -> None:
    rig.device.answers[PUSH] = answer
    with pytest.raises(error, match=words):
        await next_part(rig.dtu)


async def test_a_handshake_that_hangs_ends_in_time(rig: DtuRig) -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        await rig.device.closing.wait()
        return web.Response()

    rig.device.answers[PUSH] = hang
    with pytest.raises(DeviceTimeoutError):
        await next_part(rig.build(timeout_s=0.05))


@pytest.mark.parametrize("frames", [(), (ON_BATTERY,)], ids=["silent", "of something else"])
async def test_a_websocket_without_inverters_is_silent(
    rig: DtuRig, monkeypatch: pytest.MonkeyPatch, frames: tuple[str, ...]
) -> None:
    monkeypatch.setattr(opendtu_client, "PUSH_SILENT_S", 0.2)
    pushing(rig, texts(*frames))
    with pytest.raises(DeviceTimeoutError, match="has pushed nothing"):
        await next_part(rig.dtu)


async def test_what_is_asked_does_not_wait_for_an_open_websocket_which_ends_at_once_with_us(rig: DtuRig) -> None:
    closed = pushing(rig, texts(GOOD))
    rig.device.answers["/api/limit/status"] = LIMITS
    async with contextlib.aclosing(rig.dtu.pushed()) as parts:
        await anext(parts)
        assert GARAGE in await rig.dtu.limits()
        waiting = asyncio.ensure_future(anext(parts))
        await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
    await asyncio.wait_for(closed.wait(), 5)


async def test_the_password_goes_along(rig: DtuRig) -> None:
    rig.device.login = BasicLogin("YWRtaW46b3BlbkRUVTQy")
    pushing(rig, texts(GOOD))
    assert SHED in (await next_part(rig.dtu)).inverters
    with pytest.raises(DeviceAuthError, match="refuses the password"):
        await next_part(rig.build(password=SecretStr("wrong")))
    with pytest.raises(DeviceAuthError, match="wants a password"):
        await next_part(rig.build(password=None))


async def test_a_digest_is_answered_where_one_is_asked_for(rig: DtuRig, caplog: pytest.LogCaptureFixture) -> None:
    def login(request: web.Request) -> web.Response | None:
        if has_digest(request.headers.get("Authorization", ""), "openDTU42", PUSH):
            return None
        return web.Response(status=401, headers={"WWW-Authenticate": CHALLENGE})

    rig.device.login = login
    pushing(rig, texts(GOOD))
    with caplog.at_level(logging.DEBUG):
        assert SHED in (await next_part(rig.dtu)).inverters
        for pause_s in (60, 120):
            dtu = rig.dtu if pause_s > 60 else rig.build(password=SecretStr("wr0ng!"))
            asked = len(rig.device.requests)
            for _ in range(3):
                with pytest.raises(DeviceAuthError) as caught:
                    await next_part(dtu)
            assert len(rig.device.requests) - asked <= 4, "then it pauses"
            rig.clock.now_s += pause_s
    assert "wr0ng" not in str(caught.value) + caplog.text
    assert "openDTU42" not in caplog.text


@pytest.mark.parametrize("wants", ["basic", "digest"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_websocket_follows_no_redirect_with_or_without_credentials(
    rig: DtuRig, status: int, wants: str, caplog: pytest.LogCaptureFixture
) -> None:
    def login(request: web.Request) -> web.Response | None:
        if wants == "basic" or has_digest(request.headers.get("Authorization", ""), "openDTU42", PUSH):
            return None
        return web.Response(status=401, headers={"WWW-Authenticate": CHALLENGE})

    async with running_device() as (stranger, _session):
        pushing(rig, texts(GOOD))
        stranger.answers[PUSH] = rig.device.answers[PUSH]
        rig.device.answers[PUSH] = text("", status, {"Location": f"http://{stranger.host}{PUSH}"})
        rig.device.login = login
        with pytest.raises(DeviceError, match=r"OpenDTU at .* /livedata"):
            await next_part(rig.dtu)
        assert stranger.requests == []
    assert "Unclosed" not in caplog.text
