"""What may not be written is not written, whoever sends it, and the answer is a sentence."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from opendtu_dcload.model import UserOverrides
from tests.doubles.until import until
from tests.web.served import SERIALS, TOKEN, Served, served

pytestmark = pytest.mark.realtime

WRITES = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
GOOD = {
    "is_regulating": False,
    "grid_target_w": -20,
    "max_feed_in_w": 650,
    "inverters": {SERIALS[0]: {"is_enabled": False}},
}


class Row(NamedTuple):
    """What is different from a write that is taken; a header of None is left out."""

    status: int
    body: bytes = json.dumps(GOOD).encode()
    headers: Mapping[str, str | None] = {}


def says(**values: object) -> bytes:
    return json.dumps(values).encode()


ROWS = {
    "no token": Row(401, headers={"Authorization": None}),
    "wrong token": Row(401, headers={"Authorization": f"Bearer {TOKEN}x"}),
    "begin of the token": Row(401, headers={"Authorization": f"Bearer {TOKEN[:-1]}"}),
    "empty token": Row(401, headers={"Authorization": "Bearer "}),
    "token that is no ASCII": Row(401, headers={"Authorization": "Bearer " + 20 * "\xe4"}),
    "token as a password": Row(401, headers={"Authorization": f"Basic {TOKEN}"}),
    "token in a cookie": Row(401, headers={"Authorization": None, "Cookie": f"token={TOKEN}"}),
    "foreign origin": Row(403, headers={"Origin": "http://evil.example"}),
    "no origin of its own": Row(403, headers={"Origin": "null"}),
    "origin at another port": Row(403, headers={"Origin": "http://127.0.0.1:1"}),
    "origin of half an address": Row(403, headers={"Origin": "http://["}),
    "empty origin": Row(403, headers={"Origin": ""}),
    "origin beside a user": Row(403, headers={"Origin": "http://evil.example@127.0.0.1"}),
    "cross site": Row(403, headers={"Sec-Fetch-Site": "cross-site"}),
    "same site, other origin": Row(403, headers={"Sec-Fetch-Site": "same-site"}),
    "foreign host": Row(403, headers={"Host": "evil.example"}),
    "foreign host that looks like ours": Row(403, headers={"Host": "127.0.0.1.evil.example"}),
    "form": Row(415, headers={"Content-Type": "application/x-www-form-urlencoded"}),
    "text": Row(415, headers={"Content-Type": "text/plain"}),
    "no content type": Row(415, headers={"Content-Type": ""}),
    "too large": Row(413, b'{"grid_target_w": ' + b" " * 5000 + b"1}"),
    "compressed": Row(422, b"\x1f\x8b\x08\x00" + bytes(40), {"Content-Encoding": "gzip"}),
    "nothing": Row(422, b""),
    "no JSON": Row(422, b"grid_target_w=5"),
    "no UTF-8": Row(422, b'{"grid_target_w": "\xff"}'),
    "null": Row(422, b"null"),
    "list": Row(422, b"[1]"),
    "empty object": Row(422, b"{}"),
    "deep JSON": Row(422, b'{"inverters": ' + b"[" * 2000 + b"]" * 2000 + b"}"),
    "unknown name": Row(422, says(grid_target_w=5, cap_w=9000)),
    "regulating as a number": Row(422, says(is_regulating=1)),
    "regulating as text": Row(422, says(is_regulating="true")),
    "target as text": Row(422, says(grid_target_w="5")),
    "target as a flag": Row(422, says(grid_target_w=True)),
    "target of nothing": Row(422, says(grid_target_w=None)),
    "target too low": Row(422, says(grid_target_w=-501)),
    "target too high": Row(422, says(grid_target_w=501)),
    "target NaN": Row(422, b'{"grid_target_w": NaN}'),
    "target infinite": Row(422, b'{"grid_target_w": 1e400}'),
    "target of minus infinity": Row(422, b'{"grid_target_w": -Infinity}'),
    "target of a thousand digits": Row(422, b'{"grid_target_w": ' + b"9" * 1000 + b"}"),
    "target of more digits than Python reads": Row(413, b'{"grid_target_w": ' + b"9" * 5000 + b"}"),
    "feed-in above the file's": Row(422, says(max_feed_in_w=801)),
    "feed-in below nothing": Row(422, says(max_feed_in_w=-1)),
    "good beside bad": Row(422, says(is_regulating=False, max_feed_in_w=100, grid_target_w=1e9)),
    "unknown serial": Row(422, says(inverters={"1124a0000003": {"is_enabled": False}})),
    "inverters as a list": Row(422, says(inverters=[SERIALS[0]])),
    "inverter as a flag": Row(422, says(inverters={SERIALS[0]: False})),
    "inverter with something else": Row(422, says(inverters={SERIALS[0]: {"is_enabled": True, "limit_w": 1}})),
    "inverter as a number": Row(422, says(inverters={SERIALS[0]: {"is_enabled": 0}})),
    "one inverter good, one unknown": Row(
        422, says(inverters={SERIALS[0]: {"is_enabled": False}, "x": {"is_enabled": False}})
    ),
}


@pytest.mark.parametrize("name", ROWS)
async def test_a_write_that_is_refused_changes_nothing(name: str, site: Served, caplog: pytest.LogCaptureFixture):
    row = ROWS[name]
    headers = {key: value for key, value in (WRITES | dict(row.headers)).items() if value is not None}
    with caplog.at_level(logging.DEBUG):
        status, text = await site.put(row.body, headers)
    assert status == row.status, text
    sentence = text.removesuffix("\n")
    assert sentence.isprintable()
    assert 10 < len(sentence) < 200
    assert TOKEN not in text + caplog.text
    assert not caplog.records, "what a stranger sends is no news"
    assert site.controls is not None
    assert site.controls.overrides() == UserOverrides()


async def test_the_same_write_without_a_fault_is_taken(site: Served):
    status, text = await site.put(ROWS["no token"].body, WRITES | {"Origin": f"http://{site.host}"})
    assert status == 200, text
    assert json.loads(text) == GOOD | {
        "may_write": True,
        "inverters": {SERIALS[0]: {"is_enabled": False}, SERIALS[1]: {"is_enabled": True}},
    }
    await until(lambda: site.state.overrides != UserOverrides())
    assert site.state.overrides == UserOverrides(
        is_regulating=False, max_feed_in_w=650.0, target_w=-20.0, switched_off=frozenset([SERIALS[0]])
    )
    assert (await site.document())["set_points"] == json.loads(text)


@pytest.mark.parametrize("edge", [says(grid_target_w=-500), says(grid_target_w=500.0), says(max_feed_in_w=0)])
async def test_the_ends_of_the_ranges_may_be_set(edge: bytes, site: Served):
    status, text = await site.put(edge, WRITES)
    assert status == 200, text
    assert json.loads(edge).items() <= json.loads(text).items()


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE", "OPTIONS", "HEAD"])
async def test_only_put_writes(method: str, site: Served):
    async with site.session.request(
        method, site.url("/api/set-points"), data=json.dumps(GOOD), headers=WRITES
    ) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "PUT")
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert site.controls is not None
    assert site.controls.overrides() == UserOverrides()


@pytest.mark.parametrize("path", ["/api/state", "/api/history", "/metrics", "/healthz", "/"])
async def test_nothing_else_can_be_written_to(path: str, site: Served):
    async with site.session.put(site.url(path), data=json.dumps(GOOD), headers=WRITES) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


async def test_without_a_token_nobody_writes(tmp_path: Path):
    async with served(tmp_path, token="") as site:
        for tried in (f"Bearer {TOKEN}", "Bearer ", "Bearer"):
            status, text = await site.put(json.dumps(GOOD).encode(), WRITES | {"Authorization": tried})
            assert (status, "web.token" in text) == (403, True)
        assert (await site.document())["set_points"]["may_write"] is False
        assert site.controls is not None
        assert site.controls.overrides() == UserOverrides()


async def test_a_write_that_stops_half_way_is_given_up(site: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("opendtu_dcload.web.web_server.BODY_S", 0.1)
    head = "".join(f"{name}: {value}\r\n" for name, value in WRITES.items())
    start = f"PUT /api/set-points HTTP/1.1\r\nHost: {site.host}\r\n{head}Content-Length: 200\r\n\r\n" + '{"grid'
    answer = await site.raw(start.encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
