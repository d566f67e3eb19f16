"""Commands to OpenDTU, its passwords and silence, and any answer."""

import asyncio
import contextlib
import json
import math
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from opendtu_dcload.config import OpenDtuConfig
from opendtu_dcload.devices.http import Login
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.errors import (
    DeviceAnswerError,
    DeviceAuthError,
    DeviceBusyError,
    DeviceError,
    DeviceRefusedError,
    DeviceTimeoutError,
)
from tests.devices.json_values import damaged, json_values
from tests.devices.opendtu.opendtu_documents import (
    BALCONY,
    FLAT,
    GARAGE,
    LIMITS,
    LIVE,
    NEW,
    OLD,
    SHED,
    SUCCESS,
    TOKEN,
    DtuRig,
)
from tests.doubles.clock import Clock
from tests.doubles.fake_device import BasicLogin, Settings, document, running_device, text


def test_the_configuration_fits() -> None:
    config: Login = OpenDtuConfig(host="192.0.2.1")
    assert (config.user, config.password) == ("admin", None)


# --- commands ---


async def test_limit_goes_out_as_a_form_with_exact_types(rig: DtuRig) -> None:
    rig.answer({"/api/limit/config": SUCCESS})
    await rig.dtu.set_limit(SHED.upper(), 312.57, minimum_w=40, rated_w=800)
    (request,) = rig.device.requests
    assert (request.method, request.content_type) == ("POST", "application/x-www-form-urlencoded")
    assert list(request.form) == ["data"]
    assert request.form["data"] == f'{{"serial":"{SHED}","limit_type":0,"limit_value":312.5}}'
    assert request.authorization == f"Basic {TOKEN}"


@pytest.mark.parametrize(
    ("limit_w", "minimum_w", "rated_w", "sent_w"),
    [
        (312.5, 40, 800, 312.5),
        (312.59, 40, 800, 312.5),
        (16.1, 10, 800, 16.1),
        (10, 40, 800, 40),
        (-5, 0, 800, 0),
        (900, 40, 800, 800),
        (9000, 40, None, 2250),
        (9000, 40, 0, 2250),
        (9000, 40, 5000, 2250),
        (10, 40.04, 800, 40.1),
        (0, 0.1 + 0.2, 800, 0.3),  # a hair above 0.3 in binary
        (900, 40, 350.07, 350),
        (100, 900, 800, 800),
        (100, -50, 800, 100),
        (100, 9000, None, 2250),
    ],
)
async def test_limit_is_brought_between_minimum_and_rated_and_rounded_down(
    rig: DtuRig, limit_w: float, minimum_w: float, rated_w: float | None, sent_w: float
) -> None:
    rig.answer({"/api/limit/config": SUCCESS})
    await rig.dtu.set_limit(SHED, limit_w, minimum_w=minimum_w, rated_w=rated_w)
    assert rig.command == {"serial": SHED, "limit_type": 0, "limit_value": sent_w}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
async def test_value_that_is_not_finite_is_never_sent(rig: DtuRig, bad: float) -> None:
    rig.answer({"/api/limit/config": SUCCESS})
    for limit_w, minimum_w, rated_w in ((bad, 40, 800), (100, bad, 800), (100, 40, bad)):
        with pytest.raises(ValueError, match="finite"):
            await rig.dtu.set_limit(SHED, limit_w, minimum_w=minimum_w, rated_w=rated_w)
    assert rig.device.requests == []


async def test_unlisted_inverter_is_never_commanded(rig: DtuRig) -> None:
    rig.answer({"/api/limit/config": SUCCESS, "/api/power/config": SUCCESS})
    for command in (
        rig.dtu.set_limit(BALCONY, 100, minimum_w=20, rated_w=350),
        rig.dtu.set_power(BALCONY, on=False),
        rig.dtu.restart(BALCONY),
    ):
        with pytest.raises(ValueError, match="not listed"):
            await command
    assert rig.device.requests == []


@pytest.mark.parametrize("limit_type", [2, 3, 256, 257, -1])
async def test_persistent_limit_cannot_be_sent(rig: DtuRig, limit_type: int) -> None:
    with pytest.raises(ValueError, match="EEPROM"):
        await rig.dtu._post_limit(SHED, limit_type, 100)
    assert rig.device.requests == []


@pytest.mark.parametrize("value", [-0.1, 2250.1, math.nan])
async def test_value_beyond_the_dtus_bounds_cannot_be_sent(rig: DtuRig, value: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        await rig.dtu._post_limit(SHED, 0, value)
    assert rig.device.requests == []


@settings(max_examples=300, deadline=None)
@given(
    limit_w=st.floats(-5000, 5000) | st.integers(0, 22500).map(lambda tenths: tenths / 10),
    minimum_w=st.floats(-100, 3000) | st.integers(0, 5000).map(lambda tenths: tenths / 10),
    rated_w=st.none() | st.floats(1, 6000),
)
def test_every_limit_sent_is_a_tenth_within_the_bounds(limit_w: float, minimum_w: float, rated_w: float | None) -> None:
    sent: list[float] = []

    async def post(_path: str, form: dict[str, str]) -> object:
        sent.append(json.loads(form["data"])["limit_value"])
        return SUCCESS

    async def command() -> None:
        async with aiohttp.ClientSession() as session:
            dtu = OpenDtu(Settings("127.0.0.1:9"), session, [SHED])
            dtu._admin.post = post  # type: ignore[method-assign, assignment] # the transport has its own test
            await dtu.set_limit(SHED, limit_w, minimum_w=minimum_w, rated_w=rated_w)

    asyncio.run(command())
    (value_w,) = sent
    highest_w = min(rated_w or 2250, 2250)
    assert 0 <= value_w <= highest_w + 1e-9
    assert value_w >= min(minimum_w, highest_w - 0.1) - 1e-6
    assert value_w == round(value_w, 1)
    if max(minimum_w + 0.1, 0) <= limit_w <= highest_w:
        assert limit_w - 0.1 - 1e-9 <= value_w <= limit_w + 1e-9


async def test_power_and_restart_are_booleans(rig: DtuRig) -> None:
    rig.answer({"/api/power/config": SUCCESS})
    await rig.dtu.set_power(SHED, on=True)
    assert rig.device.requests[-1].form["data"] == f'{{"serial":"{SHED}","power":true}}'
    await rig.dtu.set_power(SHED, on=False)
    assert rig.device.requests[-1].form["data"] == f'{{"serial":"{SHED}","power":false}}'
    await rig.dtu.restart(SHED)
    assert rig.device.requests[-1].form["data"] == f'{{"serial":"{SHED}","restart":true}}'


async def test_reboot(rig: DtuRig) -> None:
    rig.answer({"/api/maintenance/reboot": {"type": "success", "message": "Reboot triggered!", "code": 6001}})
    await rig.dtu.reboot()
    assert rig.device.requests[-1].form["data"] == '{"reboot":true}'


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"type": "warning", "message": "Values are missing!", "code": 1005}, 1005),
        ({"type": "danger", "message": "x"}, None),
        ({"type": "Success", "code": "1001"}, None),
    ],
    ids=str,
)
async def test_status_200_without_success_is_a_refusal(
    rig: DtuRig, answer: dict[str, object], code: int | None
) -> None:
    rig.answer({"/api/limit/config": answer})
    with pytest.raises(DeviceRefusedError) as caught:
        await rig.dtu.set_limit(SHED, 100, minimum_w=40, rated_w=800)
    assert caught.value.code == code


@pytest.mark.parametrize("answer", [{}, [], "success", {"type": True}, {"type": None}], ids=str)
async def test_answer_without_a_verdict_is_no_success(rig: DtuRig, answer: object) -> None:
    rig.answer({"/api/limit/config": answer})
    with pytest.raises(DeviceAnswerError):
        await rig.dtu.set_limit(SHED, 100, minimum_w=40, rated_w=800)


# --- passwords, pauses, silence ---


async def test_password_check(rig: DtuRig) -> None:
    rig.device.login = BasicLogin(TOKEN)
    rig.answer({"/api/security/authenticate": {"type": "success", "message": "", "code": 10002}})
    await rig.dtu.check_password()
    with pytest.raises(DeviceAuthError, match=r"refuses the password: correct opendtu\.password") as caught:
        await rig.build(password=SecretStr("wrong")).check_password()
    assert "wrong" not in str(caught.value)
    with pytest.raises(DeviceAuthError, match=r"set opendtu\.password"):
        await rig.build(password=None).check_password()


async def test_wrong_password_stops_commands_but_not_the_reading_that_needs_none(rig: DtuRig) -> None:
    rig.device.login = BasicLogin("other")
    rig.device.open_paths = {LIVE, "/api/limit/status"}
    rig.answer({**NEW, "/api/limit/status": LIMITS})
    for pause_s in (60, 120):
        for _ in range(3):
            with pytest.raises(DeviceAuthError):
                await rig.dtu.set_limit(SHED, 100, minimum_w=40, rated_w=800)
            assert SHED in (await rig.dtu.live([SHED])).inverters
            await rig.dtu.limits()
        rig.clock.now_s += pause_s
    assert rig.device.paths.count("/api/limit/config") == 2


async def test_reading_that_needs_the_password_pauses_when_it_is_wrong(rig: DtuRig) -> None:
    rig.device.login = BasicLogin("other")
    for _ in range(3):
        with pytest.raises(DeviceAuthError):
            await rig.dtu.live([])
    assert rig.device.paths == [LIVE]


async def test_dtu_short_of_memory_is_left_alone_but_for_commands(rig: DtuRig) -> None:
    rig.answer({LIVE: text("Too Many Requests", 429, {"Retry-After": "60"}), "/api/limit/config": SUCCESS})
    for _ in range(3):
        with pytest.raises(DeviceBusyError) as caught:
            await rig.dtu.live([])
        assert caught.value.retry_after_s == 5
    assert rig.device.paths == [LIVE]
    await rig.dtu.set_limit(SHED, 100, minimum_w=40, rated_w=800)
    assert rig.device.paths == [LIVE, "/api/limit/config"]


async def test_reads_and_commands_never_overlap(rig: DtuRig) -> None:
    async def unhurried(_request: object) -> aiohttp.web.Response:
        await asyncio.sleep(0.01)
        return aiohttp.web.json_response(SUCCESS | {"inverters": []})

    rig.answer({})
    rig.device.answers = {LIVE: unhurried, "/api/limit/config": unhurried}
    await asyncio.gather(
        *(rig.dtu.live([]) for _ in range(3)),
        *(rig.dtu.set_limit(SHED, 100, minimum_w=40, rated_w=800) for _ in range(3)),
    )
    assert len(rig.device.requests) == 6
    assert rig.device.most_in_flight == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (text("null"), DeviceAnswerError),
        (text("<html>"), DeviceAnswerError),
        (text("Not found", 404), DeviceAnswerError),
        (document({"message": "500 Internal Server Error", "code": 1007, "type": "danger"}, 500), DeviceAnswerError),
        (document(SUCCESS, 500), DeviceAnswerError),
    ],
    ids=["null", "HTML", "404", "500", "success with 500"],
)
async def test_every_method_gives_a_device_error(rig: DtuRig, answer: object, error: type[DeviceError]) -> None:
    rig.device.answers = dict.fromkeys(
        [
            LIVE,
            "/api/limit/status",
            "/api/limit/config",
            "/api/power/config",
            "/api/maintenance/reboot",
            "/api/system/status",
            "/api/inverter/list",
            "/api/dtu/config",
            "/api/security/authenticate",
        ],
        answer,
    )
    dtu = rig.dtu
    for call in (
        dtu.live([SHED]),
        dtu.limits(),
        dtu.set_limit(SHED, 100, minimum_w=40, rated_w=800),
        dtu.set_power(SHED, on=True),
        dtu.restart(SHED),
        dtu.reboot(),
        dtu.system(),
        dtu.settings(),
        dtu.poll_interval_s(),
        dtu.check_password(),
    ):
        with pytest.raises(error):
            await call


async def test_stalled_answer_is_a_timeout(rig: DtuRig) -> None:
    rig.device.answers = {LIVE: rig.device.stall}
    with pytest.raises(DeviceTimeoutError):
        await rig.build(timeout_s=0.05).live([])


# --- anything at all ---


@settings(max_examples=400, deadline=None)
@given(data=st.data(), generation=st.sampled_from(["flat", "old", "new"]))
def test_damaged_answers_give_sound_values_or_a_device_error(data: st.DataObject, generation: str) -> None:
    answers: dict[str, Any] = {**{"old": OLD, "new": NEW, "flat": FLAT}[generation], "/api/limit/status": LIMITS}
    path = data.draw(st.sampled_from(sorted(answers)))
    answers[path] = data.draw(damaged(answers[path]))

    async def get(path: str) -> object:
        if answers.get(path) is None:
            raise DeviceAnswerError("404")
        return answers[path]

    async def read() -> None:
        async with aiohttp.ClientSession() as session:
            dtu = OpenDtu(Settings("127.0.0.1:9"), session, [SHED], Clock(1000.0))
            for door in (dtu._live, dtu._reads):
                door.get = get  # type: ignore[method-assign, assignment] # the transport has its own test
            with contextlib.suppress(DeviceError):
                live = await dtu.live([GARAGE, SHED, BALCONY])
                for status in live.inverters.values():
                    assert status.at_s <= status.answered_at_s
                    for value in (status.ac_power_w, status.dc_power_w, status.dc_current_a, status.yield_total_wh):
                        assert value is None or math.isfinite(value)
            with contextlib.suppress(DeviceError):
                for limit in (await dtu.limits()).values():
                    assert limit.limit_pct is None or 0 < limit.limit_pct <= 100
                    assert limit.rated_w is None or limit.rated_w > 0

    asyncio.run(read())


@settings(max_examples=40, deadline=None)
@given(answer=json_values)
def test_any_json_over_http_raises_nothing_but_a_device_error(answer: object) -> None:
    async def ask() -> None:
        async with running_device() as (device, session):
            paths = (LIVE, "/api/limit/status", "/api/inverter/list", "/api/dtu/config", "/api/system/status")
            device.answers = dict.fromkeys((*paths, "/api/limit/config"), document(answer))
            dtu = OpenDtu(Settings(device.host), session, [SHED], Clock(1000.0))
            for call in (dtu.live([SHED]), dtu.limits(), dtu.settings(), dtu.poll_interval_s(), dtu.system()):
                with contextlib.suppress(DeviceError):
                    await call
            with pytest.raises(DeviceError):
                await dtu.set_limit(SHED, 100, minimum_w=40, rated_w=800)

    asyncio.run(ask())
