"""What `check` finds, each case on the simulated devices behind real HTTP."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import tomli

from opendtu_dcload import cli
from opendtu_dcload.config import parse_config
from opendtu_dcload.doctor.checks.check import check
from opendtu_dcload.doctor.checks.check_computer import check_computer, is_allowed
from opendtu_dcload.doctor.checks.check_meter import tell_round_trip
from opendtu_dcload.doctor.findings import Findings, Level
from opendtu_dcload.sim.servers.http_server import Faults
from opendtu_dcload.sim.servers.opendtu_server import FACTORY_PASSWORD
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from opendtu_dcload.sim.servers.shelly_server import Gen1Server
from tests.doctor.plant import plant
from tests.doctor.told import notes, of, problems, silent
from tests.doubles.devices import PASSWORD, SERIALS, Devices

pytestmark = pytest.mark.realtime


async def found(plant: Devices, **changes: Any) -> Findings:
    findings = silent()
    await check(plant.parsed(**changes), findings, plant.clock.sleep)
    return findings


async def test_a_healthy_plant_has_no_problem_and_everything_is_told():
    async with plant() as devices:
        findings = await found(devices)
        posted = devices.opendtu.posted
    told = "\n".join(finding.text for finding in of(findings, Level.OK))
    assert problems(findings) == []
    for words in (
        "Python 3.",
        "aiohttp 3.",
        "clock 20",
        "meter SPEM-003CEBEU (generation 2, firmware 1.7.1, MAC a0dd6c112233)",
        "grid 50",
        "meter answered in",
        "OpenDTU firmware v26.3.30",
        "OpenDTU answered in",
        "OpenDTU accepts the password",
        "polls one inverter each 5 s, so each of its 2 once in 10 s",
        f"inverter {SERIALS[0]} 'HMS 1': 400 W rated, will be set from 20 to 400 W",
        f"inverter {SERIALS[1]}: limit now 25.0 %",
        "V, floor 40 V",
        "nobody changed a limit",
    ):
        assert words in told, words
    assert posted == []


def password_is_the_factorys(plant: Devices) -> None:
    plant.opendtu.password = FACTORY_PASSWORD


def commands_are_forbidden(plant: Devices) -> None:
    plant.dtu.commands_enabled = False


def clock_is_not_set(plant: Devices) -> None:
    plant.dtu.clock_set_after_s = 1e6


def polling_stops_at_night(plant: Devices) -> None:
    plant.dtu.is_polling = False


def battery_is_gone(plant: Devices) -> None:
    plant.dtu.house.inverters[SERIALS[0]].set_dc(0.0, on=False)
    plant.clock.now_s = 120.0


def data_are_old(plant: Devices) -> None:
    plant.dtu.reachable_threshold = 100
    battery_is_gone(plant)


def serial_is_wrong(plant: Devices) -> None:
    plant.serials = (SERIALS[0], "1124a0000009")


def model_is_unknown(plant: Devices) -> None:
    plant.dtu.unknown_models.add(SERIALS[0])
    plant.dtu.believed[SERIALS[0]].rated_w = 0.0


def meter_hides_export(plant: Devices) -> None:
    plant.meter.device = "plus1pm"


@pytest.mark.parametrize(
    ("spoil", "changes", "expected"),
    [
        (meter_hides_export, {}, ["shows export as import, so it cannot measure the grid: set meter.host to"]),
        (password_is_the_factorys, {}, ["factory password", "opendtu.password"]),
        (commands_are_forbidden, {}, ["sends it no commands", "at night", "sends it no commands", "at night"]),
        (clock_is_not_set, {}, ["NTP"]),
        (polling_stops_at_night, {}, ["does not reach it", "does not reach it"]),
        (battery_is_gone, {}, [f"{SERIALS[0]}: OpenDTU does not reach it by radio"]),
        (data_are_old, {}, [f"{SERIALS[0]}: OpenDTU heard of it"]),
        (serial_is_wrong, {}, ["1124a0000009 is not known to the DTU"]),
        (model_is_unknown, {}, [f"{SERIALS[0]}: OpenDTU does not know this model"]),
        (lambda _: None, {"floor_v": 12}, ["does not suit battery.min_voltage_v = 12"] * 2),
        (lambda _: None, {"floor_v": 480}, ["does not suit battery.min_voltage_v = 480"] * 2),
        (lambda _: None, {"floor_v": 60}, ["below battery.min_voltage_v = 60", "below battery.min_voltage_v = 60"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_each_trouble_is_a_problem_with_what_to_do(spoil: Any, changes: dict[str, Any], expected: list[str]):
    async with plant() as devices:
        spoil(devices)
        findings = await found(devices, **changes)
    told = problems(findings)
    assert len(told) == len(expected), told
    for problem, words in zip(told, expected, strict=True):
        assert words in problem
    assert all(finding.advice or ": " in finding.text for finding in of(findings, Level.PROBLEM))


async def test_what_cannot_measure_the_grid_is_welcome_at_plug_in_solar():
    async with plant() as devices:
        meter_hides_export(devices)
        findings = await found(devices, control=f'[solar]\nhost = "{devices.meter.host}"\n')
    assert len(problems(findings)) == 1
    assert any("plug-in solar" in finding.text for finding in of(findings, Level.OK))


async def test_a_wrong_serial_is_told_with_the_right_ones():
    async with plant(count=3, limits_w=(100.0,) * 3) as devices:
        devices.serials = ("1124a0000001", "1124a0000009")
        told = problems(await found(devices))
        devices.serials = ("1124a0000001", "1124a0000002", "1124a0000003", "1124a0000009")
        told += problems(await found(devices))
    assert "1124a0000009 is not known to the DTU: correct the serial" in told[0]
    assert "1124a0000002 (HMS 2), 1124a0000003 (HMS 3)" in told[0]
    assert "1124a0000001 (" not in told[0]
    assert told[1].endswith("1124a0000009 is not known to the DTU: add it there, it knows no other than those listed")


MIXED_UP = "correct it, the addresses of Shelly and OpenDTU may be swapped"


@pytest.mark.parametrize("password", ["", "of-the-shelly"], ids=["open", "locked"])
@pytest.mark.parametrize("server", [Gen1Server, Gen2Server], ids=["generation 1", "generation 2"])
async def test_swapped_addresses_are_recognised(server: Any, password: str):
    async with plant() as devices, server(devices.dtu, devices.clock, password=password or None) as shelly:
        text = devices.text().replace(devices.meter.host, "x").replace(devices.opendtu.host, shelly.host)
        findings = silent()
        await check(parse_config(tomli.loads(text.replace('"x"', f'"{devices.opendtu.host}"'))), findings)
        told = problems(findings)
        host = devices.opendtu.host
    assert told[0].startswith(f"meter.host = {host} is an OpenDTU, not a Shelly: {MIXED_UP}")
    assert told[1].startswith(f"opendtu.host = {shelly.host} is a Shelly (")
    assert f"), not an OpenDTU: {MIXED_UP}" in told[1]
    assert len(told) == 2


async def test_a_locked_shelly_and_a_silent_device_are_not_taken_for_anything_else():
    async with plant() as devices:
        devices.opendtu.faults = Faults(status=401)
        host = devices.opendtu.host
        findings = silent()
        await check(parse_config(tomli.loads(f'[meter]\nhost = "{host}"\n[opendtu]\nhost = "{host}"\n')), findings)
    assert not any("is an OpenDTU" in problem or "is a Shelly" in problem for problem in problems(findings))


async def test_the_dtu_in_place_of_plug_in_solar_or_relay_is_recognised():
    async with plant() as devices:
        host = devices.opendtu.host
        text = f'{devices.text()}[solar]\nhost = "{host}"\n[relay]\nhost = "{host}"\n'
        findings = silent()
        await check(parse_config(tomli.loads(text)), findings)
    assert [problem.partition(",")[0] for problem in problems(findings)] == [
        f"solar.host = {host} is an OpenDTU",
        f"relay.host = {host} is an OpenDTU",
    ]


@pytest.mark.parametrize(
    ("count", "interval_s", "expected"),
    [
        (1, 1.0, ""),
        (2, 1.0, ""),
        (3, 1.0, "too fast, little radio time is left for commands: set 2 s"),
        (6, 5.0, ""),
        (7, 5.0, "too slow: set the poll interval to 4 s"),
        (2, 20.0, "too slow: set the poll interval to 15 s"),
    ],
)
async def test_poll_interval_must_fit_the_number_of_inverters(count: int, interval_s: float, expected: str):
    async with plant(count=count, poll_interval_s=interval_s, limits_w=(100.0,) * count) as devices:
        devices.clock.now_s = 2 * count * interval_s
        findings = await found(devices, dtu="poll_interval_s = 60\n")
    told = problems(findings)
    assert expected in told[0] if expected else told == []


async def test_reading_faster_than_the_dtu_polls_is_noted():
    async with plant(poll_interval_s=9.0) as devices:
        findings = await found(devices, dtu="poll_interval_s = 1\n")
    assert any("set opendtu.poll_interval_s = 9" in note for note in notes(findings))


@pytest.mark.parametrize(("now_s", "are_old"), [(40.0, False), (80.0, True)])
async def test_values_are_as_old_as_the_control_takes_them_from_a_dtu_that_polls_slowly(now_s: float, are_old: bool):
    async with plant(poll_interval_s=9.0) as devices:
        data_are_old(devices)
        devices.clock.now_s = now_s
        findings = await found(devices, dtu="poll_interval_s = 1\n")
    assert any("heard of it" in problem for problem in problems(findings)) is are_old


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0, "one lost packet"), (2, ""), (20, "notices its loss only after")]
)
async def test_reachable_threshold_is_judged(threshold: int, expected: str):
    async with plant() as devices:
        devices.dtu.reachable_threshold = threshold
        told = [note for note in notes(await found(devices)) if "reachable threshold" in note]
    assert len(told) == (2 if expected else 0)
    assert all(expected in note for note in told)


@pytest.mark.parametrize(
    ("full_v", "maximum_w", "is_noted"), [(27.0, 400, True), (27.0, 200, False), (54.0, 400, False)]
)
async def test_what_an_inverter_misjudges_on_a_24_v_battery_is_noted(full_v: float, maximum_w: int, is_noted: bool):
    async with plant() as devices:
        devices.house.battery.empty_v, devices.house.battery.full_v = full_v / 1.1, full_v
        devices.clock.now_s = 20.0
        config = devices.table(floor_v=0.85 * full_v)
        config["inverter"] = [{**inverter, "max_power_w": maximum_w} for inverter in config["inverter"]]
        findings = silent()
        await check(parse_config(config), findings, devices.clock.sleep)
    assert any("24 V" in note and note.endswith("max_power_w = 200") for note in notes(findings)) is is_noted


async def test_after_a_restart_of_the_dtu_the_limits_are_said_to_be_unknown():
    async with plant() as devices:
        devices.dtu.boot()
        devices.clock.now_s = 20.0
        findings = await found(devices)
    assert problems(findings) == []
    assert sum("does not know its limit" in note for note in notes(findings)) == 2


async def test_limits_that_change_while_it_only_looks_are_another_controllers():
    async with plant() as devices:
        other = [200.0]

        async def sleep(duration_s: float) -> None:
            if other:
                devices.dtu.post_limit(SERIALS[1], 0, other.pop())
            await devices.clock.sleep(duration_s)

        findings = silent()
        await check(devices.parsed(), findings, sleep)
    (told,) = problems(findings)
    assert f"another controller sets limits: inverter {SERIALS[1]} from 25.0 to 50.0 %" in told


async def test_a_device_that_does_not_answer_leaves_the_others_checked():
    async with plant() as devices:
        config = devices.parsed()
        await devices.meter.stop()
        findings = silent()
        await check(config, findings, devices.clock.sleep)
        assert len(problems(findings)) == 1
        assert "meter.host" in problems(findings)[0]
        assert any("accepts the password" in finding.text for finding in findings.found)
        await devices.opendtu.stop()
        findings = silent()
        await check(config, findings, devices.clock.sleep)
        assert len(problems(findings)) == 2


async def test_without_a_listed_inverter_the_blocks_are_offered():
    async with plant() as devices:
        devices.serials = ()
        findings = await found(devices)
    (offer,) = [finding for finding in findings.found if finding.block]
    assert offer.block.startswith(f'[[inverter]]\nserial = "{SERIALS[0]}"  # HMS 1\n')


async def test_slow_answers_are_noted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("opendtu_dcload.doctor.checks.check_meter.SLOW_MS", 0.0)
    async with plant() as devices:
        findings = await found(devices)
    assert any("meter answered" in note and "WiFi" in note for note in notes(findings))


def test_a_computer_that_lost_its_time_is_told():
    findings = silent()
    check_computer(findings, datetime(1970, 1, 1, tzinfo=UTC))
    assert "NTP" in problems(findings)[0]


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("3.12.8", ">=3.12.8", True),
        ("3.9.5", ">=3.12.8", False),
        ("0.2.3", "==0.2.3", True),
        ("0.2.4", "==0.2.3", False),
        ("4.0.0rc1", ">=3.12.8", True),
        ("1.0", "", True),
    ],
)
def test_versions_are_compared_by_number(version: str, wanted: str, expected: bool):
    assert is_allowed(version, wanted) is expected


def test_a_package_that_is_too_old_or_missing_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    def version(name: str) -> str:
        if name == "tomli":
            raise metadata.PackageNotFoundError(name)
        return {"pydantic": "2.7.4"}.get(name, "99.0") if name != "dbus-next" else "0.2.3"

    monkeypatch.setattr(metadata, "version", version)
    findings = silent()
    check_computer(findings)
    assert [problem.split()[0:3] for problem in problems(findings)] == [
        ["pydantic", "2.7.4", "does"],
        ["the", "package", "tomli"],
    ]


# ---- the command ------------------------------------------------------------------------------------------------


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opendtu_dcload.doctor.checks.check.WATCHED_S", 0)
    for device in ("meter", "dtu"):  # a busy machine is no slow network
        monkeypatch.setattr(f"opendtu_dcload.doctor.checks.check_{device}.SLOW_MS", math.inf)


@pytest.mark.usefixtures("_quick")
async def test_json_lists_the_findings_and_the_exit_code_tells_of_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    async with plant() as devices:
        path = devices.config(tmp_path)
        code = await asyncio.to_thread(cli.main, ["check", "--json", "--config", str(path)])
        healthy = json.loads(capsys.readouterr().out)
        await devices.meter.stop()
        broken_code = await asyncio.to_thread(cli.main, ["check", "--json", "--config", str(path)])
        broken = json.loads(capsys.readouterr().out)
    assert (code, broken_code) == (0, 1)
    assert {frozenset(finding) for finding in healthy} == {frozenset({"level", "text", "advice", "block"})}
    assert "problem" not in {finding["level"] for finding in healthy}
    assert [finding["level"] for finding in broken].count("problem") == 1
    assert PASSWORD not in json.dumps(broken)


def test_json_has_the_mistakes_of_a_wrong_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "config.toml"
    path.write_text('[meter]\n[opendtu]\nhost = "192.168.1.51"\n')
    assert cli.main(["check", "--json", "--config", str(path)]) == 2
    (finding,) = json.loads(capsys.readouterr().out)
    assert finding["level"] == "problem"
    assert "meter.host is missing" in finding["text"]


@pytest.mark.usefixtures("_quick")
async def test_it_ends_with_how_many_problems_there_are_and_promises_no_further_attempt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    async with plant() as devices, Gen2Server(devices.dtu, devices.clock, password="of-the-shelly") as shelly:
        devices.meter = shelly
        devices.opendtu.password = "another"
        code = await asyncio.to_thread(cli.main, ["check", "--config", str(devices.config(tmp_path))])
    told = capsys.readouterr().out
    assert code == 1
    assert "wants a password: set meter.password\n" in told
    assert "refuses the password: correct opendtu.password\n" in told
    assert "attempt" not in told
    assert told.splitlines()[-1].endswith(" ok, 2 notes, 2 problems")


@pytest.mark.parametrize(
    ("took_ms", "words"), [([13.1, 12.9], "answered in 13 ms"), ([12.4, 13.6], "answered in 12 to 14 ms")]
)
def test_two_times_that_read_the_same_are_told_once(took_ms: list[float], words: str):
    findings = silent()
    tell_round_trip("OpenDTU", took_ms, 2000.0, findings)
    assert [finding.text for finding in findings.found] == [f"OpenDTU {words}"]
