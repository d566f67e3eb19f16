"""The load in a recording of the service is the load that the house had."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

from opendtu_dcload.sim.runs.simulate import simulate
from opendtu_dcload.sim.runs.trace import read_traces


def test_a_recording_tells_the_load_that_was_played(tmp_path: Path):
    true_w = [400.0] * 300 + [900.0] * 150 + [300.0] * 150
    path = tmp_path / "recording.jsonl"
    with path.open("w") as file:
        simulate(true_w, record=file)
    load = read_traces([str(path)])
    told_w = load.per_second_w()
    assert abs(len(told_w) - len(true_w)) < 10
    quiet = [(told_w[s], true_w[s]) for s in range(120, 580) if len({round(w) for w in true_w[s - 15 : s + 15]}) == 1]
    assert mean(abs(told - true) for told, true in quiet) < 15
    assert load.first_day is None
    assert "straight lines" in load.notes[0]
