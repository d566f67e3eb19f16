"""Traces that a user brings: read as a spreadsheet writes them, or refused with the cause."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from opendtu_dcload.errors import ConfigError
from opendtu_dcload.sim.runs.simulate import simulate
from opendtu_dcload.sim.runs.trace import load_trace


@pytest.mark.parametrize(
    "content",
    [
        "t_s,power_w\n0,250.5\n2,-80\n",
        "t_s;power_w\n0;250,5\n2;-80\n",
        "\N{BYTE ORDER MARK}t_s;power_w\r\n0,0;250,50\r\n2,0;-80,0\r\n",
        't_s,power_w\n0,"250,5"\n2,-80\n\n',
        '"power_w";"t_s";"note"\n250.5;0;\n-80;2;sun\n',
    ],
)
def test_a_trace_is_read_with_either_separator_and_either_decimal_sign(tmp_path: Path, content: str):
    path = tmp_path / "mine.csv"
    path.write_text(content, encoding="utf-8")
    assert load_trace(str(path)) == [250.5, 250.5, -80.0]
    path.write_bytes(gzip.compress(content.encode()))
    assert load_trace(str(path)) == [250.5, 250.5, -80.0]
    path.write_bytes(gzip.compress(content.encode()[:12]) + gzip.compress(content.encode()[12:]))
    assert load_trace(str(path)) == [250.5, 250.5, -80.0]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("", "there are no lines in it"),
        (
            "time;power\n0;1\n1;2\n",
            "column 'power' names no unit and holds nothing above 50: write W or kW in its name",
        ),
        ("t_s,power_w\n", "there are no lines below the first one"),
        ("t_s,power_w\n0,250,5\n1,300,0\n", "line 2 has more fields than the first line: delete what stands above"),
        ("t_s,power_w\n0,250\n1,watt\n", "line 3: 'watt' in column 'power_w' is no number"),
        ("t_s,power_w\n0,250\n1\n", "line 3 has fewer fields than the first line: complete it"),
        ("t_s,power_w\n0,1e9\n", "outside -100000 to 100000: is its unit right?"),
        ("t_s,power_w\n0,1e999\n", "outside -100000 to 100000: is its unit right?"),
        ("t_s,power_w\n0,nan\n", "no column holds powers"),
        ("t_s,power_w\n5,1\n4,2\n", "line 3: the time does not rise; sort the file by time"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_cause(tmp_path: Path, content: str, cause: str):
    path = tmp_path / "mine.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_trace(str(path))
    assert cause in str(caught.value)


def test_surplus_solar_can_be_played():
    result = simulate([300.0] * 400 + [-500.0] * 400)
    assert result.exported_wh > 0
    assert result.load_wh < 0
