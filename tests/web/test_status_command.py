"""The command `status` beside a real service: the same words, the same numbers, a sentence where there is none."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.config import parse_config
from opendtu_dcload.live.live_plant import LivePlant
from opendtu_dcload.live.live_text import flow_line, inverter_lines, live_line
from opendtu_dcload.live.live_words import all_words
from opendtu_dcload.status.remote_plant import RemotePlant
from opendtu_dcload.web.history.day_store import FILE_NAME
from opendtu_dcload.web.moment import Eye
from tests.doubles.devices import Devices
from tests.doubles.ports import free_port
from tests.program.process import line, run, running
from tests.web.served import SERIALS, Served, served, table

pytestmark = pytest.mark.realtime


@pytest.fixture
async def service(devices: Devices, tmp_path: Path) -> AsyncIterator[Path]:
    """A service that runs; yields its configuration."""
    config = devices.config(tmp_path, web=f'port = {free_port()}\ntoken = "a-token-of-these-tests"\n')
    async with running("--config", config, "--live") as program:
        while " regulating" not in await line(program):
            pass
        assert program.stdout is not None
        reading = asyncio.create_task(program.stdout.read())  # a full pipe would stop it
        yield config
        program.kill()
        await reading


async def test_it_tells_what_the_service_says(service: Path):
    code, out, err = await run("status", "--config", service)
    assert (code, err) == (0, "")
    head, flow, reason, first, second, *_, today = out.splitlines()
    assert head.startswith("opendtu_dcload ")
    assert flow.startswith("grid ")
    assert " = load " in flow
    assert reason
    assert first.startswith("  1 ")
    assert second.startswith("  2 ")
    assert today.startswith("today: exported ")
    code, out, err = await run("--config", service, "status", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["version"] == 1
    assert "a-token-of" not in out


async def test_what_was_counted_today_is_kept_when_the_service_ends(devices: Devices, tmp_path: Path):
    config = devices.config(tmp_path, web=f"port = {free_port()}\n")
    async with running("--config", config, "--live") as program:
        while " regulating" not in await line(program):
            pass
        assert not (tmp_path / FILE_NAME).exists()
        program.terminate()
        await program.communicate()
        assert program.returncode == 0
    (kept,) = (tmp_path / FILE_NAME).read_text().splitlines()
    assert json.loads(kept)["known_s"] > 0
    assert json.loads(kept)["commands"] > 0


async def test_it_is_watched_line_by_line(service: Path):
    async with running("status", "--watch", "--config", service) as watching:
        for _ in range(2):
            assert (await line(watching)).startswith("grid ")
            assert (await line(watching)).startswith("  1 ")
            assert (await line(watching)).startswith("  2 ")


async def refusal(config: Path, *options: str) -> str:
    code, out, err = await run("status", "--config", config, *options)
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    return err


@pytest.mark.parametrize("option", [[], ["--json"], ["--watch"]])
async def test_without_a_service_it_says_so(option: list[str], devices: Devices, tmp_path: Path):
    port = free_port()
    config = devices.config(tmp_path, web=f"port = {port}\n")
    assert f"no service answers at http://127.0.0.1:{port}/: start it" in await refusal(config, *option)


async def test_where_none_is_wanted_it_says_so(devices: Devices, tmp_path: Path):
    assert "web.enabled is false" in await refusal(devices.config(tmp_path))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "another program answers"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull", "another program answers"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n<htm>", "another program answers"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n", "another program answers"),
        (b"SSH-2.0-OpenSSH\r\n", "no service answers"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"version": 2, "program": {"name": "opendtu_dcload"}}', "of another version"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 1_100_000, "another program answers"),
    ],
)
async def test_what_is_not_this_program_is_not_shown(answer: bytes, says: str, devices: Devices, tmp_path: Path):
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

    async with await asyncio.start_server(other, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert says in await refusal(devices.config(tmp_path, web=f"port = {port}\n"))


async def test_the_live_line_of_a_remote_plant_is_that_of_the_plant(site: Served):
    eye = Eye(parse_config(table(site.port)), site.state)
    for moved_s in (0.0, 3.0, 20.0, 1000.0):
        site.clock.now_s += moved_s
        now_s = site.clock()
        remote = RemotePlant()
        document = await site.document()
        for inverter in document["inverters"]:  # the live line has the name that it has in its DTU
            inverter["name"] = f"HMS {inverter['serial'][-1]}"
        remote.take(document, now_s)
        here, there = (
            LivePlant.of(state, sources, now_s)
            for state, sources in ((site.state, eye._sources), (remote.state, remote.sources))
        )
        assert flow_line(there, 80) == flow_line(here, 80)
        if moved_s < 20:  # old numbers are not told, and so not how old they are
            assert all_words(remote.state, there, now_s) == all_words(site.state, here, now_s)
            assert inverter_lines(remote.state, there, now_s) == inverter_lines(site.state, here, now_s)


async def test_a_document_of_nonsense_is_a_plant_of_which_nothing_is_known(tmp_path: Path):
    async with served(tmp_path) as site:
        good = await site.document()
    spoilt: list[Any] = [None, [], {}, {"inverters": 5}, {"inverters": [None, 5, {}]}, {"plant": [], "meter": "x"}]
    for section in good:
        spoilt += [good | {section: wrong} for wrong in (None, [], "x", 5, {"reason": 5}, [{"serial": 5}])]
    for document in spoilt:
        remote = RemotePlant()
        remote.take(document, 1000.0)
        assert live_line(remote.state, remote.sources, 1000.0)
    assert SERIALS[0] in json.dumps(good)
