"""What anybody writes to a broker where we listen for commands."""

from __future__ import annotations

from opendtu_dcload.mqtt.command_door import CommandDoor
from opendtu_dcload.mqtt.topics import Topics
from opendtu_dcload.venus.bus.bus_address import UnixAddress
from tests.fuzz.bus_doors import FEED_IN_W, check_plant
from tests.fuzz.target import Target, lines_of, run
from tests.venus.gx.one_start import SERIALS, OneStart

_BASE = "opendtu-dcload"
_KEPT = "kept "
"""Begins the line of a message that the broker has kept."""


def _recorded() -> list[bytes]:
    payloads = {
        "plant/set/regulation": b"0",
        "plant/set/max_feed_in_w": b"399.6",
        "plant/set/grid_target_w": b"-20",
        f"inverter/{SERIALS[0]}/set/enabled": b"1",
    }
    lines = [topic.encode() + b" = " + payload + b"\n" for topic, payload in payloads.items()]
    return [*lines, b"".join(lines)]


def _play(data: bytes) -> bool:
    return run(_command(data))


async def _command(data: bytes) -> bool:
    start = OneStart(UnixAddress("/nowhere"), max_feed_in_w=FEED_IN_W)
    door = CommandDoor(start.controls, Topics(_BASE, "homeassistant").controls(SERIALS))
    is_taken = False
    for head, payload in lines_of(data).items():
        before = {name: control.value for name, control in start.controls.by_name.items()}
        is_kept = head.startswith(_KEPT)
        took = door.take(f"{_BASE}/{head.removeprefix(_KEPT)}", payload, is_retained=is_kept)
        after = {name: control.value for name, control in start.controls.by_name.items()}
        assert took or before == after, head
        assert not (took and is_kept), head
        is_taken |= took
    start.controls._apply()
    check_plant(start)
    return is_taken


TARGETS = (Target("mqtt", _play, _recorded, share=5),)
