"""What OpenDTU answers, and the JSON behind all answers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast
from unittest.mock import patch

import aiohttp
from pydantic import SecretStr

from opendtu_dcload.devices import frames, json_fields
from opendtu_dcload.devices.opendtu.opendtu_answers import LARGEST_POWER_W
from opendtu_dcload.devices.opendtu.opendtu_client import KnownInverter, LiveData, LivePart, OpenDtu
from opendtu_dcload.errors import DeviceError
from opendtu_dcload.model import CommandState, InverterStatus, LimitStatus
from tests.config.correct_config import SECRET, SERIAL
from tests.devices.recorded.replay import recordings
from tests.doubles.clock import Clock
from tests.doubles.fake_device import Settings
from tests.fuzz.any_device import AnyDevice, AnyPush
from tests.fuzz.target import Target, as_lines, check_number, check_refusal, check_text, lines_of, run

_SERIAL = re.compile(r"[0-9a-f]{12}")
_NOW_S = 1e10


def _recorded() -> list[bytes]:
    return [
        as_lines({path: answer for path, answer in recording.items() if path.startswith("/")})
        for recording in recordings()
        if "/shelly" not in recording
    ]


def _play_dtu(data: bytes) -> bool:
    serials = _serials(data)
    return run(_use_dtu(_dtu(AnyDevice(data), serials), serials))


def _serials(data: bytes) -> list[str]:
    return [SERIAL, *re.findall(r'"serial": *"([0-9a-fA-F]{12})"', data.decode("utf-8", "replace"))[:4]]


def _dtu(session: object, serials: list[str]) -> OpenDtu:
    login = Settings("192.0.2.1", password=SecretStr(SECRET))
    return OpenDtu(login, cast(aiohttp.ClientSession, session), serials, Clock(_NOW_S))


async def _use_dtu(dtu: OpenDtu, serials: list[str]) -> bool:
    told = []
    uses: list[Callable[[], Awaitable[Any]]] = [
        lambda: dtu.live(serials),
        lambda: dtu.live_of(serials[-1]),
        dtu.limits,
        dtu.system,
        dtu.settings,
        dtu.poll_interval_s,
        dtu.check_password,
        lambda: dtu.set_limit(SERIAL, 210.0, minimum_w=40.0, rated_w=800.0),
        lambda: dtu.set_power(SERIAL, False),
    ]
    for use in uses:
        try:
            told.append(await use())
            _check_told(told[-1])
        except DeviceError as err:
            check_refusal(err)
    return any(isinstance(part, LiveData) and part.inverters for part in told)


def _check_told(told: object) -> None:
    match told:
        case LiveData():
            for inverter in told.known:
                _check_known(inverter)
            _check_statuses(told.inverters)
        case LivePart():
            check_text(told.spoilt)
            _check_statuses(told.inverters)
        case dict():
            for serial, limit in told.items():
                assert limit.serial == serial
                _check_limit(limit)
        case list():
            for settings in told:
                _check_known(settings)
                check_text(settings.type)
                check_number(settings.reachable_threshold, 0, 255)
        case float():
            check_number(told, 1, 86400)


def _check_statuses(inverters: Mapping[str, InverterStatus]) -> None:
    for serial, status in inverters.items():
        assert status.serial == serial
        _check_status(status)


def _check_known(inverter: KnownInverter) -> None:
    assert _SERIAL.fullmatch(inverter.serial)
    check_text(inverter.name)


def _check_status(status: InverterStatus) -> None:
    _check_known(KnownInverter(status.serial, status.name))
    check_number(status.at_s, _NOW_S - 2**32, _NOW_S)
    for power_w in (status.ac_power_w, status.dc_power_w):
        check_number(power_w, -LARGEST_POWER_W, LARGEST_POWER_W)
    for voltage_v in (status.ac_voltage_v, status.dc_voltage_v):
        check_number(voltage_v, 0, 1000)
    check_number(status.dc_current_a, -100, 100)
    check_number(status.temperature_c, -60, 200)
    check_number(status.yield_total_wh, 0, 1e10)


def _check_limit(limit: LimitStatus) -> None:
    assert _SERIAL.fullmatch(limit.serial)
    check_number(limit.limit_pct, 0.1, 100)
    check_number(limit.rated_w, 1, LARGEST_POWER_W)
    assert isinstance(limit.state, CommandState)


def _play_frames(data: bytes) -> bool:
    with patch.object(frames, "BETWEEN_S", 0.0):
        return run(_follow(_dtu(AnyPush(data), _serials(data))))


async def _follow(dtu: OpenDtu) -> bool:
    has_told = False
    try:
        async with contextlib.aclosing(dtu.pushed()) as parts:
            async for part in parts:
                _check_told(part)
                has_told |= bool(part.inverters)
    except DeviceError as err:
        check_refusal(err)
    return has_told


def _recorded_frames() -> list[bytes]:
    live = [lines_of(lines) for lines in _recorded()]
    return [b"\n".join(body for path, body in bodies.items() if path.startswith("/api/livedata")) for bodies in live]


def _play_json(data: bytes) -> bool:
    try:
        document = json_fields.document(data)
    except ValueError:
        return False
    assert document is not None
    for key in (*json_fields.keys(document), "power"):
        check_number(json_fields.number(document, key, -5.0, 5.0), -5.0, 5.0)
        check_number(json_fields.whole(document, key, 0, 255), 0, 255)
        assert json_fields.flag(document, key) in {None, True, False}
        check_text(json_fields.text(document, key))
        assert isinstance(json_fields.items(document, key), list)
    return True


def _recorded_bodies() -> list[bytes]:
    return [body for lines in _recorded() for body in lines_of(lines).values()]


TARGETS = (
    Target("opendtu", _play_dtu, _recorded, share=20),
    Target("opendtu_frames", _play_frames, _recorded_frames, share=10),
    Target("json", _play_json, _recorded_bodies, share=10),
)
