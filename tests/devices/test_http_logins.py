"""Passwords, challenges and pauses at the one door to a device."""

from typing import Literal

import pytest
from aiohttp import web

from opendtu_dcload.devices.http import BackOff, HttpStatusError
from opendtu_dcload.errors import (
    DeviceAnswerError,
    DeviceAuthError,
    DeviceBusyError,
    ServiceError,
)
from tests.devices.http_door import PASSWORD, TOKEN, DoorRig
from tests.doubles.clock import Clock
from tests.doubles.fake_device import BasicLogin, DigestLogin, running_device, text


async def test_basic_is_sent_unasked_and_in_utf_8(rig: DoorRig) -> None:
    rig.device.login = BasicLogin(TOKEN)
    rig.device.answers["/a"] = {}
    door = rig.build(PASSWORD)
    door.authenticate_with("basic")
    assert await door.get("/a") == {}
    assert len(rig.device.requests) == 1


@pytest.mark.parametrize("scheme", ["basic", "digest"])
async def test_open_path_is_asked_without_credentials(rig: DoorRig, scheme: Literal["basic", "digest"]) -> None:
    rig.device.login = DigestLogin(PASSWORD) if scheme == "digest" else BasicLogin(TOKEN)
    rig.device.open_paths = {"/open"}
    rig.device.answers |= {"/a": {}, "/open": {}}
    door = rig.build(PASSWORD)
    door.authenticate_with(scheme)
    await door.get("/a")
    await door.get("/open", is_open=True)
    assert rig.device.requests[-2].authorization != ""
    assert rig.device.requests[-1].authorization == ""


@pytest.mark.parametrize("scheme", ["basic", "digest"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_credentials_never_follow_a_redirect(
    rig: DoorRig, status: int, scheme: Literal["basic", "digest"]
) -> None:
    async with running_device() as (stranger, _session):
        stranger.answers["/a"] = {}
        rig.device.login = DigestLogin(PASSWORD) if scheme == "digest" else BasicLogin(TOKEN)
        rig.device.answers["/a"] = text("", status, {"Location": f"http://{stranger.host}/a"})
        door = rig.build(PASSWORD)
        door.authenticate_with(scheme)
        for ask in (door.get("/a"), door.post("/a", {"data": "{}"})):
            with pytest.raises(HttpStatusError, match=f"status {status}"):
                await ask
        assert rig.device.requests[-1].authorization.lower().startswith(scheme)
        assert stranger.requests == []


async def test_without_a_password_nothing_is_shown(rig: DoorRig) -> None:
    rig.device.login = BasicLogin(TOKEN)
    rig.door.authenticate_with("basic")
    with pytest.raises(DeviceAuthError, match=r"wants a password: set meter\.password"):
        await rig.door.get("/a")
    assert rig.device.requests[0].authorization == ""


async def test_refused_password_stops_all_requests_for_60_s_then_twice_as_long_up_to_an_hour(rig: DoorRig) -> None:
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


async def test_success_forgets_the_refusals(rig: DoorRig) -> None:
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


async def test_answer_of_an_open_path_does_not_forget_the_refusals(rig: DoorRig) -> None:
    rig.device.login = BasicLogin("other")
    rig.device.open_paths = {"/open"}
    rig.device.answers["/open"] = {}
    for pause_s in (60, 120):
        with pytest.raises(DeviceAuthError) as caught:
            await rig.door.get("/a")
        assert caught.value.retry_after_s == pause_s
        rig.clock.now_s += pause_s
        await rig.door.get("/open", is_open=True)


async def test_429_pauses_5_10_20_40_60_s_whatever_retry_after_says(rig: DoorRig) -> None:
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


async def test_success_ends_the_429_series(rig: DoorRig) -> None:
    for _ in range(2):
        rig.device.answers["/a"] = text("Too Many Requests", 429)
        with pytest.raises(DeviceBusyError) as caught:
            await rig.door.get("/a")
        assert caught.value.retry_after_s == 5
        rig.clock.now_s += 5
        rig.device.answers["/a"] = {}
        await rig.door.get("/a")


async def test_429_for_failed_logins_counts_as_a_refused_password(rig: DoorRig) -> None:
    rig.device.answers["/a"] = text('{"code":429,"message":"Too many failed authentication attempts"}', 429)
    with pytest.raises(DeviceAuthError) as caught:
        await rig.build(PASSWORD).get("/a")
    assert caught.value.retry_after_s == 60


async def test_ten_digest_requests_cost_one_challenge(rig: DoorRig) -> None:
    rig.device.login = login = DigestLogin(PASSWORD)
    rig.device.answers["/a?id=0"] = {}
    door = rig.build(PASSWORD)
    for _ in range(10):
        door.authenticate_with("digest")  # saying it again changes nothing
        await door.get("/a?id=0")
    assert login.challenges == 1
    assert len(rig.device.requests) == 11


async def test_expired_nonce_is_replaced_within_one_request(rig: DoorRig) -> None:
    rig.device.login = login = DigestLogin(PASSWORD)
    rig.device.answers["/a"] = {}
    door = rig.build(PASSWORD)
    door.authenticate_with("digest")
    await door.get("/a")
    login.expire_nonces()
    assert await door.get("/a") == {}
    assert login.challenges == 2


async def test_wrong_digest_password_is_tried_once_and_then_after_the_pause(rig: DoorRig) -> None:
    rig.device.login = login = DigestLogin("another")
    door = rig.build(PASSWORD)
    door.authenticate_with("digest")
    for attempt, pause_s in enumerate((60, 120), start=1):
        for _ in range(5):
            with pytest.raises(DeviceAuthError):
                await door.get("/a")
        assert login.attempts == attempt
        rig.clock.now_s += pause_s


async def test_429_drops_the_nonce(rig: DoorRig) -> None:
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


async def test_challenge_that_cannot_be_answered_does_not_block_the_door_for_ever(rig: DoorRig) -> None:
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
async def test_no_error_shows_the_password(rig: DoorRig, status: int, scheme: Literal["basic", "digest"]) -> None:
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
    clock = Clock(1000.0)
    clock.now_s = -5.0
    assert BackOff(clock, first_s=5, longest_s=60).remaining_s == 0
