"""What people type at the questions of `init`, at a real terminal: taken as meant, or asked again with a sentence."""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import tomli

from opendtu_dcload.config import load_config
from opendtu_dcload.doctor.written.shipped import shipped_text
from opendtu_dcload.sim.plant.dtu_memory import Statistics
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from tests.doctor.plant import plant
from tests.doctor.terminal import Terminal, at_terminal
from tests.doubles.devices import PASSWORD, SERIALS, Devices

pytestmark = pytest.mark.realtime

ADMIN = "Admin password"
WHICH = "Which of them are on the battery?"
FLOOR = "below which nothing may be drawn"
WRITE = "Write it so?"
NOBODY_ANNOUNCED = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/no/bus"}


@contextlib.asynccontextmanager
async def asked(devices: Devices, path: Path) -> AsyncIterator[Terminal]:
    where = ("--meter", devices.meter.host, "--opendtu", devices.opendtu.host)
    async with at_terminal("init", "--config", path, *where, **NOBODY_ANNOUNCED) as terminal:
        yield terminal


def listed(path: Path) -> list[str]:
    return [block["serial"] for block in tomli.loads(path.read_text()).get("inverter", [])]


@pytest.mark.parametrize("answer", ["1", " 1 ", "1,", SERIALS[0], SERIALS[0].upper(), "1-1", "1 und 1"])
async def test_inverters_are_chosen_as_people_type_them(tmp_path: Path, answer: str):
    path = tmp_path / "config.toml"
    async with plant() as devices, asked(devices, path) as terminal:
        await terminal.answer(ADMIN, PASSWORD)
        await terminal.answer(WHICH, answer)
        await terminal.answer(FLOOR, "48")
        await terminal.answer(WRITE, "ja")
        assert await terminal.end() == 0
    assert listed(path) == [SERIALS[0]]


async def test_another_answer_is_asked_again_and_the_choice_is_repeated_before_it_is_written(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices, asked(devices, path) as terminal:
        await terminal.answer(ADMIN, PASSWORD)
        for typed in ("3", "0-1", "2-1", "!", "yes", b"\x1b[A", b"\xf6", "99999999999", "1124a0000009"):
            await terminal.answer(WHICH, typed)
            await terminal.hear("names none of them")
        await terminal.answer(WHICH, "1")
        await terminal.answer(FLOOR, "48")
        await terminal.hear(f"inverter {SERIALS[0]}")
        await terminal.hear("on the battery")
        await terminal.hear(f"inverter {SERIALS[1]}")
        await terminal.hear("not on the battery, so neither set nor guarded")
        assert not path.exists()
        await terminal.answer(WRITE, "jein", "nein")
        await terminal.answer(f"Address of the Shelly (gx = the GX's own grid meter) [{devices.meter.host}]", "")
        await terminal.answer(f"Address of OpenDTU [{devices.opendtu.host}]", "")
        await terminal.answer(f"{WHICH} Numbers such as 1 3, all, or none [1]", "1-2")
        await terminal.answer(FLOOR, "47,5 V")
        await terminal.answer(WRITE, "j")
        assert await terminal.end() == 0
        assert '"jein" is neither yes nor no' in terminal.said
        assert "Traceback" not in terminal.said
    assert listed(path) == list(SERIALS)
    assert load_config(path).battery.min_voltage_v == 47.5


async def test_enter_takes_the_inverters_of_one_voltage_and_the_floor_that_suits_it(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant(count=3) as devices:
        devices.dtu.believed[devices.serials[1]].statistics = Statistics(0.0, dc_voltage_v=33.0)
        async with asked(devices, path) as terminal:
            await terminal.answer(ADMIN, PASSWORD)
            await terminal.answer(f"{WHICH} Numbers such as 1 3, all, or none [1 3]", "")
            await terminal.hear("48 V if the battery has 16 cells LiFePO4")
            await terminal.hear("46.2 V if the battery has 14 cells Li-ion")
            await terminal.answer(f"{FLOOR} (now 5", "")
            await terminal.answer(WRITE, "")
            assert await terminal.end() == 0
    assert listed(path) == [devices.serials[0], devices.serials[2]]
    assert load_config(path).battery.min_voltage_v == 48


async def test_the_number_of_a_battery_is_an_answer_to_the_floor(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices, asked(devices, path) as terminal:
        await terminal.answer(ADMIN, PASSWORD)
        await terminal.answer(WHICH, "")
        await terminal.answer(FLOOR, "9")
        await terminal.hear("9 V does not suit")
        await terminal.answer(FLOOR, "3")
        await terminal.answer(WRITE, "")
        assert await terminal.end() == 0
    assert load_config(path).battery.min_voltage_v == 46.2


@pytest.mark.parametrize(
    ("typed", "floor_v"),
    [("49,0", 49), ("48 V", 48), ("48V", 48), ("48,5 Volt", 48.5), ("47.25v", 47.25), ("48,", 48), ("48 V DC", 48)],
)
async def test_a_floor_is_understood_with_a_decimal_comma_and_its_unit(tmp_path: Path, typed: str, floor_v: float):
    path = tmp_path / "config.toml"
    async with plant() as devices, asked(devices, path) as terminal:
        await terminal.answer(ADMIN, "")
        await terminal.answer(WHICH, "all")
        await terminal.answer(FLOOR, typed)
        await terminal.answer(WRITE, "")
        assert await terminal.end() == 0
    assert tomli.loads(path.read_text())["battery"]["min_voltage_v"] == floor_v


async def test_a_floor_that_cannot_be_meant_is_asked_again_with_a_sentence(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices, asked(devices, path) as terminal:
        await terminal.answer(ADMIN, "")
        await terminal.answer(WHICH, "all")
        for typed, sentence in (
            ("480", "480 V does not suit a battery that has 5"),
            ("4,8", "4.8 V does not suit a battery that has 5"),
            ("12", "12 V does not suit a battery that has 5"),
            ("0x30", '"0x30" is no voltage'),
            ("forty", '"forty" is no voltage'),
            ("inf", '"inf" is no voltage'),
            ("-48", '"-48" is no voltage'),
            ("48,0,0", "is no voltage"),
            ("48 W", "is no voltage"),
        ):
            await terminal.answer(FLOOR, typed)
            await terminal.hear(sentence)
        await terminal.answer(FLOOR, "56")
        await terminal.answer("nothing is drawn until it is charged", "nein")
        await terminal.answer(FLOOR, "48")
        await terminal.answer(WRITE, "")
        assert await terminal.end() == 0
    assert tomli.loads(path.read_text())["battery"]["min_voltage_v"] == 48


async def test_where_no_voltage_is_known_a_floor_that_no_inverter_endures_is_not_taken(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices:
        for serial in SERIALS:
            devices.dtu.believed[serial].statistics = None
        async with asked(devices, path) as terminal:
            await terminal.answer(ADMIN, "")
            await terminal.answer(WHICH, "all")
            await terminal.answer(f"{FLOOR} (now not known", "480")
            await terminal.hear("480 V is not from 8 to 65 V")
            await terminal.answer(FLOOR, "48,0")
            await terminal.answer(WRITE, "")
            assert await terminal.end() == 0
    assert "The battery's voltage when this file was made: not known" in path.read_text()


async def test_the_floor_is_measured_against_the_inverters_on_the_battery_not_against_a_roof(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices:
        devices.dtu.believed[SERIALS[1]].statistics = Statistics(0.0, dc_voltage_v=33.0)
        async with asked(devices, path) as terminal:
            await terminal.answer(ADMIN, "")
            await terminal.answer(WHICH, "1")
            await terminal.answer(f"{FLOOR} (now 5", "48")
            await terminal.answer(WRITE, "")
            assert await terminal.end() == 0
    assert "The battery's voltage when this file was made: 5" in path.read_text()


async def test_a_wrong_password_is_asked_again_and_never_written(tmp_path: Path):
    path, other = tmp_path / "config.toml", tmp_path / "other.toml"
    async with plant() as devices:
        async with asked(devices, path) as terminal:
            await terminal.answer(ADMIN, "wrong-one", PASSWORD)
            await terminal.answer(WHICH, "all")
            await terminal.answer(FLOOR, "48")
            await terminal.answer(WRITE, "")
            assert await terminal.end() == 0
            assert "HMS-400" in terminal.said
        async with asked(devices, other) as terminal:
            await terminal.answer(ADMIN, "wrong-one", "wrong-two", "wrong-three")
            await terminal.hear("problem  OpenDTU refuses the password, so none is written")
            await terminal.answer(WHICH, "all")
            await terminal.answer(FLOOR, "48")
            await terminal.answer(WRITE, "")
            assert await terminal.end() == 0
    assert tomli.loads(path.read_text())["opendtu"]["password"] == PASSWORD
    assert "wrong-" not in other.read_text()


async def test_what_a_terminal_with_another_character_set_sends_is_a_wrong_answer(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices:
        where = ("--config", path, "--meter", "127.0.0.1:1", "--opendtu", devices.opendtu.host)
        async with at_terminal("init", *where, **NOBODY_ANNOUNCED, LC_ALL="C") as terminal:
            await terminal.answer("Address of the Shelly", b"shelly-k\xfcche", devices.meter.host)
            await terminal.answer(ADMIN, b"passw\xf6rt", PASSWORD)
            await terminal.answer(WHICH, "")
            await terminal.answer(FLOOR, "48")
            await terminal.answer(WRITE, "")
            assert await terminal.end() == 0
            assert "Traceback" not in terminal.said
    assert tomli.loads(path.read_text())["opendtu"]["password"] == PASSWORD


async def test_a_channel_that_the_meter_does_not_have_is_asked_again(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices, Gen2Server(devices.dtu, devices.clock, device="pro3em-mono") as meter:
        devices.meter = meter
        async with asked(devices, path) as terminal:
            await terminal.answer("Channel", "Summe", "7", "a", "sum")
            await terminal.answer(ADMIN, "")
            await terminal.answer(WHICH, "all")
            await terminal.answer(FLOOR, "48")
            await terminal.answer(WRITE, "")
            assert await terminal.end() == 0
    assert tomli.loads(path.read_text())["meter"]["channel"] == "sum"


# ---- who may read what was written -------------------------------------------------------------------------------

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
NOBODY = pwd.getpwnam("nobody")
WITH_A_SERVICE = """
import sys
from opendtu_dcload import cli
from opendtu_dcload.doctor.written import config_file
config_file.SERVICE_USER = sys.argv[1]
sys.exit(cli.main(sys.argv[2:]))
"""


async def write(devices: Devices, path: Path, service: str) -> str:
    where = ("--config", path, "--meter", devices.meter.host, "--opendtu", devices.opendtu.host)
    async with at_terminal(service, "init", *where, program=WITH_A_SERVICE) as terminal:
        await terminal.answer(ADMIN, PASSWORD)
        await terminal.answer(WHICH, "all")
        await terminal.answer(FLOOR, "48")
        await terminal.answer(WRITE, "")
        assert await terminal.end() == 0
        return terminal.said.replace("\r\n", "\n")


def rights(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


@AS_ROOT
async def test_what_root_writes_in_the_folder_of_somebody_is_theirs(tmp_path: Path):
    os.chown(tmp_path, NOBODY.pw_uid, NOBODY.pw_gid)
    async with plant() as devices:
        said = await write(devices, tmp_path / "config.toml", "no-such-user")
    assert rights(tmp_path / "config.toml") == (NOBODY.pw_uid, NOBODY.pw_gid, 0o600)
    assert "config.toml is written, only nobody may read it\n" in said


@AS_ROOT
@pytest.mark.parametrize("mode", [None, 0o600, 0o644], ids=["new", "copied for root alone", "copied for all"])
async def test_the_user_of_the_service_can_read_what_root_writes(tmp_path: Path, mode: int | None):
    path = tmp_path / "config.toml"
    if mode is not None:
        path.write_text(shipped_text())
        path.chmod(mode)
    async with plant() as devices:
        said = await write(devices, path, "nobody")
    assert rights(path) == (0, NOBODY.pw_gid, 0o640)
    assert "config.toml is written, only root and nobody may read it\n" in said


async def test_where_the_service_has_no_user_only_the_owner_can_read_a_password(tmp_path: Path):
    async with plant() as devices:
        said = await write(devices, tmp_path / "config.toml", "no-such-user")
    assert rights(tmp_path / "config.toml") == (os.geteuid(), os.getegid(), 0o600)
    assert f"is written, only {pwd.getpwuid(os.geteuid()).pw_name} may read it\n" in said


FULL = """
import resource, sys
from opendtu_dcload import cli
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
sys.exit(cli.main(sys.argv[1:]))
"""


async def test_a_full_disk_leaves_no_half_file_that_would_be_kept(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices:
        where = ("--config", path, "--meter", devices.meter.host, "--opendtu", devices.opendtu.host)
        async with at_terminal("init", *where, program=FULL) as terminal:
            await terminal.answer(ADMIN, "")
            await terminal.answer(WHICH, "all")
            await terminal.answer(FLOOR, "48")
            await terminal.answer(WRITE, "")
            assert await terminal.end() == 2
            assert "config.toml cannot be written (File too large)" in terminal.said
            assert "Traceback" not in terminal.said
    assert not path.exists()


# ---- the wrong device --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", [None, "of-the-shelly"], ids=["open", "locked"])
async def test_swapped_addresses_are_recognised_and_asked_for_again(tmp_path: Path, password: str | None):
    path = tmp_path / "config.toml"
    async with plant() as devices, Gen2Server(devices.dtu, devices.clock, password=password) as shelly:
        swapped = ("--meter", devices.opendtu.host, "--opendtu", shelly.host)
        async with at_terminal("init", "--config", path, *swapped, **NOBODY_ANNOUNCED) as terminal:
            await terminal.hear(f"meter.host = {devices.opendtu.host} is an OpenDTU, not a Shelly")
            await terminal.answer("Address of the Shelly", "no address!", "127.0.0.1:1", devices.meter.host)
            await terminal.hear(f"opendtu.host = {shelly.host} is a Shelly (SPEM-003CEBEU), not an OpenDTU")
            await terminal.answer("Address of OpenDTU", devices.opendtu.host)
            await terminal.answer(f"{ADMIN} of the OpenDTU at {devices.opendtu.host}", PASSWORD)
            await terminal.answer(WHICH, "")
            await terminal.answer(FLOOR, "")
            await terminal.answer(WRITE, "")
            assert await terminal.end() == 0
            assert "is more than an address" in terminal.said
            assert "Shelly at 127.0.0.1:1 cannot be reached" in terminal.said
    config = load_config(path)
    assert (config.meter.host, config.dtus[0].host) == (devices.meter.host, devices.opendtu.host)
