"""The program's commands, and what it says of mistakes."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from opendtu_dcload import __version__
from tests.doubles.devices import PASSWORD, SERIALS, Devices
from tests.doubles.until import until
from tests.program.process import run, running

pytestmark = pytest.mark.realtime


async def test_without_an_inverter_it_only_reads_and_offers_the_blocks(devices: Devices, tmp_path: Path) -> None:
    path = devices.config(tmp_path, inverters=False)
    async with running("--config", path) as program:
        assert program.stderr
        log = ""
        while SERIALS[1] not in log:
            log += (await program.stderr.readline()).decode()
        program.terminate()
        assert await program.wait() == 0
    assert f'[[inverter]]\nserial = "{SERIALS[0]}"  # HMS 1\n' in log
    code, out, _ = await run("check", "--config", path)
    assert code == 0
    assert f'[[inverter]]\nserial = "{SERIALS[0]}"  # HMS 1\n' in out
    assert devices.dtu.counters.limits == devices.dtu.counters.power == 0


async def test_check_names_what_it_found(devices: Devices, tmp_path: Path) -> None:
    code, out, err = await run("check", "--config", devices.config(tmp_path))
    assert (code, err) == (0, "")
    for words in ("meter SPEM-003CEBEU", "OpenDTU accepts the password", f"inverter {SERIALS[0]} 'HMS 1': 400 W rated"):
        assert words in out
    assert devices.dtu.counters.limits == devices.dtu.counters.power == 0


async def test_a_reader_who_leaves_early_costs_no_traceback(devices: Devices, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    argv = (sys.executable, "-m", "opendtu_dcload", "check", "--config", str(devices.config(tmp_path)))
    program = await asyncio.create_subprocess_exec(*argv, stdout=writing, stderr=PIPE)
    os.close(writing)
    _, err = await program.communicate()
    assert (program.returncode, err) == (1, b"")


async def test_check_says_what_is_wrong(devices: Devices, tmp_path: Path) -> None:
    await devices.meter.stop()
    path = devices.config(tmp_path, password="not-the-dtus")
    path.write_text(path.read_text().replace(SERIALS[1], "1124a0000009"))
    code, out, err = await run("check", "--config", path)
    problems = [line for line in out.splitlines() if line.startswith("problem")]
    assert (code, err) == (1, "")
    assert len(problems) == 3, problems
    assert "meter.host" in problems[0]
    assert "opendtu.password" in problems[1]
    assert "1124a0000009 is not known to the DTU" in problems[2]
    assert "not-the-dtus" not in out


async def test_wrong_password_is_one_sentence_without_the_password(devices: Devices, tmp_path: Path) -> None:
    async with running("--config", devices.config(tmp_path, password="wrong-one")) as program:
        assert program.stderr
        log = ""
        while "opendtu.password" not in log:
            line = (await program.stderr.readline()).decode()
            assert line, log
            log += line
        program.terminate()
        await program.wait()
    assert "wrong-one" not in log
    assert "Traceback" not in log


async def test_a_password_that_others_can_read_is_told_in_log_and_check(devices: Devices) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        os.chmod(name, 0o755)  # noqa: PTH101 - a name, as tempfile gives it
        path = devices.config(Path(name))
        path.chmod(0o644)
        advice = f"every user of this computer can read the password in {path}: chmod o-rwx {path}"
        async with running("--config", path) as program:
            await until(lambda: devices.dtu.counters.limits > 0)
            program.terminate()
            _, log = await program.communicate()
        assert log.decode().count(f"WARNING {advice}\n") == 1
        _, out, _ = await run("check", "--config", path)
        assert out.count(f"note     {advice}\n") == 1
        assert PASSWORD not in log.decode() + out


async def test_five_mistakes_are_reported_in_one_run(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[meter]\nhots = "192.168.1.50"\n'
        '[opendtu]\nhost = "192.168.1.51"\npassword = "secret"\n'
        '[[inverter]]\nserial = "1124a0000001"\nmin_power_w = 200\nmax_power_w = 100\n'
        '[control]\ntarget_w = "ten"\nmax_feed_in_w = nan\n[battery]\nmin_voltage_v = 48\n'
    )
    code, out, err = await run("--config", path)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert len(lines) == 5, lines
    for key in ("meter.hots", "meter.host", "control.target_w", "control.max_feed_in_w", "min_power_w"):
        assert any(key in line for line in lines), key
    assert "secret" not in err


@pytest.mark.parametrize("arguments", [("--config", "missing.toml"), ("check", "--config", "missing.toml")])
async def test_missing_configuration_is_one_sentence(arguments: tuple[str, ...]) -> None:
    code, _, err = await run(*arguments)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert "missing.toml" in err


async def test_version_is_told() -> None:
    code, out, _ = await run("--version")
    assert (code, out) == (0, f"opendtu-dcload {__version__}\n")
