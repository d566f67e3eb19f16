from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.terminal.plain_text import columns, printable
from opendtu_dcload.terminal.short_names import LONGEST, short_names


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["HMS-400 1", "HMS-400 2"], ["1", "2"]),
        (["Garage roof HMS", "Shed roof HMS"], ["Garage", "Shed"]),
        (["HMS-400"], ["HMS-400"]),
        (["Garage Süd"], ["Garage Süd"]),
        (["Balcony of the neighbours"], ["Balcony of"]),
        (["HMS-400", "HMS-400 2"], ["HMS-400", "HMS-400 2"]),
        (["Wechselrichter-Nord", "Wechselrichter-West"], ["chter-Nord", "chter-West"]),
        (["same", "same"], ["1", "2"]),
        (["Wechselrichter-1-Nord", "Wechselrichter-2-Nord", ""], ["ter-1-Nord", "ter-2-Nord", "222222222"]),
        (["", ""], ["000000000", "111111111"]),
    ],
)
def test_names_are_short_and_tell_the_inverters_apart(names, short):
    serials = [f"{number}" * 9 for number in range(len(names))]
    assert list(short_names(dict(zip(serials, names, strict=True))).values()) == short


@given(st.lists(st.text(max_size=30), max_size=12))
def test_whatever_devices_are_called_their_short_names_are_distinct_and_fit(names):
    short = list(short_names({str(number): name for number, name in enumerate(names)}).values())
    assert len(set(short)) == len(names)
    assert all(name and columns(name) <= LONGEST and name == printable(name) for name in short)
