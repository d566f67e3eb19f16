"""The controller decides as it did when the recordings were made; a rule that is changed is seen."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.cli import main
from opendtu_dcload.control import controller
from opendtu_dcload.control.commands import command_policy
from opendtu_dcload.control.protection import battery_guard, meter_age, meter_evidence
from opendtu_dcload.control.regulation import available_moves
from opendtu_dcload.recording.replay import replay
from opendtu_dcload.sim.runs.simulate import simulate
from tests.recording import FOLDER, recordings
from tests.recording.__main__ import PLAYED, decided_anew

LARGEST_BYTES = 150_000
BY_NAME = pytest.mark.parametrize("path", recordings(), ids=lambda path: path.name.partition(".")[0])


def events(path: Path) -> list[tuple[str, dict[str, Any]]]:
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return [next(iter(json.loads(line).items())) for line in lines]


@BY_NAME
def test_decides_the_same_again(path):
    outcome = replay(path)
    assert [str(difference) for difference in outcome.differences] == []
    assert path.stat().st_size < LARGEST_BYTES


def test_the_simulated_recordings_are_long_enough():
    for name in PLAYED:
        decided = [what for what, _ in events(FOLDER / f"{name}.jsonl.gz") if what == "decided"]
        assert len(decided) >= 900


def test_a_recording_decided_anew_is_a_recording_of_the_decisions_of_now(monkeypatch, tmp_path):
    path = beginning("mixed", 401, tmp_path)
    assert decided_anew(path).splitlines()[1:] == path.read_text().splitlines()[1:]
    monkeypatch.setattr(battery_guard, "MULTIPLUS_DELAY_S", 25.0)
    anew = decided_anew(path)
    assert replay(path).differences
    path.write_text(anew)
    assert not replay(path).differences


def test_the_recordings_have_everything_that_can_happen_in_them():
    found = [event for path in recordings() for event in events(path)]
    kinds = Counter(what for what, _ in found)
    assert kinds.keys() >= {"settings", "posted", "taken", "refused", "failed", "rebooted", "left"}
    commands = Counter(next(iter(document["command"])) for what, document in found if what == "posted")
    assert commands["limit"] > 200
    assert commands["power"] > 20
    assert commands["restart"] == 1
    reasons = {document["reason"] for what, document in found if what == "decided" and "reason" in document}
    assert reasons >= {
        "all_at_rated",
        "battery_low",
        "battery_refuses",
        "commands_ignored",
        "discharge_limit",
        "dtu_password",
        "dtu_silent",
        "feed_in_cap",
        "foreign_limits",
        "held",
        "lost_feeds",
        "meter_frozen",
        "meter_lost_off",
        "meter_stale_minimum",
        "meter_stale_ramp",
        "min_soc",
        "multiplus_charging",
        "regulating",
        "relay_open",
        "switched_off",
        "unconfirmed",
    }


def beginning(name: str, lines: int, folder: Path) -> Path:
    """Return a recording that ends after so many lines."""
    path = folder / "beginning.jsonl"
    whole = gzip.decompress((FOLDER / f"{name}.jsonl.gz").read_bytes()).decode()
    path.write_text("".join(whole.splitlines(keepends=True)[:lines]))
    return path


@pytest.mark.parametrize(
    ("module", "constant", "value", "name", "lines"),
    [
        pytest.param(meter_age, "BATTERY_DELAY_S", 59.0, "hms", 2700, id="the battery is low a second sooner"),
        pytest.param(battery_guard, "SOC_DELAY_S", 70.0, "hm", 1500, id="the SoC is too low 10 s later"),
        pytest.param(battery_guard, "MULTIPLUS_DELAY_S", 25.0, "mixed", 400, id="the MultiPlus charges 5 s longer"),
        pytest.param(meter_evidence, "METER_DELAY_S", 0.6, "hms", 100, id="the meter is a tenth of a second slower"),
        pytest.param(available_moves, "SHOWN_S", 3.0, "restless", 1200, id="a command is expected to show later"),
        pytest.param(command_policy, "SMALLEST_CHANGE_W", 30.0, "restless", 100, id="small changes are not worth it"),
    ],
)
def test_a_changed_rule_is_seen(monkeypatch, tmp_path, module, constant, value, name, lines):
    path = beginning(name, lines, tmp_path)
    assert not replay(path).differences
    monkeypatch.setattr(module, constant, value)
    outcome = replay(path)
    assert outcome.different
    assert outcome.differences


def test_the_command_shows_twenty_differences_and_counts_the_rest(monkeypatch, tmp_path, capsys):
    path = beginning("mixed", 400, tmp_path)
    assert main(["replay", str(path)]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert re.fullmatch(f"{path}: 1\\d\\d decisions made again, 0 of them are others now", first)
    assert rest == []
    monkeypatch.setattr(battery_guard, "MULTIPLUS_DELAY_S", 25.0)
    assert main(["replay", str(path)]) == 1
    first, *shown, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(f"{path}: 1\\d\\d decisions made again, 5 of them are others now", first)
    assert len(shown) == 20
    assert shown[1] == "    141.07 s  cap_w: 0.0 -> 2380.0"
    assert last == "... and 35 more differences"


def test_a_controller_that_fails_now_is_told_as_a_difference(monkeypatch, capsys):
    def fail(*_: object) -> None:
        raise ZeroDivisionError("here")

    monkeypatch.setattr(controller, "operating_range_of", fail)
    assert main(["replay", str(FOLDER / "restless.jsonl.gz")]) == 1
    assert "fails: ZeroDivisionError('here')" in capsys.readouterr().out


def test_a_simulation_can_be_recorded_and_is_not_changed_by_it(tmp_path):
    load_w = [200.0 + 500 * (second // 40 % 2) for second in range(310)]
    text = io.StringIO()
    assert simulate(load_w, record=text) == simulate(load_w)
    path = tmp_path / "simulated.jsonl"
    path.write_text(text.getvalue())
    outcome = replay(path)
    assert outcome.decisions >= 310
    assert not outcome.differences


def test_the_command_records_a_simulation(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trace, path = tmp_path / "house.csv", tmp_path / "simulated.jsonl"
    trace.write_text("t_s,power_w\n0,300\n250,700\n310,300\n")
    assert main(["simulate", "--alone", "--trace", str(trace), "--record", str(path)]) == 0
    assert main(["replay", str(path)]) == 0
    assert main(["simulate", "--trace", str(trace), "--record", str(tmp_path / "no" / "where")]) == 2
    assert "cannot be written: No such file or directory; name another file" in capsys.readouterr().err
