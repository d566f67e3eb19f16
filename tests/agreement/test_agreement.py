"""What is played both ways is the same, and what differs is told."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import tomli

from opendtu_dcload.config import parse_config
from opendtu_dcload.sim.peers.played_peer import setup_for
from opendtu_dcload.sim.runs.played import METER
from opendtu_dcload.sim.runs.program import plant_config
from tests.agreement.__main__ import HEAD, Results, table
from tests.agreement.real_run import Real, config_text
from tests.agreement.windows import CONTROLLERS, KINDS, PLAYED_S, WINDOWS


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_a_window_has_its_full_length(window) -> None:
    assert len(window.load_w) == PLAYED_S


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_the_process_is_configured_as_the_played_program_is(window) -> None:
    world = window.plant.world(window.load_w, 1)
    bounds = {"minimum_w": window.plant.minimum_w, "cap_w": window.plant.rated_w}
    setup = setup_for(world, {dtu.name: dtu.name for dtu in world.dtus}, METER, **bounds)
    assert parse_config(tomli.loads(config_text(asdict(setup)))) == plant_config(world, **bounds)


def results(tmp_path: Path, real_wh: float) -> Results:
    kept = Results(tmp_path / "kept.json")
    for window in WINDOWS:
        for controller in CONTROLLERS:
            kept.virtual[f"{window}, {controller}"] = [9.0, 11.0]
            kept.real[f"{window}, {controller}"] = Real(real_wh, 1, 1, 0.2, 0.3, 1.0)
    return kept


@pytest.mark.parametrize(("real_wh", "does_agree"), [(10.9, True), (11.1, False), (9.1, True), (8.9, False)])
def test_sums_that_differ_by_more_than_10_pct_do_not_agree(tmp_path, real_wh, does_agree) -> None:
    lines, agree = table(results(tmp_path, real_wh))
    assert agree is does_agree
    assert lines[0] == HEAD
    assert lines[-1].split() == [
        "all",
        "together",
        "on",
        "battery",
        "130.0",
        f"{13 * real_wh:.1f}",
        lines[-1].split()[-1],
    ]
    assert float(lines[-1].split()[-1]) == pytest.approx(10 * (real_wh - 10))
    assert lines[1].endswith(" starved")


def test_what_was_not_played_does_not_agree(tmp_path) -> None:
    assert table(Results(tmp_path / "none.json")) == ([HEAD], False)


def test_results_are_read_again(tmp_path) -> None:
    kept = results(tmp_path, 10.0)
    kept.keep()
    again = Results(tmp_path / "kept.json")
    assert (again.virtual, again.real) == (kept.virtual, kept.real)
    assert json.loads((tmp_path / "kept.json").read_text())["real"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_does_not_agree_is_not_made_up_for_by_the_others(tmp_path, kind) -> None:
    kept = results(tmp_path, 10.0)
    window = next(name for name, window in WINDOWS.items() if window.kind == kind)
    kept.virtual[f"{window}, ours"] = [30.0]
    kept.real[f"{window}, ours"] = Real(60.0, 1, 1, 0.2, 0.3, 1.0)
    lines, agree = table(kept)
    assert not agree
    assert sum(line.startswith(f"{kind} together") for line in lines) == len(CONTROLLERS)


def test_each_kind_is_played_by_three_windows() -> None:
    kinds = [window.kind for window in WINDOWS.values()]
    assert {kind: kinds.count(kind) for kind in KINDS} == {"switching": 7, "solar": 3, "synthetic": 3}
