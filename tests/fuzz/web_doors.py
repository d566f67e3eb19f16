"""What anybody in the network sends to the status page's port: the server of the program, on a connection in memory."""

from __future__ import annotations

import asyncio
import functools
import json
import math
import re
from datetime import date
from typing import Any

from pydantic import SecretStr

from opendtu_dcload.config import parse_config
from opendtu_dcload.model import UserOverrides
from opendtu_dcload.state import State
from opendtu_dcload.status.remote_plant import RemotePlant
from opendtu_dcload.status.status_text import summary
from opendtu_dcload.venus.gx.gx_controls import Controls, controls_of
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.web.assets import page
from opendtu_dcload.web.feed import Feed
from opendtu_dcload.web.gate import Gate
from opendtu_dcload.web.history.day_store import _day_of
from opendtu_dcload.web.history.history import History
from opendtu_dcload.web.set_points import SetPoints
from opendtu_dcload.web.site import Site
from opendtu_dcload.web.status_document import StatusDocument
from opendtu_dcload.web.web_server import WebServer, connection
from tests.config.correct_config import SECRET
from tests.doubles.memory_connection import MemoryConnection
from tests.fuzz.target import Target, check_number, check_text, run
from tests.web.served import CAP_W, SERIALS, fill, table

NOW_S = 1000.0
_TURNS = 12
"""So often the event loop goes round, which is more than any answer from memory takes."""
_ANSWER = re.compile(rb"HTTP/[0-9]\.[0-9] ([1-5][0-9][0-9]) ")
_PATHS = ("/", "/page.css", "/api/state", "/api/history", "/api/stream", "/api/set-points", "/healthz", "/metrics")


class _Door:
    """One server for all inputs; what an input has set is taken back. To be made while the event loop runs."""

    def __init__(self) -> None:
        config, state = parse_config(table(8099)), State()
        self.controls: Controls = _there(controls_of(config, state, LocalSettings(None, lambda: NOW_S)))
        fill(state, NOW_S)
        points = SetPoints(self.controls, config.control.target_w, config.control.max_feed_in_w)
        status = StatusDocument(config, state, lambda: NOW_S, lambda: points.document(may_write=True), is_dry=False)
        feed = Feed()
        history = History(status.eye, state, None, lambda: date(2026, 1, 1))
        site = Site(status, history, points, feed, state, lambda: NOW_S)
        self.feed = feed
        self.server = WebServer(site, Gate(SecretStr(SECRET), ()), feed, page(), "", 8099).made()

    def reset(self) -> None:
        controls = self.controls
        for control in (controls.regulation, controls.target, controls.feed_in, *controls.enabled.values()):
            control.take(control.setting.default)


def _there(controls: Controls | None) -> Controls:
    assert controls is not None
    return controls


@functools.cache
def _door() -> _Door:
    return _Door()


def _request(method: str, path: str, body: str = "", **headers: str) -> bytes:
    given = {"Host": "venus.local:8099", "Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in (given | headers).items())
    return f"{method} {path} HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def _requests() -> list[bytes]:
    wished: list[dict[str, Any]] = [
        {"is_regulating": False},
        {"grid_target_w": -50, "max_feed_in_w": 600},
        {"inverters": {SERIALS[0]: {"is_enabled": False}}},
    ]
    foreign = [_request("GET", "/api/state", Host="evil.example"), _request("PUT", "/api/set-points", "{}", Origin="x")]
    put = [_request("PUT", "/api/set-points", json.dumps(wish)) for wish in wished]
    got = [_request("GET", path) for path in _PATHS]
    chunked = _request("PUT", "/api/set-points").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    return [*got, *put, *foreign, put[0] + got[2], chunked + b'16\r\n{"is_regulating":false}\r\n0\r\n\r\n', b"\x16\x03"]


def _play_requests(data: bytes) -> bool:
    return run(_send(data))


async def _send(data: bytes) -> bool:
    door = _door()
    client = MemoryConnection(connection(door.server))
    client.say(data)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    sent = bytes(client.sent)
    client.close()
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    assert not sent or _ANSWER.match(sent), sent[:200]
    assert SECRET.encode() not in sent, "the token is told"
    assert b"mistake of the program" not in sent, sent
    assert b"Traceback" not in sent, sent
    assert not door.feed.is_heard, "a stream lives longer than its connection"
    set_now = door.controls.overrides()
    _check_overrides(set_now)
    door.reset()
    answer = _ANSWER.match(sent)
    return answer is not None and answer[1] == b"200"


def _check_overrides(overrides: UserOverrides) -> None:
    check_number(overrides.max_feed_in_w, 0, CAP_W)
    check_number(overrides.target_w, -500, 500)
    assert overrides.switched_off <= set(SERIALS)


def _play_document(data: bytes) -> bool:
    """Let `status` show an answer: the service at the port may be anything."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    for line in summary(document, "http://127.0.0.1:8099/", NOW_S):
        check_text(line)
    plant = RemotePlant()
    plant.take(document, NOW_S)
    return plant.state.meter is not None


def _documents() -> list[bytes]:
    return [run(_state())]


async def _state() -> bytes:
    client = MemoryConnection(connection(_door().server))
    client.say(_request("GET", "/api/state"))
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    client.close()
    return bytes(client.sent).partition(b"\r\n\r\n")[2]


def _play_day(data: bytes) -> bool:
    """Read a line of the days that are kept on disk."""
    day = _day_of(data)
    if day is None:
        return False
    check_text(day.date)
    for number in day[1:]:
        assert isinstance(number, float | int)
        assert math.isfinite(number)
        check_number(number, 0, 1e12)
    return True


def _days() -> list[bytes]:
    day = {"date": "2026-02-01", "exported_wh": 1.5, "avoidable_import_wh": 2, "imported_wh": 3.5, "commands": 4}
    return [json.dumps(day | {"known_s": 86400}).encode()]


TARGETS = (
    Target("web", _play_requests, _requests, share=15),
    Target("web_status", _play_document, _documents, share=5),
    Target("web_days", _play_day, _days, share=5),
)
