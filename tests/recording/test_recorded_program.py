"""The whole program over real HTTP, recorded by the setting, and decided again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opendtu_dcload.recording.replay import replay
from tests.doubles.devices import MAC, PASSWORD, SERIALS, Devices
from tests.doubles.until import until
from tests.program.process import running

pytestmark = pytest.mark.realtime

RECORD = "[log]\nrecord = true\n"


def recording_config(devices: Devices, folder: Path) -> Path:
    config = devices.config(folder)
    config.write_text(config.read_text() + RECORD)
    return config


def events(path: Path) -> list[str]:
    """Return what happened, by the lines that are written to their end."""
    return [next(iter(json.loads(line))) for line in path.read_text().split("\n")[:-1]]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_what_the_program_decided_is_decided_again_and_nothing_private_is_told(
    devices: Devices,
    tmp_path: Path,
) -> None:
    house, path = devices.dtu.house, tmp_path / "recording.jsonl"
    async with running("--config", recording_config(devices, tmp_path)) as program:
        await until(lambda: abs(house.grid_w - 10) < 30)
        house.load_w = [600.0]
        await until(lambda: abs(house.grid_w - 10) < 30)
        await devices.opendtu.stop()
        await until(lambda: "failed" in events(path) or '"dtu_silent"' in path.read_text())
        await devices.opendtu.start()
        house.load_w = [250.0]
        await until(lambda: abs(house.grid_w - 10) < 30)
        program.terminate()
        _, log = await program.communicate()
    assert f"{path} records what is seen and decided" in log.decode()
    outcome = replay(path)
    assert [str(difference) for difference in outcome.differences] == []
    assert outcome.decisions > 20
    told = path.read_text()
    assert {"unit", "posted", "taken"} <= set(events(path))
    assert events(path)[-1] == "left"
    private = (*SERIALS, MAC, PASSWORD, "HMS 1", devices.meter.host, devices.opendtu.host, "127.0.0.1")
    assert [name for name in private if name.lower() in told.lower()] == []


async def test_a_recording_that_is_there_is_kept_and_regulation_goes_on(
    devices: Devices,
    tmp_path: Path,
) -> None:
    path = tmp_path / "recording.jsonl"
    path.write_text("of the day before")
    async with running("--config", recording_config(devices, tmp_path)) as program:
        await until(lambda: devices.dtu.counters.limits > 0)
        program.terminate()
        _, log = await program.communicate()
    assert path.read_text() == "of the day before"
    assert f"nothing is recorded: {path} is there already; send it, or delete it and restart" in log.decode()


async def test_nothing_is_written_unless_it_is_wanted(devices: Devices, tmp_path: Path) -> None:
    config = devices.config(tmp_path)
    async with running("--config", config) as program:
        await until(lambda: devices.dtu.counters.limits > 0)
        program.terminate()
        await program.communicate()
    assert names(tmp_path) == [config.name]
