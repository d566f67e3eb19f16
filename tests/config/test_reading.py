"""Where the settings come from: the file, the places of passwords, and the file that is shipped."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import tomli
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from opendtu_dcload.config import (
    SECTIONS,
    exposed_passwords,
    load_config,
    parse_config,
)
from opendtu_dcload.config.schema import ControlConfig, DbusConfig, LogConfig, OpenDtuConfig
from opendtu_dcload.errors import ConfigError
from tests.config.correct_config import SECRET, SERIAL, problem, table

SHIPPED = (Path(__file__).parents[2] / "config.toml").read_text(encoding="utf-8")
GOOD = f"""
[meter]
host = "192.168.1.50"
[opendtu]
host = "192.168.1.51"
password_file = "key"
[[inverter]]
serial = "{SERIAL}"
[battery]
min_voltage_v = 48
"""


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "config.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


# ---- the file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["", "\ufeff"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_file_from_any_editor_is_read(tmp_path: Path, start: str, line_end: str):
    (tmp_path / "key").write_text(SECRET, encoding="utf-8")
    config = load_config(write(tmp_path, start + GOOD.replace("\n", line_end)), {})
    assert config.inverters[0].serial == SERIAL
    assert config.dtus[0].password is not None
    assert config.dtus[0].password.get_secret_value() == SECRET


def test_a_missing_file_is_named_with_its_whole_path_and_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    found = refused(Path("config.toml"))
    assert found.startswith(f"{tmp_path / 'config.toml'} does not exist; ")


def test_a_folder_is_refused_with_the_file_to_name(tmp_path: Path):
    assert refused(tmp_path) == (
        f"{tmp_path} is a folder; name the file in it with --config, such as {tmp_path / 'config.toml'}"
    )


def test_a_file_that_cannot_be_opened_is_refused_with_the_system_s_reason(tmp_path: Path):
    path = tmp_path / "config.toml"
    path.symlink_to(path)  # root may read everything else
    assert "cannot be read (Too many levels of symbolic links)" in refused(path)


def test_a_file_that_is_not_utf8_is_refused_with_the_line(tmp_path: Path):
    assert "config.toml, line 2: not UTF-8 text" in refused(write(tmp_path, b'[meter]\nhost = "caf\xe9"\n'))


def test_a_huge_file_is_not_read(tmp_path: Path):
    path = write(tmp_path, b"")
    os.truncate(path, 10**12)  # sparse; reading it all would end the process
    assert "is larger than 1 MB" in refused(path)


@pytest.mark.parametrize(
    ("content", "place", "why"),
    [
        ("[meter]\nhost = shelly\n", "line 2, column 8", "this is no value; write text in straight quotes"),
        ("[meter]\nhost = \u201eshelly\u201c\n", "line 2, column 8", 'straight quotes (")'),
        ("[meter]\nhost = 192.168.1.50\n", "line 2, column 15", "the line goes on behind the value; text takes quotes"),
        ("[control]\ntarget_w = 1,5\n", "line 2, column 13", "decimals a point"),
        ("[control]\ntarget_w = 50W\n", "line 2, column 14", "numbers no unit"),
        ("[meter]\ninvert = True\n", "line 2, column 10", "this is no value"),
        ('[meter]\nhost = "a\n', "line 2, column 10", "a closing quote is missing"),
        ('[meter]\nhost = "a', "the end of the file", "a closing quote is missing"),
        ("[meter]\nhost = 'a", "the end of the file", "a closing quote is missing"),
        ("[meter]\nphase = 1\nphase = 2\n", "line 3, column 10", "the same setting stands there twice"),
        ("[inverter]\n[inverter]\n", "line 2, column 10", "for inverters [[inverter]]"),
        ("[meter]\nhost\n", "line 2, column 5", "write key = value"),
        ("[meter]\nhost: a\n", "line 2, column 5", "write key = value"),
        ("= 1\n", "line 1, column 1", "write key = value"),
        ('[meter]\npassword_file = "C:\\key"\n', "line 2, column 22", "a lone backslash"),
        ('[meter]\nuser = "C:\\users"\n', "line 2, column 13", "a lone backslash"),
        ("[meter\n", "line 1, column 7", "a closing bracket is missing"),
        ("[[inverter]\n", "line 1, column 11", "a closing bracket is missing"),
        ("[web]\nnames = ['a'\n", "the end of the file", "a closing bracket is missing"),
        ("control.target_w = 5\n[control]\n", "line 2, column 9", "the same section begins twice"),
        ("meter = { host = 'a' }\n[meter.x]\n", "line 2, column 9", "the same section begins twice"),
        ("[log]\nrecord = 2026-02-31\n", "line 2, column 10", "write it as in the shipped config.toml"),
    ],
)
def test_a_slip_in_the_writing_is_named_with_line_and_column(tmp_path: Path, content: str, place: str, why: str):
    found = refused(write(tmp_path, content))
    assert found.startswith(f"{tmp_path / 'config.toml'}, {place}: ")
    assert why in found


@pytest.mark.parametrize(
    "content", [f"a = {'1' * 5000}", f"a = {'[' * 50000}", f"{'a.' * 5000}a = 1"], ids=["digits", "brackets", "dots"]
)
def test_a_file_made_to_break_the_reader_is_refused(tmp_path: Path, content: str):
    with pytest.raises(ConfigError):
        load_config(write(tmp_path, content), {})


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=60) | st.text("[]{}=\"'#.,\\abc019-+:_ \n", max_size=60).map(str.encode))
@example(content=b"")
@example(content=b"a = 1979-05-27T07:32:00Z")
def test_any_file_gives_a_config_error_at_most(tmp_path_factory: pytest.TempPathFactory, content: bytes):
    with pytest.raises(ConfigError) as caught:  # so few bytes are never enough
        load_config(write(tmp_path_factory.getbasetemp(), content), {})
    assert all(len(line.splitlines()) == 1 for line in caught.value.problems)


def test_the_traceback_of_a_slip_does_not_hold_the_document(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, f'[opendtu]\npassword = "{SECRET}"\nhost = x'), {})
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


# ---- passwords --------------------------------------------------------------------------------------------------


def login(**keys: str) -> dict[str, Any]:
    return {**table(), "opendtu": {"host": "dtu", **keys}}


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_password_file_is_looked_for_beside_the_configuration_and_loses_its_line_end(tmp_path: Path, ending: str):
    (tmp_path / "key").write_bytes(f"\ufeff {SECRET} {ending}".encode())
    config = parse_config(login(password_file="key"), tmp_path)
    assert config.dtus[0].password is not None
    assert config.dtus[0].password.get_secret_value() == f" {SECRET} "


def test_a_password_comes_from_the_environment():
    config = parse_config(table(meter={"password_env": "SHELLY"}), environ={"SHELLY": SECRET})
    assert config.meter.password is not None
    assert config.meter.password.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\r\n", "is empty"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"x" * 1001, "is longer than 1000 bytes"),
    ],
)
def test_a_password_file_that_holds_no_password_is_named(tmp_path: Path, content: bytes, why: str):
    (tmp_path / "key").write_bytes(content)
    found = problem(login(password_file="key"), tmp_path)
    assert found.startswith("opendtu.password_file: ")
    assert str(tmp_path / "key") in found
    assert why in found


@pytest.mark.parametrize(("name", "why"), [(".", "is no file"), ("key", "is no file"), ("", "is empty")])
def test_a_password_file_that_is_no_file_is_refused(tmp_path: Path, name: str, why: str):
    (tmp_path / "key").symlink_to("key")
    assert why in problem(login(password_file=name), tmp_path)


@pytest.mark.parametrize("key", ["password_file", "password_env"])
@pytest.mark.parametrize(
    "name", ["hunter2", "with space", "/etc/no/such/hunter2", "a/hunter2", "hunter2" * 100, "hunter2\u2028", "~hunter2"]
)
def test_a_password_in_the_place_of_a_name_is_not_shown(tmp_path: Path, key: str, name: str):
    found = problem(login(**{key: name}), tmp_path)
    assert found.startswith(f"opendtu.{key}: ")
    assert "hunter2" not in found
    assert "with space" not in found


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("DTU", "there is no such environment variable; set it where the service is started"),
        ("EMPTY", "there is no such environment variable"),
        ("LATIN", "is not UTF-8"),
        (SECRET, "*** is no name of an environment variable"),
        ("", "is empty"),
    ],
)
def test_an_environment_variable_without_a_password_is_named(name: str, why: str):
    found = problem(login(password_env=name), environ={"EMPTY": "", "LATIN": "caf\udce9"})
    assert found.startswith("opendtu.password_env: ")
    assert why in found
    assert SECRET not in found


@pytest.mark.parametrize("key", ["password", "password_file", "password_env"])
def test_a_number_in_the_place_of_a_password_is_not_shown(key: str):
    found = problem({**table(), "opendtu": {"host": "dtu", key: 87654321}})
    assert found.startswith(f"opendtu.{key}: *** is a whole number; write ")
    assert "87654321" not in found


def test_pydantic_s_own_error_does_not_show_a_password_either():
    with pytest.raises(ValidationError) as caught:
        OpenDtuConfig.model_validate({"host": "dtu", "pasword": SECRET})
    assert SECRET not in str(caught.value)


def test_a_password_given_twice_is_refused(tmp_path: Path):
    found = problem(login(password=SECRET, password_file="key"), tmp_path)
    assert found == "opendtu: the password is given 2 times (password, password_file); keep one of them"


def exposed(path: Path) -> str:
    return exposed_passwords(load_config(path, {"DTU": SECRET}), path)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder into which every user may look, as /etc."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize(
    ("written", "mode", "key_mode", "named"),
    [
        (f'password = "{SECRET}"', 0o644, 0o600, ["config.toml"]),
        (f'password = "{SECRET}"', 0o640, 0o644, []),
        (f'password = "{SECRET}"', 0o600, 0o644, []),
        ('password_file = "key"', 0o644, 0o600, []),
        ('password_file = "key"', 0o600, 0o604, ["key"]),
        ('password_env = "DTU"', 0o644, 0o644, []),
        (
            f'password_file = "key"\n[relay]\nhost = "relay"\npassword = "{SECRET}"',
            0o644,
            0o644,
            ["config.toml", "key"],
        ),
    ],
    ids=["in it", "in it, for a group", "in it, hidden", "in a file", "in an open file", "in the environment", "both"],
)
def test_a_password_that_others_can_read_is_told_once_with_what_to_do(
    open_folder: Path, written: str, mode: int, key_mode: int, named: list[str]
):
    (open_folder / "key").write_text(SECRET)
    path = write(open_folder, GOOD.replace('password_file = "key"', written))
    path.chmod(mode)
    (open_folder / "key").chmod(key_mode)
    told = exposed(path)
    if named:
        files = [str(open_folder / name) for name in named]
        commands = " && ".join(f"chmod o-rwx {file}" for file in files)
        assert told == f"every user of this computer can read the password in {' and '.join(files)}: {commands}"
        subprocess.run(["sh", "-c", commands], check=True)
    assert exposed(path) == ""


def test_a_token_that_others_can_read_is_told_too(open_folder: Path):
    folder = open_folder / "two words"
    folder.mkdir(0o755)
    (folder / "key").write_text(SECRET)
    path = write(folder, f'{GOOD}[web]\ntoken = "a-token-of-these-tests"\n')
    (folder / "key").chmod(0o600)
    path.chmod(0o644)
    told, command = exposed(path).split(": ")
    assert told == f"every user of this computer can read the token in {path}"
    subprocess.run(["sh", "-c", command], check=True)
    assert exposed(path) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root rights")
def test_the_command_leaves_the_password_readable_for_the_service(open_folder: Path, monkeypatch: pytest.MonkeyPatch):
    path = write(open_folder, GOOD.replace('password_file = "key"', f'password = "{SECRET}"'))
    path.chmod(0o644)
    for name in ("geteuid", "getegid"):
        monkeypatch.setattr(os, name, lambda: 12345)
    monkeypatch.setattr(os, "getgroups", list)
    command = exposed(path).split(": ")[1]
    assert command == f"chgrp 12345 {path} && chmod 640 {path}"
    subprocess.run(["sh", "-c", command], check=True)
    assert (path.stat().st_gid, path.stat().st_mode & 0o777) == (12345, 0o640)
    assert exposed(path) == ""


def test_a_password_in_a_folder_that_nobody_else_may_enter_is_well_kept(open_folder: Path):
    path = write(open_folder, GOOD.replace('password_file = "key"', f'password = "{SECRET}"'))
    path.chmod(0o644)
    open_folder.chmod(0o700)
    assert exposed(path) == ""


# ---- the file that is shipped -----------------------------------------------------------------------------------


def uncommented() -> dict[str, Any]:
    """The shipped file with every `#key = value` and `#[section]` set; notes begin with `# `."""
    return tomli.loads(re.sub(r"(?m)^#(?=\w+ = |\[)", "", SHIPPED))


def test_the_shipped_file_lacks_what_only_the_user_knows_and_nothing_else(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, SHIPPED), {})
    assert [line.split("; ")[0] for line in caught.value.problems] == [
        "meter.host: '' is empty",
        "opendtu.password: '' is empty",
        "opendtu.host: '' is empty",
        "battery.min_voltage_v: 0 is too small",
        "inverter[#1].serial: '' is empty",
    ]


def test_the_shipped_file_filled_in_has_the_defaults(tmp_path: Path):
    text = SHIPPED.replace('host = ""', 'host = "device"').replace('serial = ""', f'serial = "{SERIAL}"')
    text = text.replace('password = ""', 'password = "x"').replace("min_voltage_v = 0", "min_voltage_v = 48")
    config = load_config(write(tmp_path, text), {})
    assert config == parse_config(
        {
            "meter": {"host": "device"},
            "opendtu": {"host": "device", "password": "x"},
            "inverter": [{"serial": SERIAL}],
            "battery": {"min_voltage_v": 48},
        }
    )
    assert (config.control, config.dbus, config.log) == (ControlConfig(), DbusConfig(), LogConfig())


@pytest.mark.parametrize("section", SECTIONS)
def test_the_shipped_file_shows_every_setting_with_its_default(section: str):
    shown = uncommented()[section]
    shown = shown[0] if section == "inverter" else shown
    fields = SECTIONS[section].model_fields
    assert set(shown) == set(fields)
    defaults = {key: field.default for key, field in fields.items() if not field.is_required()}
    written = {key: shown[key] for key, default in defaults.items() if default is not None}
    assert written == {key: default for key, default in defaults.items() if default is not None}
    assert {key: type(value) is bool for key, value in written.items()} == {
        key: type(defaults[key]) is bool for key in written
    }


def test_the_examples_in_the_shipped_file_are_taken():
    example = uncommented()
    for section in ("meter", "opendtu"):
        example[section] |= {"host": "device", "password": "x"}
    del example["mqtt"]["ca_file"]
    for section in ("meter", "opendtu", "solar", "relay", "mqtt"):
        del example[section]["password_file"], example[section]["password_env"]
    example["inverter"][0]["serial"] = SERIAL
    example["battery"]["min_voltage_v"] = 48
    assert parse_config(example).inverters[0].max_power_w == 600


@pytest.mark.parametrize(
    ("section", "key"),
    [(section, key) for section, model in SECTIONS.items() for key in model.model_fields],
)
def test_the_shipped_file_tells_the_range_or_the_choices(section: str, key: str):
    field = SECTIONS[section].model_fields[key]
    start = SHIPPED.index(f"[{section}]")
    block = re.split(r"\n\n\n", SHIPPED[start:])[0]
    line = next(line for line in block.splitlines() if re.match(rf"#?{key} = ", line))
    if bounds := [getattr(bound, name) for name in ("ge", "le") for bound in field.metadata if hasattr(bound, name)]:
        low, high = bounds
        place = block if re.match(r"meter_\w+_s$", key) else line  # the four ages share one note
        assert f"{low:g} to {high:g}" in place
    for kind in [field.annotation, *get_args(field.annotation)]:
        if get_origin(kind) is Literal:
            assert all(f'"{choice}"' in block for choice in get_args(kind))
