"""`init` and `import-config`: a first config.toml from the devices, or from the original's config.ini."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import select
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import tomli

from opendtu_dcload import cli
from opendtu_dcload.config import load_config
from opendtu_dcload.doctor import draft as draft_module
from opendtu_dcload.doctor.draft import Draft, shipped_text
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.first_config import FirstConfig, Given
from opendtu_dcload.doctor.old_config import convert
from opendtu_dcload.doctor.questions import Ask
from opendtu_dcload.errors import ConfigError, DeviceError
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from tests.doctor.plant import PASSWORD, SERIALS, Plant, notes, plant, problems, silent

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


async def init(plant: Plant, path: Path, ask: Ask | None = None, *, password: bool = True) -> Findings:
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
    ask = Answers(password=PASSWORD, _0000002="", **{SERIALS[0]: "y"}, Battery="47.5")
    async with plant() as devices:
        await init(devices, path, ask, password=False)
    config = load_config(path)
    assert [inverter.serial for inverter in config.inverters] == [SERIALS[0]]
    assert config.battery.min_voltage_v == 47.5
    assert f'#serial = "{SERIALS[1]}"' in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_what_was_written_passes_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("opendtu_dcload.doctor.check.WATCHED_S", 0)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path / 'nobody'}")
    path = tmp_path / "config.toml"
    ask = Answers(password=PASSWORD, Is="y", Battery="40")
    async with plant() as devices:
        findings = await init(devices, path, ask, password=False)
        assert await asyncio.to_thread(cli.main, ["check", "--config", str(path)]) == 0
    assert any("dbus.enabled is set to false" in note for note in notes(findings))
    assert load_config(path).dbus.enabled is False


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
        ask = Answers(password=PASSWORD, Is="y", Battery="40")
        await init(devices, path, ask, password=False)
        with pytest.raises(ConfigError, match="not overwritten"):
            await init(devices, path, ask, password=False)
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
        (["--meter", "http://192.168.1.50", "--opendtu", "192.168.1.51"], "meter.host"),
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
            while b"Address of the Shelly (gx = the GX's own grid meter): " not in said:
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


# ---- the original's file ----------------------------------------------------------------------------------------

OLD = """\
[DEFAULT]
SignOfLifeLog = 5
# W of import
ZeroPoint = 25
MaxFeedIn=900
MinPercent = 2
MaxPercent = 90
stepsPercent = 2
consumeFilterFactor = 3
feedInFilterFactor = 0
feedInAtNegativeWattDifference = 150
DTU_loopTime = 4
DTU_statusTime = 7
ACCURACY = 10
maxTemperature = 55
Logging = ERROR
DTU = opendtu
Host = 192.168.1.51
HTTPTimeout = 2.5
Username =
Password = 50%percent;of#all
MaxAgeTsLastSuccess = 600
DryRun = 0
Colour = blue

[INVERTER0]
DeviceInstance = 134
enableSwitchOff = true

[INVERTER1]
DeviceInstance = 140

[INVERTER3]
DeviceInstance = 150

[SHELLY]
AccessType = OnPremise
Deviceinstance = 59
CustomName = Grid by Shelly
Phase = L2
Host = 192.168.1.50
Username = admin
Password =
KeepAliveURL = http://admin:hidden@192.168.1.60/relay/0?turn=on&timer=900
SwitchOffURL = http://192.168.1.60/relay/0?turn=off
Balcony = 192.168.1.61
"""
GONE = (
    "SignOfLifeLog",
    "MinPercent",
    "MaxPercent",
    "stepsPercent",
    "consumeFilterFactor",
    "feedInFilterFactor",
    "feedInAtNegativeWattDifference",
    "DTU_loopTime",
    "DTU_statusTime",
    "ACCURACY",
    "DTU",
    "MaxAgeTsLastSuccess",
    "DryRun",
    "Colour",
    "enableSwitchOff",
    "AccessType",
    "SwitchOffURL",
)


def converted(folder: Path, old: str = OLD) -> Path:
    path = folder / "config.ini"
    path.write_text(old)
    new = folder / "config.toml"
    assert cli.main(["import-config", str(path), "--config", str(new)]) == 0
    return new


def test_what_has_a_successor_is_taken_over(tmp_path: Path):
    new = converted(tmp_path)
    config = load_config(new)
    assert config.control.target_w == 25
    assert config.control.max_feed_in_w == 900
    assert config.control.max_temperature_c == 55
    assert config.log.level == "warning", "alarms are warnings"
    assert (config.dtus[0].host, config.dtus[0].timeout_s) == ("192.168.1.51", 2.5)
    assert config.dtus[0].password is not None
    assert config.dtus[0].password.get_secret_value() == "50%percent;of#all"
    assert (config.meter.host, config.meter.phase, config.meter.password) == ("192.168.1.50", 2, None)
    assert (config.dbus.meter_name, config.dbus.meter_device_instance) == ("Grid by Shelly", 59)
    assert config.relay is not None
    assert (config.relay.host, config.relay.output, config.relay.user) == ("192.168.1.60", 0, "admin")
    assert config.solar is not None
    assert config.solar.host == "192.168.1.61"
    assert stat.S_IMODE(new.stat().st_mode) == 0o600


def test_each_key_without_a_successor_is_a_comment(tmp_path: Path):
    lines = converted(tmp_path).read_text().splitlines()
    for key in GONE:
        assert sum(f"] {key} = " in line and line.startswith("# [") for line in lines) == 1, key
    assert any("[INVERTER3] DeviceInstance" in line for line in lines)
    assert [line.split() for line in lines if "hidden" in line] == [["password", "=", '"hidden"']], "of the relay"


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("http://192.168.1.60/relay/0?turn=on&timer=900", {"host": "192.168.1.60", "output": 0}),
        (
            "http://me:a%40b@shelly:81/relay/1?turn=on",
            {"host": "shelly:81", "output": 1, "user": "me", "password": "a@b"},
        ),
        ("http://192.168.1.60/rpc/Switch.Set?id=0", None),
        ("http://[::1", None),
        ("", None),
    ],
)
def test_relay_and_plug_in_solar_are_taken_over(url: str, relay: dict[str, object] | None):
    draft = Draft(SHIPPED)
    convert({"SHELLY": {"KeepAliveURL": url, "Balcony": "192.168.1.61"}}, "config.ini", draft)
    table = tomli.loads(draft.text)
    assert table["solar"] == {"host": "192.168.1.61"}
    assert table.get("relay") == relay
    assert ("[SHELLY] KeepAliveURL" in draft.text) is (relay is None)


def test_it_commands_nothing_until_the_serial_numbers_are_filled_in(tmp_path: Path):
    new = converted(tmp_path)
    assert load_config(new).is_read_only
    text = new.read_text()
    for number, instance in enumerate(("134", "140")):
        serial = '#serial = ""'.ljust(31)
        head = f"#[[inverter]]\n{serial} # of [INVERTER{number}]\n"
        block = f"{head}#device_instance = {instance}\n"
        assert block in text
        text = text.replace(block, block.replace("#[[", "[[").replace("#s", "s").replace("#d", "d"))
        text = text.replace('serial = ""  ', f'serial = "{SERIALS[number]}"  ', 1)
    new.write_text(text.replace("#min_voltage_v = 0", "min_voltage_v = 48"))
    assert load_config(new).device_instances == (134, 140)


@pytest.mark.parametrize(
    ("old", "key", "value"),
    [
        ("[DEFAULT]\nMaxFeedIn = 99999\n", "max_feed_in_w", 10000),
        ("[DEFAULT]\nmaxTemperature = 20\n", "max_temperature_c", 30),
        ("[DEFAULT]\nZeroPoint = 2.5\n", "target_w", 2.5),
    ],
)
def test_numbers_are_brought_within_what_is_allowed(tmp_path: Path, old: str, key: str, value: float):
    table = tomli.loads(converted(tmp_path, old).read_text())
    assert table["control"][key] == value


def test_a_number_that_is_none_becomes_a_comment(tmp_path: Path):
    text = converted(tmp_path, "[DEFAULT]\nZeroPoint = nan\nMaxFeedIn = 1e99\n").read_text()
    assert tomli.loads(text)["control"] == {}
    assert "# [DEFAULT] ZeroPoint = nan" in text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("50%%percent", "50%percent"),
        ("%%%%", "%%"),
        ("100%", "100%"),
        ("a%b%%c", "a%b%%c"),
        ("%(none)s", "%(none)s"),
        ("%(Host)s!", "192.168.1.51!"),
    ],
)
def test_a_password_is_read_as_the_original_reads_it(tmp_path: Path, written: str, read: str):
    old = f"[DEFAULT]\nHost = 192.168.1.51\nPassword = {written}\n"
    assert tomli.loads(converted(tmp_path, old).read_text())["opendtu"]["password"] == read


@pytest.mark.parametrize("level", ["ERROR", "CRITICAL", "WARNING"])
def test_no_level_of_the_original_hides_alarms(tmp_path: Path, level: str):
    assert tomli.loads(converted(tmp_path, f"[DEFAULT]\nLogging = {level}\n").read_text())["log"]["level"] == "warning"


def test_the_sensor_of_a_battery_heater_is_not_lost_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    services = "".join(f"[INVERTER{number}]\nDeviceInstance = {number + 134}\n" for number in (3, 4, 5))
    text = converted(tmp_path, services).read_text()
    assert tomli.loads(text)["dbus"]["battery_temperature"] is True
    assert "choose it anew in the temperature rule of the GX's relay" in capsys.readouterr().out
    for number, setting in ((3, "dbus.dcsystem"), (4, "dbus.battery_temperature"), (5, "the alarm is always there")):
        (line,) = [line for line in text.splitlines() if f"[INVERTER{number}]" in line]
        assert setting in line


def test_without_such_a_sensor_nothing_is_said_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert "battery_temperature" not in tomli.loads(converted(tmp_path).read_text()).get("dbus", {})
    assert "relay" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe", b"no section = 1\n", b'[meter]\nhost "x"\n[[a]]\n'])
def test_another_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "config.ini"
    path.write_bytes(content)
    code = cli.main(["import-config", str(path), "--config", str(tmp_path / "config.toml")])
    if code == 2:
        assert len(capsys.readouterr().err.splitlines()) == 1
    else:  # any INI file: all of it becomes comments
        tomli.loads((tmp_path / "config.toml").read_text())


def test_a_missing_file_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["import-config", str(tmp_path / "none.ini"), "--config", str(tmp_path / "config.toml")]) == 2
    assert "none.ini cannot be read" in capsys.readouterr().err


async def test_imported_file_passes_check_and_is_offered_the_serial_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    async with plant() as devices:
        old = OLD.partition("KeepAliveURL")[0]
        old = old.replace("192.168.1.51", devices.opendtu.host).replace("192.168.1.50", devices.meter.host)
        new = converted(tmp_path, old.replace("50%percent;of#all", PASSWORD))
        new.write_text(new.read_text().replace("#enabled = true", "enabled = false"))
        assert await asyncio.to_thread(cli.main, ["check", "--config", str(new)]) == 0
    assert f'serial = "{SERIALS[0]}"' in capsys.readouterr().out


# ---- the template -----------------------------------------------------------------------------------------------


def test_every_option_of_the_shipped_file_can_be_set_in_its_place():
    section = ""
    places = []
    for line in SHIPPED.splitlines():
        if match := re.match(r"#?\[\[?(\w+)\]", line):
            section = match[1]
        elif " = " in line.partition("# ")[0]:
            places.append((section, line.lstrip("#").partition(" = ")[0]))
    assert len(places) > 35
    for section, key in places:
        draft = Draft(SHIPPED)
        draft.set(section, key, "here")
        parsed = tomli.loads(draft.text)[section]
        assert (parsed[0] if section == "inverter" else parsed)[key] == "here"


def test_options_of_a_section_that_is_a_comment_make_it_one():
    draft = Draft('[control]\n#host = 1\n\n#[solar]\n#host = "a"            # address\n#user = "admin"\n')
    draft.set("solar", "host", "192.168.1.61")
    assert tomli.loads(draft.text) == {"control": {}, "solar": {"host": "192.168.1.61"}}


@pytest.mark.parametrize("place", ["beside the packages", "in the environment"])
def test_an_installed_program_finds_the_shipped_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str):
    site = tmp_path / "lib" / "site-packages"
    prefix = site if place == "beside the packages" else tmp_path
    (prefix / "share" / "opendtu-dcload").mkdir(parents=True)
    (prefix / "share" / "opendtu-dcload" / "config.toml").write_text("mine")
    monkeypatch.setattr(draft_module, "__file__", str(site / "opendtu_dcload" / "doctor" / "draft.py"))
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    assert shipped_text() == "mine"


def test_a_program_without_it_says_so_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(draft_module, "__file__", str(tmp_path / "a" / "b" / "opendtu_dcload" / "doctor" / "draft.py"))
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    with pytest.raises(ConfigError, match="install the program anew"):
        shipped_text()
