"""What a message may do: as much as a write on the GX, and one that the broker has kept nothing at all."""

from __future__ import annotations

import logging

import pytest

from opendtu_dcload.mqtt.command_door import CommandDoor
from tests.config.correct_config import SERIAL
from tests.mqtt.told_plant import ToldPlant


class Door:
    def __init__(self) -> None:
        self.plant = ToldPlant()
        assert self.plant.controls is not None
        self.controls = self.plant.controls
        self.door = CommandDoor(self.controls, self.plant.topics.controls([SERIAL]))

    def take(self, topic: str, payload: object, *, is_retained: bool = False) -> bool:
        return self.door.take(f"opendtu-dcload/{topic}", payload, is_retained=is_retained)

    def values(self) -> dict[str, int]:
        return {name: control.value for name, control in self.controls.by_name.items()}


@pytest.fixture
async def door() -> Door:
    return Door()


@pytest.mark.parametrize(
    ("topic", "payload", "name", "holds"),
    [
        ("plant/set/max_feed_in_w", b"400", "max_feed_in_w", 400),
        ("plant/set/max_feed_in_w", b" 399.6\n", "max_feed_in_w", 400),
        ("plant/set/max_feed_in_w", b"1e6", "max_feed_in_w", 800),
        ("plant/set/grid_target_w", b"-20", "grid_target_w", -20),
        ("plant/set/regulation", b"0", "regulation", 0),
        (f"inverter/{SERIAL}/set/enabled", b"0", f"enabled_{SERIAL}", 0),
    ],
)
async def test_a_command_holds(door: Door, topic: str, payload: bytes, name: str, holds: int):
    assert door.take(topic, payload)
    assert door.values()[name] == holds


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"much",
        b"nan",
        b"inf",
        b"-inf",
        b"\xff\xfe",
        b"\x00",
        "٣".encode(),
        b"4" * 33,
        b"{}",
        b"[400]",
        b"1_0",
        "400",
        None,
    ],
)
async def test_what_is_refused_changes_nothing_and_is_one_line(
    door: Door, payload: object, caplog: pytest.LogCaptureFixture
):
    before = door.values()
    for _ in range(3):
        assert not door.take("plant/set/max_feed_in_w", payload)
    assert door.values() == before
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("MQTT: max_feed_in_w: ")
    assert line.isprintable()


async def test_after_something_was_taken_a_refusal_is_news_again(door: Door, caplog: pytest.LogCaptureFixture):
    for payload in (b"x", b"y", b"1", b"z"):
        door.take("plant/set/regulation", payload)
    assert len(caplog.records) == 2


async def test_a_command_that_the_broker_kept_is_ignored_and_told(door: Door, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    before = door.values()
    assert not door.take("plant/set/regulation", b"0", is_retained=True)
    assert door.values() == before
    assert "a retained command is ignored" in caplog.text


@pytest.mark.parametrize("topic", ["plant", "plant/set/role", "inverter/999999999999/set/enabled", "", "plant/set/"])
async def test_other_topics_are_no_commands(door: Door, topic: str, caplog: pytest.LogCaptureFixture):
    assert not door.take(topic, b"1")
    assert not caplog.records


async def test_where_nothing_may_be_commanded_no_topic_is_listened_to():
    assert CommandDoor(None, ToldPlant().topics.controls([SERIAL])).topics == []
