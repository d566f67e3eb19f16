"""`init`: a first config.toml from the devices."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import select
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import tomli

from opendtu_dcload import cli
from opendtu_dcload.config import load_config
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.init.first_config import FirstConfig, Given
from opendtu_dcload.doctor.questions import Ask
from opendtu_dcload.errors import ConfigError, DeviceError
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from tests.doctor.original_config import OLD
from tests.doctor.plant import plant
from tests.doctor.told import notes, problems, silent
from tests.doubles.devices import PASSWORD, SERIALS, Devices

ROOT = Path(__file__).parents[2]
SHIPPED = (ROOT / "config.toml").read_text(encoding="utf-8")


class Answers:
    """Somebody at a terminal."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.questions: list[str] = []

    def __call__(self, question: str) -> str:
        self.questions.append(question)
        return next((answer for words, answer in self.answers.items() if words in question.replace(" ", "_")), "")


async def init(plant: Devices, path: Path, ask: Ask | None = None, *, password: bool = True) -> Findings:
    given = Given(plant.meter.host, plant.opendtu.host)
    if password:
        (path.parent / "dtu.txt").write_text(f"{PASSWORD}\n")
        given = Given(plant.meter.host, plant.opendtu.host, path.parent / "dtu.txt")
    findings = silent()
    await FirstConfig(path, given, ask, ask, findings).write()
    return findings


async def test_from_two_addresses_comes_a_file_that_wants_nothing_but_the_battery_floor(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant(poll_interval_s=7.0) as devices:
        findings = await init(devices, path)
        assert devices.opendtu.posted == []
        host = devices.opendtu.host
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["battery.min_voltage_v"]
    text = path.read_text()
    path.write_text(text.replace("min_voltage_v = 0 ", "min_voltage_v = 48 "))
    config = load_config(path)
    assert tuple(inverter.serial for inverter in config.inverters) == SERIALS
    assert config.dtus[0].host == host
    assert config.dtus[0].poll_interval_s == 7.0
    assert config.dtus[0].password_file == "dtu.txt"
    assert config.dtus[0].password is not None
    assert PASSWORD not in text
    assert "# HMS 1, HMS-400-1T, 400 W, 5" in text
    assert "# The battery's voltage when this file was made: 5" in text
    assert problems(findings) == []


async def test_the_comments_of_the_shipped_file_stay(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices:
        await init(devices, path)
    written = path.read_text()
    comments = [line.partition("# ")[2] for line in SHIPPED.splitlines() if "# " in line]
    changed = {comment for comment in comments if comment not in written}
    assert changed == {'the 12 digits that OpenDTU shows, such as "116190001234"'}
    assert len(comments) > 40


async def test_at_a_terminal_it_asks_which_inverters_and_the_floor(tmp_path: Path):
    path = tmp_path / "config.toml"
    ask = Answers(password=PASSWORD, Which="1", Battery="47.5")
    async with plant() as devices:
        await init(devices, path, ask, password=False)
    config = load_config(path)
    assert [inverter.serial for inverter in config.inverters] == [SERIALS[0]]
    assert config.battery.min_voltage_v == 47.5
    assert f'#serial = "{SERIALS[1]}"' in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_what_was_written_passes_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("opendtu_dcload.doctor.checks.check.WATCHED_S", 0)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path / 'nobody'}")
    path = tmp_path / "config.toml"
    ask = Answers(password=PASSWORD, Battery="40")
    async with plant() as devices:
        findings = await init(devices, path, ask, password=False)
        assert await asyncio.to_thread(cli.main, ["check", "--config", str(path)]) == 0
    assert any("dbus.enabled is set to false" in note for note in notes(findings))
    assert load_config(path).dbus.enabled is False


async def test_an_address_may_be_pasted_from_the_browser_or_stand_in_quotes(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices:
        given = Given(f"http://{devices.meter.host}/", f'"{devices.opendtu.host}"')
        await FirstConfig(path, given, None, None, silent()).write()
        table = tomli.loads(path.read_text())
        assert table["meter"]["host"] == devices.meter.host
        assert table["opendtu"]["host"] == devices.opendtu.host


async def test_nonsense_as_a_floor_is_asked_again_and_never_written(tmp_path: Path):
    path = tmp_path / "config.toml"
    answers = iter(["nan", "inf", "forty", "1e9", "5", "48.5"])
    async with plant() as devices:
        await init(devices, path, lambda question: next(answers) if "Battery" in question else "")
    assert tomli.loads(path.read_text())["battery"]["min_voltage_v"] == 48.5


@pytest.mark.parametrize("ask", [None, Answers()], ids=["nobody to ask", "no answer"])
async def test_a_meter_with_several_channels_leaves_the_choice_to_the_user(tmp_path: Path, ask: Ask | None):
    path = tmp_path / "config.toml"
    async with plant() as devices, Gen2Server(devices.dtu, devices.clock, device="pro3em-mono") as meter:
        devices.meter = meter
        findings = await init(devices, path, ask)
    assert any('channel = "0" or "1" or "2" or "sum"' in note for note in notes(findings))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert any("meter.channel" in problem for problem in caught.value.problems)


async def test_the_channel_that_the_user_names_is_written(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices, Gen2Server(devices.dtu, devices.clock, device="pro3em-mono") as meter:
        devices.meter = meter
        await init(devices, path, Answers(Channel="sum", Battery="40"))
    assert load_config(path).meter.channel == "sum"


async def test_a_shelly_with_a_password_is_asked_with_it(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices, Gen2Server(devices.dtu, devices.clock, password="of-the-shelly") as meter:
        devices.meter = meter
        findings = await init(devices, path, Answers(Shelly="of-the-shelly", Battery="40"))
        locked = tmp_path / "locked.toml"
        told = await init(devices, locked)
    assert problems(findings) == []
    password = load_config(path).meter.password
    assert password is not None
    assert password.get_secret_value() == "of-the-shelly"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "meter.password" in problems(told)[0]


async def test_a_device_that_does_not_answer_ends_it_without_a_file(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices:
        await devices.meter.stop()
        with pytest.raises(DeviceError, match=r"meter\.host"):
            await init(devices, path)
    assert not path.exists()


async def test_a_wrong_password_is_told_and_the_rest_is_written(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant(password="another") as devices:
        findings = await init(devices, path)
    assert "opendtu.password" in problems(findings)[0]
    assert path.exists()


async def unattended(devices: Devices, path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `init` says at last where nobody can answer it; it must say that it failed."""
    (path.parent / "dtu.txt").write_text(f"{PASSWORD}\n")
    given = ["--meter", devices.meter.host, "--opendtu", devices.opendtu.host]
    arguments = ["init", "--config", str(path), *given, "--password-file", str(path.parent / "dtu.txt")]
    assert await asyncio.to_thread(cli.main, arguments) == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    return sentence


async def test_without_a_terminal_a_refused_password_fails_and_says_that_the_file_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "config.toml"
    async with plant(password="another") as devices:
        said = await unattended(devices, path, capsys)
    assert f"{path} is written, but" in said
    assert "correct opendtu.password" in said
    assert path.exists()


async def test_without_a_terminal_a_refused_password_of_the_meter_fails_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "config.toml"
    async with plant() as devices, Gen2Server(devices.dtu, devices.clock, password="of-the-shelly") as meter:
        devices.meter = meter
        said = await unattended(devices, path, capsys)
    assert f"{path} is written, but" in said
    assert "meter.password" in said


async def test_without_a_terminal_an_opendtu_without_inverters_fails_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "config.toml"
    async with plant(count=0, limits_w=()) as devices:
        said = await unattended(devices, path, capsys)
    assert f"{path} is written, but" in said
    assert "add it in OpenDTU, Settings, Inverter" in said


@pytest.mark.parametrize("silent_one", ["meter", "opendtu"])
async def test_without_a_terminal_a_device_that_is_silent_fails_and_nothing_is_written(
    tmp_path: Path, silent_one: str, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "config.toml"
    async with plant() as devices:
        await getattr(devices, silent_one).stop()
        said = await unattended(devices, path, capsys)
    assert f"{silent_one}.host" in said
    assert f"{path} is not written" in said
    assert not path.exists()


@pytest.mark.parametrize("command", ["init", "import-config"])
def test_a_file_is_never_overwritten(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "config.toml"
    path.write_text("mine")
    old = tmp_path / "config.ini"
    old.write_text(OLD)
    arguments = {"init": ["--meter", "127.0.0.1:1", "--opendtu", "127.0.0.1:1"], "import-config": [str(old)]}[command]
    assert cli.main([command, "--config", str(path), *arguments]) == 2
    assert "not overwritten" in capsys.readouterr().err
    assert path.read_text() == "mine"


async def test_the_untouched_file_of_an_installer_is_filled_in_and_keeps_its_readers(tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_text(SHIPPED)
    path.chmod(0o644)
    shared = path.stat().st_ino
    async with plant() as devices:
        ask = Answers(password=PASSWORD, Battery="40")
        await init(devices, path, ask, password=False)
        with pytest.raises(ConfigError, match="not overwritten"):
            await init(devices, path, password=False)
        own = ROOT / "config.toml"
        with pytest.raises(ConfigError, match="not overwritten"):
            await FirstConfig(own, Given("127.0.0.1:1", "127.0.0.1:1"), None, None, silent()).write()
    assert load_config(path).battery.min_voltage_v == 40
    assert (path.stat().st_ino, stat.S_IMODE(path.stat().st_mode)) == (shared, 0o640)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "add --meter HOST"),
        (["--meter", "192.168.1.50"], "add --opendtu HOST"),
        (["--config", "/no/folder/config.toml"], "there is no folder /no/folder"),
        (["--meter", "192.168.1.50/rpc", "--opendtu", "192.168.1.51"], "meter.host"),
        (["--meter", "a", "--opendtu", "b", "--password-file", "missing.txt"], "there is no such file"),
    ],
)
def test_without_a_terminal_what_is_missing_is_one_sentence(
    tmp_path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
):
    assert cli.main(["init", "--config", str(tmp_path / "config.toml"), *arguments]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "config.toml").exists()


@pytest.mark.parametrize("end", [b"\x03", b"\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_who_leaves_a_question_leaves_no_file(tmp_path: Path, end: bytes):
    terminal, theirs = pty.openpty()
    argv = [sys.executable, "-m", "opendtu_dcload", "init", "--config", str(tmp_path / "config.toml")]
    lead = (
        "import os, sys, fcntl, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    with subprocess.Popen([sys.executable, "-c", lead, *argv], stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            said = b""
            while b"Address of the Shelly (gx = the GX's own grid meter" not in said:
                said += os.read(terminal, 1024)
            with contextlib.suppress(OSError):  # how Linux says that the other side has closed it
                while True:
                    os.write(terminal, end)  # again: a key between question and reading is lost on Python
                    while select.select([terminal], [], [], 3.0)[0]:
                        said += os.read(terminal, 1024)
            assert process.wait() == 1
        finally:
            process.kill()
    os.close(terminal)
    assert b"Traceback" not in said
    assert not (tmp_path / "config.toml").exists()
