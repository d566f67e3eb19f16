"""Times as America, spreadsheets and InfluxDB write them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from opendtu_dcload.errors import ConfigError
from opendtu_dcload.sim.loads.measured_load import MeasuredLoad
from opendtu_dcload.sim.runs.trace import read_traces

HALF_PAST_FIVE_S = 17 * 3600 + 1800
INFLUX = """\
#group,false,false,true,true,false,false,true,true
#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string
#default,_result,,,,,,,
,result,table,_start,_stop,_time,_value,_field,_measurement
,,0,2026-03-03T00:00:00Z,2026-03-04T00:00:00Z,2026-03-03T16:30:00.123456789Z,250,power,grid
,,0,2026-03-03T00:00:00Z,2026-03-04T00:00:00Z,2026-03-03T16:30:10Z,300,power,grid
"""


def read(tmp_path: Path, content: str, column: str | None = None) -> MeasuredLoad:
    path = tmp_path / "mine.csv"
    path.write_text(content)
    return read_traces([str(path)], column)


@pytest.mark.parametrize(
    ("times", "day"),
    [
        (("3/4/2026 5:30:00 PM", "3/4/2026 5:30:10 PM"), date(2026, 3, 4)),
        (("3/4/2026,5:30:00 PM", "3/4/2026,5:30:10 PM"), date(2026, 3, 4)),
        (("13/4/2026 5:30:00 pm", "13/4/2026 5:30:10 pm"), date(2026, 4, 13)),
        (("3.4.2026 5:30:00 PM", "3.4.2026 5:30:10 PM"), date(2026, 4, 3)),
        (("3/4/2026 17:30:00", "3/4/2026 17:30:10"), date(2026, 4, 3)),
        (("3/13/2026 17:30:00", "3/13/2026 17:30:10"), date(2026, 3, 13)),
    ],
)
def test_the_month_comes_first_where_hours_count_to_twelve(tmp_path: Path, times: tuple[str, str], day: date):
    names = "date,time,W" if "," in times[0] else "when,W"
    load = read(tmp_path, f"{names}\n{times[0]},250\n{times[1]},300\n")
    assert load.first_day == day
    assert load.rows == [(HALF_PAST_FIVE_S, 250.0), (HALF_PAST_FIVE_S + 10, 300.0)]


@pytest.mark.parametrize(
    ("time", "said"),
    [("3/4/2026 5:30 PM", ("month first",)), ("3/4/2026 17:30:00.5", ("day first",)), ("3.4.26 5:30", ())],
)
def test_an_order_that_the_file_does_not_tell_is_said(tmp_path: Path, time: str, said: tuple[str, ...]):
    notes = read(tmp_path, f"when,W\n{time},250\n").notes
    assert len(notes) == len(said)
    assert all(order in note for order, note in zip(said, notes, strict=True))


def test_a_time_of_day_may_count_to_twelve(tmp_path: Path):
    assert read(tmp_path, "t,W\n11:59:59 AM,100\n12:00:00 PM,200\n").rows == [(43199, 100.0), (43200, 200.0)]


@pytest.mark.parametrize("rows", ["46084,729167;250\n46084,729282;300\n", "46084.729167;250\n46084.729282;300\n"])
def test_days_since_1900_are_those_of_a_spreadsheet(tmp_path: Path, rows: str):
    load = read(tmp_path, f"Zeit;W\n{rows}")
    assert load.first_day == date(2026, 3, 3)
    assert load.rows == [(HALF_PAST_FIVE_S, 250.0), (HALF_PAST_FIVE_S + 10, 300.0)]


def test_what_is_no_day_of_a_spreadsheet_is_told(tmp_path: Path):
    times = [46084 + number / 86400 for number in range(300)]
    times.insert(250, 9e99)
    with pytest.raises(ConfigError, match="beyond the year 2099"):
        read(tmp_path, "Zeit;W\n" + "".join(f"{time};250\n" for time in times))


def test_powers_that_rise_are_no_times(tmp_path: Path):
    with pytest.raises(ConfigError, match="no column holds times"):
        read(tmp_path, "Zeit;W\nsoon;250\nlater;300\n", "W")


def test_seconds_of_a_day_are_none_of_a_spreadsheet(tmp_path: Path):
    assert read(tmp_path, "t_s,W\n46084.5,250\n46085.5,300\n").rows == [(46084, 250.0), (46085, 300.0)]


@pytest.mark.parametrize("content", [INFLUX, INFLUX + "\n" + INFLUX.replace("16:30", "16:31")])
def test_the_time_of_influxdb_is_no_bound_of_the_query(tmp_path: Path, berlin: None, content: str):
    load = read(tmp_path, content)
    assert load.rows[:2] == [(HALF_PAST_FIVE_S, 250.0), (HALF_PAST_FIVE_S + 10, 300.0)]
    assert len(load.rows) == 2 * content.count("#group")
    assert "_value" in load.told


def test_one_of_several_fields_of_influxdb_is_named(tmp_path: Path, berlin: None):
    rows = INFLUX.splitlines(keepends=True)[-2:]
    both = INFLUX + "".join(row.replace("power", "voltage").replace(",,0", ",,1") for row in rows)
    with pytest.raises(ConfigError, match="name one with --column: 'power', 'voltage'"):
        read(tmp_path, both)
    assert [power_w for _, power_w in read(tmp_path, both, "power").rows] == [250.0, 300.0]


def test_several_series_of_influxdb_are_refused(tmp_path: Path):
    rows = INFLUX.splitlines(keepends=True)[-2:]
    with pytest.raises(ConfigError, match="several series of InfluxDB: let the query give one of them"):
        read(tmp_path, INFLUX + "".join(row.replace("grid", "cellar").replace(",,0", ",,1") for row in rows))


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
def test_unix_time_may_count_in_smaller_units(tmp_path: Path, berlin: None, unit: int):
    load = read(tmp_path, f"time,W\n{1772555400 * unit},250\n{1772555410 * unit},300\n")
    assert load.rows == [(HALF_PAST_FIVE_S, 250.0), (HALF_PAST_FIVE_S + 10, 300.0)]
