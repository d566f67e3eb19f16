"""The settings against anything that can stand in a file."""

import datetime as dt
import math
import re
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opendtu_dcload.config import SECTIONS, parse_config
from opendtu_dcload.errors import ConfigError
from tests.config.correct_config import SECRET, SERIAL, table

# How pydantic speaks; none of it may reach a user.
JARGON = re.compile(
    r"input should|value error|extra inputs|field required|assertion|validation|input_|type=|pydantic|NoneType|\[\('",
    re.IGNORECASE,
)
KEYS = st.sampled_from(sorted({key for model in SECTIONS.values() for key in model.model_fields})) | st.text(max_size=8)
SCALARS = (
    st.text(max_size=60)
    | st.sampled_from(["192.168.1.50", SERIAL, "sum", "off", "auto", f"admin:{SECRET}@host", "a:1"])
    | st.integers()
    | st.integers(0, 500)
    | st.just(10**400)
    | st.floats()
    | st.booleans()
    | st.datetimes()
    | st.dates()
    | st.times()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
TABLES = st.dictionaries(
    st.sampled_from(sorted(SECTIONS)) | KEYS,
    VALUES
    | st.dictionaries(KEYS, VALUES, max_size=6)
    | st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=3),
    max_size=7,
)


@settings(max_examples=120, deadline=None)
@given(source=TABLES, key=st.sampled_from(["password", "password_env"]), is_list=st.booleans())
@example(source=table(), key="password", is_list=False)
@example(source=table(), key="password", is_list=True)
def test_any_table_is_taken_or_refused_in_plain_lines_that_hide_the_password(
    source: dict[str, Any], key: str, is_list: bool
):
    for name in ("meter", "opendtu"):
        if isinstance(source.get(name), dict):
            source = source | {name: source[name] | {key: [SECRET] if is_list else SECRET}}
    try:
        config = parse_config(source, Path("/nonexistent"), {})
    except ConfigError as error:
        refused = error
    else:
        assert SECRET not in f"{config!r} {config}"
        return
    assert refused.problems
    assert SECRET not in "".join(traceback.format_exception(refused))
    for line in refused.problems:
        assert len(line.splitlines()) == 1
        assert not JARGON.search(line), line


@pytest.mark.parametrize(
    ("section", "key"), [(section, key) for section, model in SECTIONS.items() for key in model.model_fields]
)
def test_a_wrong_value_of_any_setting_gives_one_line_about_it_in_our_words(section: str, key: str):
    is_inverter = section == "inverter"
    start = f"{'inverter[#1]' if is_inverter else section}.{key}: "
    refused = 0
    for value in (True, -0.5, -(10**9), 10**400, math.nan, "\x00", "", [], [1], {}, {"a": 1}, dt.time(1)):
        needed = {"host": "device"} if section in {"solar", "relay", "mqtt"} else {}
        needed |= {"user": "somebody"} if section == "mqtt" else {}
        change = [{"serial": SERIAL, key: value}] if is_inverter else {**needed, key: value}
        try:
            parse_config(table(**{section: change}))
        except ConfigError as error:
            refused += 1
            (line,) = [line for line in error.problems if line.startswith(start)]
            assert "; write " in line
            assert not JARGON.search(line), line
    assert refused >= 10
