"""`init` with a config.toml that is there: its answers are the defaults, all else in it stays, and a copy is kept."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest
import tomli

from opendtu_dcload.config import load_config
from opendtu_dcload.doctor.written.config_file import replace_config
from opendtu_dcload.doctor.written.draft import Block
from opendtu_dcload.doctor.written.old_answers import OldAnswers
from opendtu_dcload.errors import ConfigError
from tests.doctor.plant import plant
from tests.doctor.terminal import Terminal, at_terminal
from tests.doubles.devices import PASSWORD, SERIALS, Devices

pytestmark = pytest.mark.realtime

MINE = """\
# mine, with a # in it
[opendtu]
  password='it is "{password}"'  # keep # this
host = "{dtu}"
timeout_s = 9.5
[meter]
host="{meter}"   # in the cellar
invert = false

[control]
max_feed_in_w = 600 # the law
# about the inverters
[[inverter]]
serial = "{first}"
name = "Garage [[east]]"
max_power_w = 300

# about the battery
[battery]
min_voltage_v = 47.25
#min_soc_pct = 20

[dbus]
enabled = false
"""


def mine(devices: Devices, password: str = PASSWORD) -> str:
    text = MINE.replace('it is "{password}"', password)
    return text.format(dtu=devices.opendtu.host, meter=devices.meter.host, first=SERIALS[0])


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def again(path: Path, *answers: tuple[str, str]) -> Terminal:
    async with at_terminal("init", "--config", path, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/no/bus") as terminal:
        for question, answer in answers:
            await terminal.answer(question, answer)
        await terminal.end()
        assert "Traceback" not in terminal.said
        return terminal


async def test_enter_all_the_way_changes_nothing(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices:
        path.write_text(mine(devices))
        path.chmod(0o600)
        terminal = await again(
            path,
            ("Go on? [Y/n]", ""),
            (f"[{devices.meter.host}]", ""),
            ("or none [1]", ""),
            ("[47.25]", ""),
            ("Write it so?", ""),
        )
        assert "password" not in terminal.said.lower().replace("password=", "")
        assert path.read_text() == mine(devices)
        assert (tmp_path / "config.toml.bak").read_text() == mine(devices)


async def test_another_answer_changes_its_line_alone_and_the_old_file_is_kept_with_its_rights(tmp_path: Path):
    path = tmp_path / "config.toml"
    nobody = pwd.getpwnam("nobody")
    async with plant() as devices:
        old = mine(devices)
        path.write_text(old)
        path.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        before = path.stat()
        await again(
            path, ("Go on?", "ja"), ("[127", ""), ("or none [1]", "all"), ("[47.25]", "48"), ("Write it so?", "")
        )
    kept = tmp_path / "config.toml.bak"
    for file in (path, kept):
        found = file.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (before.st_uid, before.st_gid, 0o640)
    assert kept.read_text() == old
    added = [line for line in path.read_text().splitlines() if line not in old.splitlines()]
    assert [line.split()[0] for line in added] == ["serial", "min_voltage_v"]
    config = load_config(path)
    assert [inverter.serial for inverter in config.inverters] == list(SERIALS)
    assert (config.inverters[0].name, config.inverters[0].max_power_w) == ("Garage [[east]]", 300)
    assert (config.battery.min_voltage_v, config.control.max_feed_in_w, config.dtus[0].timeout_s) == (48, 600, 9.5)
    assert names_in(tmp_path) == ["config.toml", "config.toml.bak"]


async def test_a_setting_that_is_wrong_is_told_with_the_files_name_and_asked_for_anew(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices:
        path.write_text(mine(devices).replace(f'host="{devices.meter.host}"', 'host="http://meter"'))
        terminal = await again(
            path,
            ("Go on?", ""),
            ("Address of the Shelly", devices.meter.host),
            ("or none [1]", ""),
            ("[47.25]", ""),
            ("Write it so?", ""),
        )
    said = terminal.said.replace("\r\n", "\n")
    assert f"[meter] of {path} is asked for anew: meter.host: 'http://meter' is more than an address" in said
    assert terminal.process.returncode == 0
    assert load_config(path).meter.host == devices.meter.host


async def test_no_leaves_all_as_it_was(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices:
        path.write_text(mine(devices))
        terminal = await again(path, ("Go on?", "nein"))
        assert terminal.process.returncode == 1
        assert "nothing was changed" in terminal.said
        assert path.read_text() == mine(devices)
        assert devices.meter.requests == devices.opendtu.requests == 0
    assert names_in(tmp_path) == ["config.toml"]


async def test_a_password_of_one_opendtu_is_not_shown_to_another(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices, plant() as others:
        path.write_text(mine(devices).replace(devices.opendtu.host, "127.0.0.1:1"))
        await again(
            path,
            ("Go on?", ""),
            ("[127", ""),
            ("Address of OpenDTU", others.opendtu.host),
            (f"Admin password of the OpenDTU at {others.opendtu.host}", ""),
            ("or none [1]", ""),
            ("[47.25]", ""),
            ("Write it so?", ""),
        )
        assert "GET /api/security/authenticate" not in others.opendtu.asked
    table = tomli.loads(path.read_text())
    assert table["opendtu"] == {"host": others.opendtu.host, "timeout_s": 9.5}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mine", "this is no line of a configuration"),
        ('meter = {host = "a"}\n[opendtu]\nhost = "b"\n', "is not written setting by setting"),
        ('[meter]\nhost = "a"\n[opendtu]\nhost = """\nb"""\n', "is not written setting by setting"),
        ('[[opendtu]]\nname = "a"\n[[opendtu]]\nname = "b"\n', "has several OpenDTUs"),
        ("meter = 1\n", "is not written setting by setting"),
    ],
)
async def test_a_file_that_cannot_be_changed_is_refused_before_any_question(tmp_path: Path, text: str, words: str):
    path = tmp_path / "config.toml"
    path.write_text(text)
    terminal = await again(path)
    assert terminal.process.returncode == 2
    assert words in terminal.said
    assert path.read_text() == text


def test_what_is_no_longer_so_becomes_a_comment(tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_text(
        '[meter]\nhost = "a"\nchannel = "1"\npassword = "x # y"  # p\n[opendtu]\nhost = "b"\n'
        '[[inverter]]\nserial = "112400000001"\nname = "one"\n\n[[inverter]]\nserial = "112400000002"\n# the end\n'
    )
    answers = {"meter": {"source": "gx"}, "opendtu": {"host": "c", "password": 'a"\\\x7fb'}}
    text = OldAnswers(path).changed(answers, [Block("112400000002"), Block("112400000003", "new")], 48.0)
    assert tomli.loads(text) == {
        "meter": {"source": "gx"},
        "opendtu": {"host": "c", "password": 'a"\\\x7fb'},
        "inverter": [{"serial": "112400000002"}, {"serial": "112400000003"}],
        "battery": {"min_voltage_v": 48.0},
    }
    for line in ('#host = "a"', '#channel = "1"', '#password = "x # y"  # p', '#name = "one"', "# the end"):
        assert line in text.splitlines()


def test_the_first_copy_is_never_overwritten(tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_text("one")
    (tmp_path / "link.toml").symlink_to(path)
    kept = [replace_config(tmp_path / "link.toml", text, has_secret=False)[1].name for text in ("two", "three", "four")]
    assert kept == ["config.toml.bak", "config.toml.bak2", "config.toml.bak3"]
    assert [(tmp_path / name).read_text() for name in (*kept, "config.toml")] == ["one", "two", "three", "four"]


def test_what_cannot_be_replaced_is_where_it_was(tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_text("one")
    (tmp_path / ".config.toml.new").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        replace_config(path, "two", has_secret=True)
    assert path.read_text() == "one"
