"""`import-config`: a config.toml from the original's config.ini."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
import tomli

from opendtu_dcload import cli
from opendtu_dcload.config import load_config
from opendtu_dcload.doctor.migration.old_config import convert
from opendtu_dcload.doctor.written.draft import Draft
from opendtu_dcload.errors import ConfigError
from tests.doctor.original_config import OLD
from tests.doctor.plant import plant
from tests.doctor.terminal import at_terminal
from tests.doctor.test_first_config import SHIPPED
from tests.doubles.devices import PASSWORD, SERIALS, Devices

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
        ("[DEFAULT]\nZeroPoint = -12.7\n", "target_w", -13),
        ("[DEFAULT]\nmaxTemperature = 55.5\n", "max_temperature_c", 55.5),
        ("[DEFAULT]\nMaxFeedIn = 799.6\n", "max_feed_in_w", 799),
    ],
)
def test_numbers_are_brought_within_what_is_allowed(tmp_path: Path, old: str, key: str, value: float):
    table = tomli.loads(converted(tmp_path, old).read_text())
    assert table["control"][key] == value


def test_what_should_be_a_number_is_told_and_not_replaced_by_the_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    text = converted(tmp_path, "[DEFAULT]\nZeroPoint = nan\nMaxFeedIn = 600,5\n").read_text()
    assert tomli.loads(text)["control"] == {"target_w": "nan", "max_feed_in_w": "600,5"}
    told = capsys.readouterr().out
    assert "to be filled in: control.target_w: 'nan' is text; write a whole number from -500 to 500" in told
    assert "to be filled in: control.max_feed_in_w: '600,5' is text; write a whole number from 0 to 10000" in told


def test_what_is_no_power_and_no_number_keeps_its_default(tmp_path: Path):
    text = converted(tmp_path, "[DEFAULT]\nHTTPTimeout = 2,5\nmaxTemperature =\n").read_text()
    table = tomli.loads(text)
    assert "timeout_s" not in table["opendtu"]
    assert "max_temperature_c" not in table.get("control", {})
    assert "2,5" in text


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


# ---- with OpenDTU --------------------------------------------------------------------------------------------------


def old_of(devices: Devices, *, password: str = PASSWORD, more: str = "") -> str:
    old = OLD.partition("KeepAliveURL")[0].replace("192.168.1.51", devices.opendtu.host)
    return old.replace("192.168.1.50", devices.meter.host).replace("50%percent;of#all", password) + more


async def test_opendtu_tells_the_serial_numbers_and_only_the_floor_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    async with plant() as devices:
        new = await asyncio.to_thread(converted, tmp_path, old_of(devices))
        told = capsys.readouterr().out
        assert devices.opendtu.posted == []
        with pytest.raises(ConfigError) as caught:
            load_config(new)
        assert [problem.split()[0] for problem in caught.value.problems] == ["battery.min_voltage_v"]
        text = new.read_text().replace("#min_voltage_v = 0", "min_voltage_v = 48")
        new.write_text(text.replace("#enabled = true", "enabled = false"))
        assert await asyncio.to_thread(cli.main, ["check", "--config", str(new)]) == 0
    config = load_config(new)
    assert [(i.serial, i.device_instance) for i in config.inverters] == [(SERIALS[0], 134), (SERIALS[1], 140)]
    assert [i.max_power_w for i in config.inverters] == [None, None]
    assert f"[INVERTER0] is inverter {SERIALS[0]} HMS 1, HMS-400-1T, 400 W" in told
    assert "to be filled in: battery.min_voltage_v" in told


async def test_shares_of_the_rated_power_that_somebody_has_chosen_become_watts(tmp_path: Path):
    async with plant(count=1) as devices:
        old = old_of(devices).replace("MinPercent = 2", "MinPercent = 10").replace("MaxPercent = 90", "MaxPercent = 75")
        table = tomli.loads((await asyncio.to_thread(converted, tmp_path, old)).read_text())
    (block,) = table["inverter"]
    assert (block["min_power_w"], block["max_power_w"]) == (40, 300)


async def test_at_a_terminal_nothing_is_left_to_fill_in(tmp_path: Path):
    new = tmp_path / "config.toml"
    async with plant() as devices:
        (tmp_path / "config.ini").write_text(old_of(devices))
        async with at_terminal("import-config", "--config", new, tmp_path / "config.ini") as terminal:
            await terminal.hear("48 V if the battery has 16 cells LiFePO4")
            await terminal.answer("below which nothing may be drawn (now 5", "")
            assert await terminal.end() == 0
            assert "to be filled in" not in terminal.said
    assert load_config(new).battery.min_voltage_v == 48


@pytest.mark.parametrize("what", ["away", "another password"])
async def test_an_opendtu_that_does_not_answer_leaves_the_serial_numbers_to_the_user(
    tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
):
    async with plant() as devices:
        if what == "away":
            await devices.opendtu.stop()
        else:
            devices.opendtu.allow_readonly = False
            devices.opendtu.password = "another"
        new = await asyncio.to_thread(converted, tmp_path, old_of(devices))
    assert load_config(new).is_read_only
    assert "the serial numbers are to be filled in: OpenDTU at" in capsys.readouterr().out


def test_all_that_is_to_be_filled_in_is_named_and_what_is_wrong_in_the_old_file_with_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    converted(tmp_path, "[DEFAULT]\nHost = http://192.168.1.51\n[INVERTER0]\nDeviceInstance = 134\n")
    told = capsys.readouterr().out
    assert f"as {tmp_path / 'config.ini'} has no OpenDTU to ask: opendtu.host: 'http://192.168.1.51'" in told
    for words in (
        "meter.host",
        "opendtu.host",
        "[[inverter]], once for each, with its serial, and battery.min_voltage_v",
    ):
        assert f"to be filled in: {words}" in told
