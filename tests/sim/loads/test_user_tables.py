"""Tables as people have them: the columns are found whatever they are called, and mistakes are told with their line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from opendtu_dcload.errors import ConfigError
from opendtu_dcload.sim.loads.measured_load import MeasuredLoad
from opendtu_dcload.sim.runs.trace import read_traces

HALF_PAST_FIVE_S = 17 * 3600 + 1800
MARCH = date(2026, 3, 3)


def read(tmp_path: Path, *contents: str | bytes, column: str | None = None) -> MeasuredLoad:
    paths = []
    for number, content in enumerate(contents):
        path = tmp_path / f"mine{number}.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        paths.append(str(path))
    return read_traces(paths, column)


@pytest.mark.parametrize(
    "content",
    [
        "Zeit;Leistung (kW)\n03.03.2026 17:30:00;0,25\n03.03.2026 17:30:01;1,5\n",
        "Datum;Uhrzeit;Netzbezug [W];Notiz\n03.03.2026;17:30:00;250,0;\n03.03.2026;17:30:01;1.500,0;Herd\n",
        "heure,puissance_w\n2026-03-03T17:30:00,250\n2026-03-03T17:30:01,1500\n",
        "tid\teffekt\n2026/03/03 17:30:00\t250\n2026/03/03 17:30:01\t1500\n",
        'when,"what, in W"\n3/03/26 5:30:00 PM,250\n3/03/26 5:30:01 PM,"1,500.0"\n',
        "sep=;\r\nwhen;W\r\n2026-03-03 17:30;250 W\r\n2026-03-03 17:30:01;1500 W\r\n",
        "Time,grid\n2026-03-03 17:30:00,250 W\n2026-03-03 17:30:01,1.5 kW\n",
        "Zeit;Leistung [kW]\n2026-03-03 17:30:00;250,0 W\n2026-03-03 17:30:01;1,5\n",
        "entity_id,state,last_changed\nsensor.grid,250,2026-03-03 17:30:00\nsensor.grid,1500,2026-03-03 17:30:01\n",
        "2026-03-03 17:30:00;250\n2026-03-03 17:30:01;1500\n",
        "\N{BYTE ORDER MARK}zeit;energie_kwh;watt\n2026-03-03 17:30:00;0;250\n2026-03-03 17:30:01;1;1500\n",
        "zeit;Küche;watt\n2026-03-03 17:30:00;0;250\n2026-03-03 17:30:01;1;1500\n".encode("cp1252"),
        "zeit;watt\n2026-03-03 17:30:00;250\n2026-03-03 17:30:01;1500\n".encode("utf-16"),
        "Zeit;in Kilowatt\n03.03.2026 17:30:00;0,25\n03.03.2026 17:30:01;1,5\n",
        "Zeit;Netz;Netz\n[dd.MM.yyyy HH:mm:ss];[Wh];[kW]\n03.03.2026 17:30:00;0;0,25\n03.03.2026 17:30:01;1;1,5\n",
        "time,Grid,Grid\nEurope/Berlin (+01:00),U,P\n,V,W\n2026-03-03 17:30:00,230,250\n2026-03-03 17:30:01,230,1500\n",
    ],
)
def test_local_time_and_power_are_found_whatever_the_columns_are_called(tmp_path: Path, content: str | bytes):
    load = read(tmp_path, content)
    assert load.rows == [(HALF_PAST_FIVE_S, 250.0), (HALF_PAST_FIVE_S + 1, 1500.0)]
    assert load.first_day == MARCH
    assert load.per_second_w() == [250.0, 1500.0]


@pytest.mark.parametrize(
    ("row", "gap"),
    [
        ("2026-03-03 17:30:0{},{},W", ""),
        ("2026-03-03 17:30:0{} UTC,{},W", ""),
        ("3/3/2026 5:30:0{} PM,{},W", "unknown"),
    ],
)
def test_a_line_without_a_value_is_no_line_of_units(tmp_path: Path, row: str, gap: str):
    rows = [row.format(second, value) for second, value in enumerate(("250", gap, "300"))]
    load = read(tmp_path, "\n".join(["time,power,unit", *rows, ""]))
    assert [w for _, w in load.rows] == [250.0, 300.0]


@pytest.mark.parametrize("name", ["Kilowatt hours", "Kilowatt-hours", "kilowatthours", "Watt Stunden", "kWh"])
def test_energy_is_no_power_however_it_is_written(tmp_path: Path, name: str):
    with pytest.raises(ConfigError, match="energ"):
        read(tmp_path, f"Time,{name}\n0,1.0\n1,2.0\n2,3.0\n")
    assert [w for _, w in read(tmp_path, f"Time,{name},Power [W]\n0,1.0,250\n1,2.0,300\n").rows] == [250.0, 300.0]


@pytest.mark.parametrize(
    "times",
    [
        ("2026-03-03T16:30:00Z", "2026-03-03T16:30:02Z"),
        ("2026-03-03T17:30:00+01:00", "2026-03-03T17:30:02+01:00"),
        ("2026-03-03 16:30:00 UTC", "2026-03-03 16:30:02 UTC"),
        ("1772555400", "1772555402"),
        ("1772555400000", "1772555402000"),
    ],
)
def test_a_time_that_is_the_same_everywhere_is_told_by_the_clock_of_this_computer(
    tmp_path: Path, times: tuple[str, str], berlin: None
):
    load = read(tmp_path, f"time,watt\n{times[0]},300\n{times[1]},400\n")
    assert load.rows == [(HALF_PAST_FIVE_S, 300.0), (HALF_PAST_FIVE_S + 2, 400.0)]
    assert load.first_day == MARCH


def test_a_column_that_says_utc_is_believed(tmp_path: Path, berlin: None):
    assert read(tmp_path, "Time (UTC),watt\n2026-03-03 16:30:00,300\n").start_s == HALF_PAST_FIVE_S


@pytest.mark.parametrize(
    ("clock", "said"),
    [
        (["2026-10-25 02:58", "2026-10-25 02:59", "2026-10-25 02:00", "2026-10-25 02:01"], "back an hour"),
        (["2026-03-29 01:58", "2026-03-29 01:59", "2026-03-29 03:00", "2026-03-29 03:01"], "on an hour"),
    ],
)
def test_a_changed_clock_leaves_neither_a_gap_nor_a_knot(tmp_path: Path, clock: list[str], said: str):
    load = read(tmp_path, "zeit,watt\n" + "".join(f"{time},{100 + n}\n" for n, time in enumerate(clock)))
    assert [at_s - load.start_s for at_s, _ in load.rows] == [0, 60, 120, 180]
    assert any(said in note for note in load.notes)


def test_where_nothing_was_measured_the_value_before_holds_and_it_is_said(tmp_path: Path):
    load = read(tmp_path, "t_s,watt\n0,100\n1,unavailable\n2,\n3,200\n")
    assert load.per_second_w() == [100.0, 100.0, 100.0, 200.0]
    assert load.notes == ("Lines without a value: 2; the one before them holds.",)


def test_minutes_are_said_to_hide_what_switches_within_them(tmp_path: Path):
    load = read(tmp_path, "t_s,watt\n" + "".join(f"{60 * minute},{100 + minute}\n" for minute in range(5)))
    assert len(load.per_second_w()) == 300, "the last one holds as long as the others"
    assert "lower bounds" in load.notes[0]
    assert "mean over 60 s" in load.notes[0]


def test_a_time_of_day_alone_goes_on_over_midnight(tmp_path: Path):
    load = read(tmp_path, "t,W\n23:59:59,100\n00:00:00,200\n")
    assert load.rows == [(86399, 100.0), (86400, 200.0)]


def test_phases_in_files_of_their_own_are_added_for_the_time_that_all_have(tmp_path: Path):
    load = read(tmp_path, "t,W\n0,100\n10,200\n", "t,W\n5,1000\n8,2000\n")
    assert load.rows == [(5, 1100.0), (8, 2100.0)]
    assert load.end_s == 9


def test_a_column_or_a_sensor_can_be_named(tmp_path: Path):
    two = "t,a,b\n0,100,200\n1,300,400\n"
    with pytest.raises(ConfigError, match="several columns could be the power: name one with --column: 'a', 'b'"):
        read(tmp_path, two)
    assert read(tmp_path, two, column="b").per_second_w() == [200.0, 400.0]
    with pytest.raises(ConfigError, match="--column: no column 'c'; write one of: 't', 'a', 'b'"):
        read(tmp_path, two, column="c")
    sensors = "entity_id,state,last_changed\nsensor.a,100,2026-03-03 17:30:00\nsensor.b,200,2026-03-03 17:30:00\n"
    with pytest.raises(ConfigError, match=r"several sensors: name one with --column: 'sensor\.a', 'sensor\.b'"):
        read(tmp_path, sensors)
    assert read(tmp_path, sensors, column="sensor.b").per_second_w() == [200.0]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("zeit,W\n2026-13-03 17:30,100\n", "no column holds times"),
        ("zeit,W\n2026-03-03 17:30,100\n2026-03-03 25:30,100\n", "line 3: '2026-03-03 25:30' is no time"),
        ("zeit,W\n2026-03-03 17:30,100\n2026-03-03 17:31,100\nsoon,100\n", "line 4: 'soon' is no time like those"),
        ("zeit,W\n" + "".join(f"00:00:{s:02},1000\n" for s in range(60)) * 2, "line 62: the time does not rise"),
        ("zeit,W\n2026-03-03 17:30,100\n2026-03-03T17:31Z,100\n", "line 3: times with and without a time zone"),
        ("zeit,energie_kwh\n2026-03-03 17:30,100\n", "energies only"),
        ("zeit,note\n2026-03-03 17:30,warm\n", "no column holds powers"),
        ("zeit;bezug;verbrauch\n;[Wh];[Wh]\n2026-03-03 17:30;100;100\n", "energies only"),
        ("Haus am See\nzeit;W\n2026-03-03 17:30;100\n", "and with names in the first line"),
        ("Haus am See\nzeit;W\n2026-03-03 17:30;100,5\n", "line 3 has more fields than the first line: delete"),
        (b"PK\x03\x04\x14\x00", "save the table in it as CSV"),
        ("zeit,W\n9e99,100\n9e100,100\n", "beyond the year 2099"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place(tmp_path: Path, content: str | bytes, cause: str):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content)
    assert cause in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_part_of_it_is_what_lies_between_two_times(tmp_path: Path):
    load = read(tmp_path, "t,W\n0,100\n10,200\n20,300\n")
    assert load.within(5, 15).rows == [(5, 100.0), (10, 200.0)]
    assert load.within(5, 15).per_second_w() == [100.0] * 5 + [200.0] * 5
    with pytest.raises(ValueError, match="nothing in this time"):
        load.within(40, 50)
