"""What is written by another way than the bus meets the bus's checks, and stands on the bus too."""

from __future__ import annotations

import math

import pytest

from opendtu_dcload.venus.bus.bus_address import UnixAddress
from opendtu_dcload.venus.gx.user_writes import apply_user_write
from tests.venus.gx.one_start import FIRST, METER, SERIALS, SWITCH, OneStart, gx

__all__ = ["gx"]  # fixtures


@pytest.fixture
async def start() -> OneStart:
    return OneStart(UnixAddress("/nowhere"))


@pytest.mark.parametrize(
    ("name", "raw", "holds"),
    [
        ("max_feed_in_w", "400", 400),
        ("max_feed_in_w", 399.6, 400),
        ("max_feed_in_w", 1e9, 800),
        ("grid_target_w", "-1000", -500),
        ("regulation", "0", 0),
        ("regulation", False, 0),
        (f"enabled_{SERIALS[1]}", 0, 0),
        ("surplus_from_soc_pct", 97, 97),
    ],
)
async def test_what_is_written_holds_within_its_range(start: OneStart, name: str, raw: object, holds: int):
    assert apply_user_write(start.controls, name, raw) == ""
    assert start.controls.by_name[name].value == holds


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("max_feed_in_w", "much"),
        ("max_feed_in_w", math.nan),
        ("max_feed_in_w", [400]),
        ("max_feed_in_w", b"400"),
        ("max_feed_in_w", None),
        pytest.param("max_feed_in_w", 10**5000, id="beyond measure"),
        ("max_feed_in_w", "9" * 5000),
        ("regulation", 2),
        ("regulation", 0.4),
        ("regulation", [1]),
        ("regulation", "-1"),
        ("regulation", "ON"),
        ("role", "grid"),
        ("", 1),
    ],
)
async def test_what_is_refused_changes_nothing_and_is_one_sentence(start: OneStart, name: str, raw: object):
    before = {known: control.value for known, control in start.controls.by_name.items()}
    said = apply_user_write(start.controls, name, raw)
    assert said
    assert said.isprintable()
    assert {known: control.value for known, control in start.controls.by_name.items()} == before


async def test_it_reaches_the_control_without_any_bus(start: OneStart):
    apply_user_write(start.controls, "max_feed_in_w", 300)
    apply_user_write(start.controls, f"enabled_{SERIALS[0]}", 0)
    start.controls._apply()
    assert start.state.overrides.max_feed_in_w == 300
    assert start.state.overrides.switched_off == {SERIALS[0]}


async def test_the_bus_shows_it_at_every_place(gx: OneStart, client):
    async with gx.running(client):
        assert apply_user_write(gx.controls, "max_feed_in_w", "250") == ""
        assert apply_user_write(gx.controls, f"enabled_{SERIALS[0]}", "0") == ""
        assert await client.get(METER, "/MaxFeedIn") == ["i", 250]
        assert await client.get(SWITCH, "/SwitchableOutput/max_feed_in/Dimming") == ["i", 250]
        assert await client.get(FIRST, "/Enabled") == ["i", 0]
