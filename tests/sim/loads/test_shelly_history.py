"""What Shellies keep, in the forms in which their page and their addresses give it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opendtu_dcload.errors import ConfigError
from opendtu_dcload.sim.runs.trace import read_traces

GEN2 = """\
timestamp,a_total_act_energy,a_fund_act_energy,a_total_act_ret_energy,a_max_act_power,b_total_act_energy,b_total_act_ret_energy
1772555400,4.0000,3.9,0.0000,260.1,1.0,0.0
1772555460,4.0000,3.9,9.0000,260.1,1.0,0.0
1772555580,2.0000,1.9,0.0000,130.1,1.0,0.0
"""
ANSWER = {
    "keys": ["total_act_energy", "total_act_ret_energy", "max_voltage"],
    "data": [
        {"ts": 1772555400, "period": 60, "values": [[5, 0, 231.1], [5.0, 9.0, 231.0]]},
        {"ts": 1772555580, "period": 60, "values": [[3, 0, None]]},
    ],
}


def read(tmp_path: Path, *texts: str):
    paths = [tmp_path / f"history{number}" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return read_traces([str(path) for path in paths])


@pytest.mark.parametrize("text", [GEN2, json.dumps(ANSWER), json.dumps({"id": 1, "src": "x", "result": ANSWER})])
def test_minutes_of_generation_2_are_bought_less_given(tmp_path: Path, text: str, berlin: None):
    load = read(tmp_path, text)
    assert load.rows == [(63000, 300.0), (63060, pytest.approx(-240.0)), (63180, 180.0)]
    assert load.end_s == 63240
    assert load.missing_s(load.start_s, load.end_s) == 60


def test_the_three_files_of_the_first_3em_are_added(tmp_path: Path, berlin: None):
    def phase(letter: str, energy_wh: float) -> str:
        head = f"Date/time UTC,Active energy Wh ({letter}),Returned energy Wh ({letter})\n"
        return head + "".join(f"2026-03-03 16:{m:02},{energy_wh:.2f},1.00\n" for m in (30, 40, 50))

    load = read(tmp_path, phase("A", 31.0), phase("B", 11.0), phase("C", 6.0))
    assert load.per_second_w() == pytest.approx([6 * (30 + 10 + 5)] * 1800)
    assert load.start_s == 63000
    assert "mean over 600 s" in load.notes[0]
    assert any("all three of a 3EM" in note for note in load.notes)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('{"code": 404}', "add_keys=true"),
        ('{"keys": ["total_act_energy"], "data": [{"ts": 1, "period": 60, "values": [[1, 2]]}]}', "block 1 of data"),
        ('{"keys": ["total_act_energy"], "data": [{"ts": true, "period": 60, "values": []}]}', "block 1 of data"),
        (GEN2.replace("4.0000", "high", 1), "line 2: 'high' is no energy in Wh"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, cause: str):
    with pytest.raises(ConfigError, match=cause):
        read(tmp_path, text)
