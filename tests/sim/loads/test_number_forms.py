"""Comma and point in powers: before decimals or between thousands, and never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from opendtu_dcload.errors import ConfigError
from opendtu_dcload.sim.runs.trace import read_traces


def powers_w(tmp_path: Path, name: str, separator: str, cells: Sequence[str], others: str = "x") -> list[float]:
    path = tmp_path / "mine.csv"
    rows = [f'"{second}"{separator}"{cell}"{separator}"{others}"\n' for second, cell in enumerate(cells)]
    path.write_text(f"t_s{separator}{name}{separator}note\n" + "".join(rows))
    return [power_w for _, power_w in read_traces([str(path)], name).rows]


@pytest.mark.parametrize(
    ("name", "separator", "cells", "others", "expected_w"),
    [
        pytest.param("W", ";", ["1.720", "2.100"], "x", [1720, 2100], id="semicolons tell of decimal commas"),
        pytest.param("W", "\t", ["1.720", "2.100"], "230,1", [1720, 2100], id="another column has decimal commas"),
        pytest.param("W", ";", ["1.720", "2.100"], "230.1", [1.72, 2.1], id="another column has decimal points"),
        pytest.param("W", ",", ["950", "1.720"], "x", [950, 1720], id="950 would have decimals too, or 1.72 no zero"),
        pytest.param("W", ",", ["950", "1,720"], "x", [950, 1720], id="the same with commas"),
        pytest.param("W", ",", ["1,720", "950.5"], "x", [1720, 950.5], id="the decimals are in another cell"),
        pytest.param("W", ",", ["1,720", "1,720.5"], "x", [1720, 1720.5], id="a later cell has both"),
        pytest.param("W", ";", ["-1.720 W", "-950 W"], "x", [-1720, -950], id="with units, towards the grid"),
        pytest.param("W", ";", ["1.720", "250.123"], "x", [1.72, 250.123], id="no house draws 250 kW"),
        pytest.param("W", ";", ["1.720", "0.950"], "x", [1.72, 0.95], id="no thousand begins with 0"),
        pytest.param("W", ";", ["1.720", "1720"], "x", [1.72, 1720], id="one without a sign has thousands"),
        pytest.param("kW", ";", ["1.720", "2.100"], "x", [1720, 2100], id="no house draws thousands of kW"),
        pytest.param("grid", ",", ["1.720 kW", "2.100 kW"], "x", [1720, 2100], id="nor where the cells say kW"),
        pytest.param("W", ";", ["1,720", "2,100"], "x", [1.72, 2.1], id="semicolons and commas"),
    ],
)
def test_what_a_sign_means_is_told_by_the_column_and_the_file(
    tmp_path: Path, name: str, separator: str, cells: list[str], others: str, expected_w: list[float]
):
    assert powers_w(tmp_path, name, separator, cells, others) == pytest.approx(expected_w)


@pytest.mark.parametrize("cells", [["1.720", "2.100"], ["1,720", "2,100"], ["1.720", "2,100"]])
def test_what_may_mean_both_is_asked(tmp_path: Path, cells: list[str]):
    with pytest.raises(ConfigError) as caught:
        powers_w(tmp_path, "W", ",", cells)
    assert f"line 2: {cells[0]!r} in column 'W' may be 1720 or 1.720: export it without" in str(caught.value)
