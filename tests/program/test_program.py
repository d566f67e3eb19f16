"""The whole program as a user starts it, against the simulated devices behind real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from dataclasses import replace
from pathlib import Path

import pytest

from tests.doubles.clock import Clock
from tests.doubles.devices import LOAD_W, SERIALS, Devices, simulated
from tests.doubles.message_bus import Daemon
from tests.doubles.until import until
from tests.program.process import line, on_bus, resident_kb, run, running, start

pytestmark = pytest.mark.realtime

QUICK = "meter_hold_s = 2\nmeter_ramp_s = 4\nmeter_minimum_s = 6\nmeter_off_s = 9\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
async def test_regulates_and_leaves_the_inverters_at_their_minimum(
    devices: Devices, tmp_path: Path, number: signal.Signals
) -> None:
    house = devices.dtu.house
    async with running("--config", devices.config(tmp_path)) as program:
        await until(lambda: abs(house.grid_w - 10) < 30 and abs(sum(devices.limits_w) - LOAD_W) < 60)
        program.send_signal(number)
        _, log = await program.communicate()
        assert program.returncode == 0, log
    await until(lambda: devices.limits_w == [20, 20])
    assert devices.opendtu.max_in_flight == devices.meter.max_in_flight == 1
    assert devices.dtu.counters.persistent == 0
    assert devices.dtu.counters.raised_or_repeated_while_pending == 0
    assert b"stopping, inverters told minimum" in log
    assert b"WARNING" not in log


async def test_switches_off_on_leaving_when_told_so(devices: Devices, tmp_path: Path) -> None:
    async with running("--config", devices.config(tmp_path, control='on_stop = "off"\n')) as program:
        await until(lambda: devices.dtu.counters.limits > 0)
        program.terminate()
        assert await program.wait() == 0
    await until(lambda: not any(i.is_on for i in devices.dtu.house.inverters.values()))


async def test_silent_meter_takes_the_plant_down_the_ladder_and_back(devices: Devices, tmp_path: Path) -> None:
    house = devices.dtu.house
    async with running("--config", devices.config(tmp_path, control=QUICK)) as program:
        await until(lambda: abs(house.grid_w - 10) < 30)
        await devices.meter.stop()
        await until(lambda: house.output_w == 0)
        assert not any(inverter.is_on for inverter in house.inverters.values())
        await devices.meter.start()
        await until(lambda: abs(house.grid_w - 10) < 30)
        program.terminate()
        _, raw = await program.communicate()
    log = raw.decode()
    told = re.findall(r"(meter lost: (?:Shelly|off)|meter stale: \w+|meter back|over after)", log)
    assert told[:4] == ["meter lost: Shelly", "meter stale: ramp", "meter stale: minimum", "meter lost: off"]
    assert told[4:] == ["meter back", "over after", "meter lost: off"]


async def test_meter_that_answers_without_end_counts_as_silent_and_fills_no_memory(
    devices: Devices, tmp_path: Path
) -> None:
    house = devices.dtu.house
    port = int(devices.meter.host.split(":")[1])

    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"X-A: b\r\n" * 10_000)
                await writer.drain()
        writer.close()

    async with running("--config", devices.config(tmp_path, control=QUICK)) as program:
        await until(lambda: abs(house.grid_w - 10) < 30)
        before_kb = resident_kb(program.pid)
        await devices.meter.stop()
        async with await asyncio.start_server(endless, "127.0.0.1", port):
            await until(lambda: house.output_w == 0)
            assert resident_kb(program.pid) - before_kb < 20_000
            program.terminate()
            _, raw = await program.communicate()
    told = re.findall(r"meter stale: \w+|meter lost: off", raw.decode())
    assert told == ["meter stale: ramp", "meter stale: minimum", "meter lost: off"]


async def test_bus_that_dies_and_returns_does_not_disturb_the_regulation(devices: Devices, tmp_path: Path) -> None:
    house = devices.dtu.house
    daemon = Daemon(tmp_path)
    daemon.start()
    bus = str(daemon.address)
    try:
        async with running("--config", devices.config(tmp_path, bus=bus)) as program:
            await until(lambda: abs(house.grid_w - 10) < 30)
            await until(lambda: "double" in on_bus(bus, "/Ac/Power"))
            daemon.stop()
            house.load_w = [500.0]
            await until(lambda: abs(house.grid_w - 10) < 30)
            daemon.start()
            await until(lambda: "regulating" in on_bus(bus, "/Plan/Reason"))
            alarm = "digitalinput.opendtu_dcload"
            await until(lambda: "limit" in on_bus(bus, "/Health/LastCommand", alarm))
            assert on_bus(bus, "/Alarm", alarm).split() == ["variant", "int32", "0"]
            program.terminate()
            assert await program.wait() == 0
    finally:
        daemon.stop()


async def test_bus_that_never_answers_does_not_disturb_the_regulation(devices: Devices, tmp_path: Path) -> None:
    house = devices.dtu.house
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
        port = silent.getsockname()[1]
        async with running("--config", devices.config(tmp_path, bus=f"tcp:host=127.0.0.1,port={port}")) as program:
            await until(lambda: abs(house.grid_w - 10) < 30)
            house.load_w = [500.0]
            await until(lambda: abs(house.grid_w - 10) < 30)
            program.terminate()
            assert await program.wait() == 0


async def test_a_second_copy_waits_says_so_once_and_takes_over_when_the_first_is_killed(
    devices: Devices, tmp_path: Path
) -> None:
    config = devices.config(tmp_path)
    (tmp_path / "second").mkdir()
    later = devices.config(tmp_path / "second", control="target_w = 100\n")
    async with running("--config", config) as first:
        await until(lambda: abs(devices.dtu.house.grid_w) < 40)
        async with running("--config", later, "--live") as second:
            assert second.stderr is not None
            told = (await second.stderr.readline()).decode()
            assert f"commands inverter {SERIALS[0]} on this machine already: this one waits" in told
            dry = await start("--config", later, "--dry-run", "--live")
            assert dry.stdout is not None
            await dry.stdout.readline()
            dry.send_signal(signal.SIGTERM)
            assert await dry.wait() == 0
            await until(lambda: abs(devices.dtu.house.grid_w) < 40)
            first.kill()
            assert "has ended" in (await second.stderr.readline()).decode()
            await until(lambda: abs(devices.dtu.house.grid_w - 100) < 40)


async def test_a_copy_that_waits_ends_when_it_is_told_and_sends_nothing(devices: Devices, tmp_path: Path) -> None:
    config = devices.config(tmp_path)
    async with running("--config", config):
        await until(lambda: abs(devices.dtu.house.grid_w) < 40)
        async with running("--config", config) as second:
            assert second.stderr is not None
            await second.stderr.readline()
            second.send_signal(signal.SIGTERM)
            assert await second.wait() == 0
            assert sum(devices.limits_w) > 200, "it has told no inverter the minimum"


@pytest.mark.long
async def test_an_inverter_taken_off_the_list_is_told_its_minimum_and_never_again(
    devices: Devices, tmp_path: Path
) -> None:
    kept, taken = devices.serials
    async with running("--config", devices.config(tmp_path)) as program:
        await until(lambda: abs(devices.house.grid_w - 10) < 30)
        program.terminate()
        assert await program.wait() == 0
    await until(lambda: devices.house.output_w < 50)
    devices.opendtu.posted.clear()
    devices.serials = (kept,)
    async with running("--config", devices.config(tmp_path)) as program:
        await until(lambda: abs(devices.house.grid_w - 10) < 30)
        devices.house.load_w = [150.0]
        await until(lambda: devices.house.grid_w < -50)
        await until(lambda: abs(devices.house.grid_w - 10) < 30)
        program.terminate()
        assert await program.wait() == 0
    told = str(devices.opendtu.posted)
    assert kept in told
    assert taken not in told
    assert devices.limits_w[1] == 20


async def test_dry_run_decides_and_shows_by_given_names_but_commands_nothing(devices: Devices, tmp_path: Path) -> None:
    path = devices.config(tmp_path)
    path.write_text(path.read_text().replace("min_power_w", 'name = "W"\nmin_power_w', 1))
    async with running("--config", path, "--dry-run", "--live") as program:
        planned = r"grid +-?\d+ \+ W: +\d+ \+ HMS 2: +\d+ = load +\d+ W, set \d+ \| dry run: \w"
        while not re.match(planned, await line(program)):
            pass
        program.terminate()
        _, log = await program.communicate()
    assert devices.dtu.counters.limits == devices.dtu.counters.power == 0
    told = log.decode().splitlines()
    assert len(told) >= 2
    assert all(re.match(r"[A-Z]+ dry run: ", line) for line in told)
    assert "nothing is commanded" in told[1]


async def test_dry_run_is_marked_on_the_bus_where_its_set_points_stay_with_the_load(
    devices: Devices, tmp_path: Path
) -> None:
    daemon = Daemon(tmp_path)
    daemon.start()
    bus = str(daemon.address)
    told = re.compile(r"set (\d+)")
    try:
        async with running("--config", devices.config(tmp_path, bus=bus), "--dry-run", "--live") as program:
            await until(lambda: "dry run: regulating" in on_bus(bus, "/Plan/Reason"))
            await until(lambda: "dry run: regulating" in on_bus(bus, "/Reason", f"dcload.opendtu_{SERIALS[0]}"))
            await until(lambda: "dry run: regulating" in on_bus(bus, "/Plan/Reason", "digitalinput.opendtu_dcload"))

            async def planned_w() -> float:
                return sum(map(float, told.findall(await line(program))))

            while await planned_w() != pytest.approx(LOAD_W, abs=40):
                pass
            stays_w = [await planned_w() for _ in range(8)]
            assert "limit" not in on_bus(bus, "/Health/LastCommand", "digitalinput.opendtu_dcload")
            assert on_bus(bus, "/Alarm", "digitalinput.opendtu_dcload").split() == ["variant", "int32", "0"]
            program.terminate()
            assert await program.wait() == 0
    finally:
        daemon.stop()
    assert all(w == pytest.approx(LOAD_W, abs=60) for w in stays_w)
    assert devices.dtu.counters.limits == devices.dtu.counters.power == 0


async def test_a_name_that_the_terminal_cannot_show_ends_nothing(
    devices: Devices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    inverter = devices.dtu.house.inverters[SERIALS[0]]
    inverter.model = replace(inverter.model, name="\N{BLACK SUN WITH RAYS} S\N{LATIN SMALL LETTER U WITH DIAERESIS}d")
    path = devices.config(tmp_path)
    code, out, err = await run("check", "--config", path)
    assert (code, err) == (0, "")
    assert "\\u2600" in out
    async with running("--config", path, "--dry-run", "--live") as program:
        while "\\u2600" not in await line(program):
            pass
        program.terminate()
        assert await program.wait() == 0


async def test_live_line_that_nobody_reads_any_more_does_not_end_the_regulation(
    devices: Devices, tmp_path: Path
) -> None:
    house = devices.dtu.house
    reader, writer = os.pipe()
    argv = (sys.executable, "-m", "opendtu_dcload", "--config", str(devices.config(tmp_path)), "--live")
    program = await asyncio.create_subprocess_exec(*argv, stdout=writer, stderr=PIPE)
    os.close(writer)
    os.close(reader)
    try:
        await until(lambda: abs(house.grid_w - 10) < 30)
        program.terminate()
        _, log = await program.communicate()
    finally:
        if program.returncode is None:
            program.kill()
    assert program.returncode == 0
    assert b"Traceback" not in log
    assert log.count(b"the live line ends") == 1


async def test_program_that_fails_again_and_again_at_its_start_leaves_the_radio_alone(tmp_path: Path) -> None:
    async with simulated({"opendtu": SERIALS[:1]}, clock=Clock()) as devices:
        devices.meter.device = "pro3em-mono"  # two channels, and none is named
        path = devices.config(tmp_path)
        devices.dtu.post_limit(SERIALS[0], 0, 20.0)
        devices.dtu.advance(10.0)
        for _ in range(2):
            code, _, err = await run("--config", path)
            assert code == 2
            assert "meter.channel" in err
            assert "Traceback" not in err
        assert devices.dtu.counters.limits == 1


@pytest.mark.parametrize("is_writable", [True, False], ids=["a folder of its own", "a read-only one"])
async def test_the_seasonal_soc_is_kept_where_the_supervisor_says(
    devices: Devices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_writable: bool
) -> None:
    kept = tmp_path / "kept" if is_writable else Path("/proc")
    if is_writable:
        kept.mkdir()
    monkeypatch.setenv("STATE_DIRECTORY", str(kept))
    folder = tmp_path / "etc"
    folder.mkdir()
    path = devices.config(folder)
    path.write_text(path.read_text().replace("[battery]\n", "[battery]\nseasonal_min_soc = true\n"))
    async with running("--config", path) as program:
        await until(lambda: abs(devices.dtu.house.grid_w - 10) < 30)
        program.terminate()
        _, log = await program.communicate()
        assert program.returncode == 0
    assert (kept / "seasonal_soc.json").exists() == is_writable
    assert list(folder.iterdir()) == [path]
    assert log.count(b"seasonal_soc.json cannot be written") == (0 if is_writable else 1)
