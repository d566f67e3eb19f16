"""What is told: the documents, only to who may hear them, and nothing that does not count any more."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.control.bookkeeping.alarms import RULES
from opendtu_dcload.freshness import PLAN_S
from opendtu_dcload.model import Reason
from tests.web.served import PASSWORD, SERIALS, TOKEN, Served, fill, served

pytestmark = pytest.mark.realtime

PATHS = ("/", "/api/state", "/api/history", "/healthz", "/metrics", "/nothing")


async def test_the_state_is_told_by_name(site: Served):
    state = await site.document()
    assert state["version"] == 1
    assert abs((datetime.fromisoformat(state["at"]) - datetime.now(UTC)).total_seconds()) < 60
    assert state["program"] | {"uptime_s": 0, "version": ""} == {
        "name": "opendtu_dcload",
        "version": "",
        "uptime_s": 0,
        "is_dry": False,
    }
    assert state["plant"] == {
        "grid_w": 123,
        "load_w": 519,
        "output_w": 396,
        "set_point_w": 400,
        "cap_w": 800,
        "grid_target_w": 0,
        "room_w": 350,
        "saved_w": 119,
        "commands_last_hour": 3,
        "commands_per_hour": 300,
        "reason": {"name": "REGULATING", "text": "regulating", "link": "/reasons.html#REGULATING"},
        "wait": "saves commands",
    }
    assert state["meter"] == {
        "name": "Shelly Pro 3EM",
        "model": "Shelly Pro 3EM",
        "address": "192.0.2.1",
        "age_s": 0.0,
        "is_fresh": True,
        "phases_w": [100.0, 23.4, None],
    }
    assert state["battery"] == {
        "soc_pct": 54.5,
        "voltage_v": 52.31,
        "current_a": -8.1,
        "power_w": -423,
        "temperature_c": 21.5,
        "age_s": 0.0,
        "source": "com.victronenergy.battery.ttyO1",
    }
    assert state["inverters"][0] == {
        "serial": SERIALS[0],
        "name": "Garage",
        "is_on": True,
        "output_w": 198.2,
        "limit_w": 200.0,
        "told_w": 200.0,
        "rated_w": 400,
        "dc_power_w": 210.0,
        "dc_voltage_v": 52.1,
        "temperature_c": 31.5,
        "yield_total_wh": 1234,
        "age_s": 0.0,
        "commands": 3,
        "commands_failed": 1,
        "is_fresh": True,
        "is_reachable": True,
        "is_enabled": True,
        "note": "",
        "last_command": "limit 200 W",
        "last_outcome": "ACKNOWLEDGED",
        "last_command_age_s": 5,
    }
    assert [device["health"] for device in state["devices"]] == ["well"] * 5
    assert [device["kind"] for device in state["devices"]] == ["meter", "dtu", "inverter", "inverter", "battery"]
    assert state["alarms"] == [
        {
            "cause": "INVERTER_WARM",
            "subject": SERIALS[1],
            "severity": "warning",
            "text": "Inverter hot: HMS 2",
            "since_s": 60,
            "link": "/reasons.html#alarm-INVERTER_WARM",
        }
    ]
    assert state["solar"] is None
    assert state["today"] == {"exported_wh": 12.3, "avoidable_import_wh": 45.6, "imported_wh": 78.9, "commands": 3}
    assert state["days"] == []


def numbers_in(part: Any) -> dict[str, Any]:
    return {key: value for key, value in part.items() if isinstance(value, int | float) and key not in KNOWN_ANYWAY}


KNOWN_ANYWAY = {"age_s", "is_fresh", "is_enabled", "is_reachable", "last_command_age_s", "commands", "commands_failed"}
OF_THE_FILE = {"grid_target_w", "commands_per_hour", "commands_last_hour"}


async def test_what_is_old_is_not_told(site: Served):
    site.clock.now_s += 1000
    state = await site.document()
    assert numbers_in(state["plant"]).keys() <= OF_THE_FILE
    assert numbers_in(state["battery"]) == {}
    for inverter in state["inverters"]:
        assert numbers_in(inverter) == {}
        assert (inverter["is_fresh"], inverter["is_on"]) == (False, None)
        assert inverter["age_s"] == 1000
    assert state["meter"] | {"name": "", "model": "", "address": ""} == {
        "name": "",
        "model": "",
        "address": "",
        "age_s": 1000.0,
        "is_fresh": False,
        "phases_w": [None, None, None],
    }
    assert state["plant"]["reason"]["name"] == "NO_DECISION"
    assert state["plant"]["wait"] is None
    assert [device["health"] for device in state["devices"]] == ["old", "lost", "old", "old", "lost"]
    fill(site.state, site.clock())
    site.clock.now_s += 1.0  # what was told stays for a second
    assert (await site.document())["plant"]["reason"]["name"] == "REGULATING"


async def test_what_was_counted_today_outlives_an_orderly_restart(tmp_path: Path):
    async with served(tmp_path) as site:
        await until_equal(site, {"exported_wh": 12.3, "commands": 3})
    async with served(tmp_path) as site:
        await until_equal(site, {"exported_wh": 24.6, "commands": 6})
        assert (await site.document())["days"] == []
    async with served(tmp_path, is_dry=True) as site:
        await until_equal(site, {"exported_wh": 12.3, "commands": 3})


async def until_equal(site: Served, today: dict[str, float]) -> None:
    """Wait until that was counted today."""
    while True:
        site.clock.now_s += 1.0  # what was told stays for a second
        told = (await site.document())["today"]
        if {name: told[name] for name in today} == today:
            return


async def test_how_long_something_is_silent_is_told_in_words_for_people(site: Served):
    site.clock.now_s += 129600
    state = await site.document()
    silent = "no good answer for 36 h"
    told = [device["text"] for device in state["devices"]]
    assert told == [silent, silent, "last heard of 36 h ago", "last heard of 36 h ago", silent]
    assert state["plant"]["reason"]["text"] == "no decision for 36 h"
    assert await site.get("/healthz") == (503, "nothing was decided for 36 h")


async def test_the_health_is_that_of_the_control(site: Served):
    assert await site.get("/healthz") == (200, "ok")
    site.clock.now_s += PLAN_S + 2
    assert await site.get("/healthz") == (503, f"nothing was decided for {PLAN_S + 2:.0f} s")
    site.state.plan = None
    assert await site.get("/healthz") == (503, "nothing was decided yet")
    site.clock.now_s += 1.0
    assert (await site.document())["plant"]["reason"]["name"] == Reason.STARTING.name


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_forbids_what_a_foreign_page_could_do_with_it(path: str, site: Served):
    for headers in ({}, {"Host": "evil.example"}):
        async with site.session.get(site.url(path), headers=headers) as answer:
            told = answer.headers
    assert told["Content-Security-Policy"].startswith("default-src 'self';")
    assert "frame-ancestors 'none'" in told["Content-Security-Policy"]
    assert "unsafe" not in told["Content-Security-Policy"]
    assert told["X-Content-Type-Options"] == "nosniff"
    assert told["Referrer-Policy"] == "no-referrer"
    assert told["Server"] == "opendtu_dcload"
    assert not [name for name in told if name.startswith("Access-Control-") or name == "Set-Cookie"]


OURS = (
    *("127.0.0.1", "127.0.0.1:1", "192.168.1.7:8099", "[::1]:8099", "[fe80::1]", "localhost", "LOCALHOST:80"),
    *("venus", "venus.local", "Venus.Local.:8099", socket.gethostname(), "solar.fritz.box"),
)
FOREIGN = (
    *("evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "localhost.evil.example", "local.example"),
    *("venus.local.example", "1.2.3", "0x7f.1", "", "[::1].evil.example", "a b", "evil.example:127.0.0.1"),
    *("http://127.0.0.1", "fritz.box", "[]", "[1.2.3]"),
)


@pytest.mark.parametrize("host", OURS)
async def test_a_name_that_nobody_else_can_have_is_answered_to(host: str, tmp_path: Path):
    async with served(tmp_path, names=["solar.fritz.box"]) as site:
        assert (await site.get("/api/state", Host=host))[0] == 200


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("path", PATHS)
async def test_a_foreign_name_is_not_answered_to(host: str, path: str, site: Served):
    status, text = await site.get(path, Host=host)
    assert (status, "web.names" in text) == (403, True)


@pytest.mark.parametrize(
    "lines", ["", "Host: 127.0.0.1\r\nHost: evil.example\r\n", "Host: evil.example\r\nHost: 127.0.0.1\r\n"]
)
async def test_no_host_or_two_are_not_answered_to(lines: str, site: Served):
    answer = await site.raw(f"GET /api/state HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
    assert answer.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert b"grid_w" not in answer


ELSEWHERE = (
    *("/../config.toml", "/page.css/../../config.toml", "/%2e%2e/config.toml", "//etc/passwd", "/index.html/"),
    *("/__init__.py", "/page/page.js"),
)


@pytest.mark.parametrize("path", ELSEWHERE)
async def test_only_the_files_of_the_page_can_be_had(path: str, site: Served):
    answer = await site.raw(f"GET {path} HTTP/1.1\r\nHost: {site.host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404 ")


async def test_the_page_is_there_with_all_it_asks_for(site: Served):
    async with site.session.get(site.url("/")) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
    for path, kind in (("/page.css", "text/css"), ("/page.js", "text/javascript"), ("/icon.svg", "image/svg+xml")):
        async with site.session.get(site.url(path)) as answer:
            assert (answer.status, answer.content_type) == (200, kind)
    async with site.session.head(site.url("/")) as answer:
        assert (answer.status, await answer.read()) == (200, b"")


async def test_the_page_explains_every_reason_and_alarm(site: Served):
    _, page = await site.get("/reasons.html")
    names = [*(reason.name for reason in Reason), *(f"alarm-{cause.name}" for cause in RULES)]
    assert [name for name in names if f'id="{name}"' not in page] == []


async def test_no_secret_is_told(site: Served):
    for path in PATHS:
        _, text = await site.get(path)
        assert TOKEN not in text
        assert PASSWORD not in text


async def test_a_dry_run_says_so(tmp_path: Path):
    async with served(tmp_path, is_dry=True) as site:
        assert (await site.document())["program"]["is_dry"] is True


async def test_a_mistake_of_ours_costs_an_answer_and_no_more(
    site: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(*_: object) -> str:
        raise ZeroDivisionError(TOKEN)

    monkeypatch.setattr("opendtu_dcload.web.site.metrics", fail)
    assert await site.get("/metrics") == (500, "a mistake of the program\n")
    assert (await site.get("/api/state"))[0] == 200
    assert [record.getMessage() for record in caplog.records] == [
        "/metrics was not answered (ZeroDivisionError): please report this"
    ]
