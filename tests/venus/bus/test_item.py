import math

import pytest
from dbus_next.signature import Variant
from hypothesis import given
from hypothesis import strategies as st

from opendtu_dcload.venus.bus.item import Item

NUMBER = Item(kind=float, unit="W", digits=1)
COUNT = Item(kind=int)
TEXT = Item(kind=str)
NAMES = Item(kind=list)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_a_number_that_is_none_is_invalid(value):
    item = Item(kind=float, value=value)
    assert item.properties() == {"Value": Variant("ai", []), "Text": Variant("s", "---")}


@pytest.mark.parametrize(
    ("item", "signature", "value", "text"),
    [
        (Item(kind=float, value=230.06, unit="V", digits=1), "d", 230.1, "230.1V"),
        (Item(kind=float, value=-0.04, unit="W", digits=1), "d", 0.0, "0.0W"),
        (Item(kind=float, value=7, unit="W", digits=0), "d", 7.0, "7W"),
        (Item(kind=int, value=0xFFFF, text="0x{:X}".format), "i", 65535, "0xFFFF"),
        (Item(kind=int, value=True), "i", 1, "1"),
        (Item(kind=int, value=2**31), "ai", [], "---"),
        (Item(kind=str, value="HM-400 \N{DEGREE SIGN}"), "s", "HM-400 \N{DEGREE SIGN}", "HM-400 \N{DEGREE SIGN}"),
        (Item(kind=str, value="a\0b\ud800c\nd"), "s", "abcd", "abcd"),
        (Item(kind=list, value=["acload", "grid"]), "as", ["acload", "grid"], "acload, grid"),
    ],
)
def test_a_value_stands_on_the_bus_with_its_kind_and_text(item, signature, value, text):
    shown = item.properties()
    assert shown == {"Value": Variant(signature, value), "Text": Variant("s", text)}
    assert type(shown["Value"].value) is type(value)


@pytest.mark.parametrize(("item", "value"), [(COUNT, 1.5), (COUNT, "1"), (NUMBER, "1"), (TEXT, 1), (NAMES, "a")])
def test_a_value_of_another_kind_is_a_mistake(item, value):
    with pytest.raises(TypeError, match="is not of kind"):
        item.clean(value)


def test_a_limit_of_another_kind_is_a_mistake():
    with pytest.raises(TypeError, match="is not of kind int"):
        Item(kind=int, minimum=0.5)


@pytest.mark.parametrize(
    ("item", "raw", "expected"),
    [
        (NUMBER, 400, 400.0),
        (NUMBER, 399.96, 400.0),
        (NUMBER, "12.5", 12.5),
        (NUMBER, " 400 ", 400.0),
        (NUMBER, True, 1.0),
        (NUMBER, Variant("v", Variant("d", 3.0)), 3.0),
        (NUMBER, "nan", None),
        (NUMBER, math.nan, None),
        (NUMBER, "1e999", None),
        (NUMBER, "", None),
        (NUMBER, [], None),
        (NUMBER, [5], None),
        (NUMBER, {}, None),
        (NUMBER, b"5", None),
        (COUNT, "400", 400),
        (COUNT, 7.0, 7),
        (COUNT, 2**31, None),
        (COUNT, 1e300, None),
        pytest.param(COUNT, 10**400, None, id="beyond every float"),
        pytest.param(NUMBER, 10**400, None, id="beyond every float, decimals"),
        (NUMBER, 2**64, None),
        (TEXT, 2**64, None),
        (COUNT, False, 0),
        (TEXT, "x" * 255, "x" * 255),
        (TEXT, "x" * 256, None),
        (TEXT, 12, "12"),
        (TEXT, [], None),
        (NAMES, ["a", "b"], ["a", "b"]),
        (NAMES, [], None),
        (NAMES, [1], None),
        (NAMES, "a", None),
    ],
)
def test_what_a_client_writes_is_converted_or_nothing(item, raw, expected):
    converted = item.convert(raw)
    assert converted == expected
    assert type(converted) is type(expected)


SENT = st.recursive(
    st.booleans() | st.integers() | st.sampled_from([10**400, -(10**400)]) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=5,
)


@given(raw=SENT, item=st.sampled_from([NUMBER, COUNT, TEXT, NAMES]))
def test_nothing_a_client_sends_gets_through_unchecked(raw, item):
    converted = item.convert(raw)
    assert converted is None or type(converted) is item.kind
    assert item.clean(converted) == converted
    item.as_variant(converted)


@pytest.mark.parametrize("item", [NUMBER, COUNT])
def test_an_integer_beyond_every_float_is_shown_as_no_value(item):
    assert item.clean(10**400) is None
    assert item.clean(-(10**400)) is None


@pytest.mark.parametrize("value", [[1], ["a", 1], {1: "a"}, 10**5000], ids=["number", "mixed", "key", "large"])
def test_a_list_that_is_not_all_text_is_a_mistake_of_ours_and_told_as_one(value):
    with pytest.raises(TypeError, match="is not of kind list"):
        NAMES.clean(value)
