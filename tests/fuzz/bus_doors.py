"""What anybody on the bus calls and writes: every service of the program, built as it starts."""

from __future__ import annotations

import math

from dbus_next.constants import MessageType
from dbus_next.message import Message

from opendtu_dcload.venus.bus.bus_address import UnixAddress
from opendtu_dcload.venus.bus.busitem import INTERFACE, BusService
from opendtu_dcload.venus.bus.item import ACCEPTED, NOT_WRITEABLE, REFUSED
from tests.fuzz.any_bus import AnyBus, ImpossibleError, as_bus_lines, received
from tests.fuzz.target import Target, check_text, parsed, run
from tests.venus.gx.one_start import METER, NUMBERS, SERIALS, TEXTS, OneStart

FEED_IN_W = 800.0
_INTERFACES = {"": None, "Peer": "org.freedesktop.DBus.Peer", "Introspectable": "org.freedesktop.DBus.Introspectable"}


def _recorded() -> list[bytes]:
    """Return a line for every place that can be written, some to an input."""
    numbers = [(name, path, 1) for name, path in NUMBERS]
    texts = [(name, path, "Garage") for name, path in TEXTS]
    places = [*numbers, *texts, (METER, "/Role", "acload")]
    return [
        b"".join(as_bus_lines({name: {path: value}}, "SetValue") for name, path, value in places[start : start + 6])
        for start in range(0, len(places), 6)
    ]


def _play_calls(data: bytes) -> bool:
    return run(_call(data))


async def _call(data: bytes) -> bool:
    accepted = 0
    start = OneStart(UnixAddress("/nowhere"), max_feed_in_w=FEED_IN_W)
    info = start.state.meter_info
    assert info is not None
    meter = start.meter.build(info)
    services = [start.switch.service, meter, *(inverter.service for inverter in start.inverters)]
    buses = {service.name: await _bus_of(service) for service in services}
    asked = AnyBus(data)
    for head, body in asked.lines.items():
        name, path, member, interface = (*head.split(" "), "", "", "", "")[:4]
        bus = buses.get(name, buses[METER])
        try:
            call = received(
                MessageType.METHOD_CALL,
                parsed(body),
                path=path,
                interface=_INTERFACES.get(interface, INTERFACE),
                member=member,
                sender=":1.9",
            )
        except ImpossibleError:
            continue
        bus.deliver(call)
        accepted += _is_accepted(call, bus.sent)
        bus.sent.clear()
    start.controls._apply()
    check_plant(start)
    for service in services:
        service._cancel_timer()
        _check_items(service)
    return accepted > 0


async def _bus_of(service: BusService) -> AnyBus:
    bus = AnyBus(b"")
    await service._start(bus.connection())
    return bus


def _is_accepted(call: Message, sent: list[Message]) -> bool:
    """Return whether something was written; fail unless there is the one answer that there may be."""
    (reply,) = [message for message in sent if message.message_type is not MessageType.SIGNAL]
    if reply.message_type is MessageType.ERROR:
        check_text(reply.body[0])
    elif call.member == "SetValue":
        assert reply.body in ([ACCEPTED], [NOT_WRITEABLE], [REFUSED])
    return bool(call.member == "SetValue" and reply.body == [ACCEPTED])


def check_plant(start: OneStart) -> None:
    """Fail unless what the control is told narrows the file, as it must whatever was written."""
    overrides = start.state.overrides
    for value, low, high in (
        (overrides.max_feed_in_w, 0, FEED_IN_W),
        (overrides.target_w, -500, 500),
        (overrides.highest_soc_pct, 74, 110),
        (overrides.surplus_soc_pct, 90, 98),
    ):
        assert value is None or (math.isfinite(value) and low <= value <= high), overrides
    assert overrides.switched_off <= set(SERIALS)
    assert isinstance(overrides.is_regulating, bool)


def _check_items(service: BusService) -> None:
    for path, item in service._items.items():
        assert item.value is None or isinstance(item.value, item.kind), path
        assert item.value is None or item.is_in_range(item.value), path
        check_text(item.as_text())


TARGETS = (Target("bus_calls", _play_calls, _recorded, share=5),)
