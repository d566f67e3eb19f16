from __future__ import annotations

import pytest

from opendtu_dcload.control.protection.relay_guard import DeadMan, RelayCommand
from opendtu_dcload.model import RelayOrder, RelayStatus

KEEP, CONNECT, HOLD, OPEN = RelayOrder.KEEP, RelayOrder.CONNECT, RelayOrder.HOLD, RelayOrder.OPEN
YOUNG = (1.0, 5.0)
ON = RelayStatus(0.0, is_on=True, has_timer=True)
OFF = RelayStatus(0.0, is_on=False)
WITHOUT_TIMER = RelayStatus(0.0, is_on=True)


@pytest.mark.parametrize(
    ("order", "ages_s", "relay", "command"),
    [
        pytest.param(CONNECT, YOUNG, None, RelayCommand.READ, id="unknown: is asked first"),
        pytest.param(OPEN, YOUNG, None, RelayCommand.READ, id="unknown and unwanted: is asked first"),
        pytest.param(KEEP, YOUNG, ON, RelayCommand.ARM, id="on: is kept on"),
        pytest.param(KEEP, YOUNG, OFF, RelayCommand.READ, id="off: stays off while limits are not known to rule"),
        pytest.param(CONNECT, YOUNG, OFF, RelayCommand.ARM, id="off: is armed when they are"),
        pytest.param(CONNECT, (1.0, 60.0), OFF, RelayCommand.READ, id="but not blindly"),
        pytest.param(KEEP, (60.0, 1.0), ON, RelayCommand.READ, id="the meter is old: left to its timer"),
        pytest.param(HOLD, YOUNG, ON, RelayCommand.READ, id="a guard objects: left to its timer"),
        pytest.param(OPEN, YOUNG, ON, RelayCommand.OPEN, id="a guard demands: off at once"),
        pytest.param(OPEN, YOUNG, OFF, RelayCommand.READ, id="and not again and again"),
        pytest.param(KEEP, YOUNG, WITHOUT_TIMER, RelayCommand.ARM, id="somebody switched it on: gets its timer"),
        pytest.param(HOLD, YOUNG, WITHOUT_TIMER, RelayCommand.OPEN, id="and is off when it may not stay"),
        pytest.param(KEEP, (60.0, 1.0), WITHOUT_TIMER, RelayCommand.OPEN, id="or nobody knows"),
    ],
)
def test_what_the_relay_is_told(order, ages_s, relay, command):
    assert DeadMan().next(0.0, order, ages_s, relay) is command


def test_it_is_armed_each_minute_and_read_in_between():
    dead_man = DeadMan()
    told: dict[RelayCommand, list[int]] = {RelayCommand.ARM: [], RelayCommand.READ: []}
    for now_s in range(181):
        command = dead_man.next(now_s, KEEP, YOUNG, ON)
        if command is not None:
            told[command].append(now_s)
            dead_man.done(command, now_s)
    assert told[RelayCommand.ARM] == [0, 60, 120, 180]
    assert told[RelayCommand.READ][:3] == [5, 10, 15]


def test_a_relay_that_does_not_answer_is_asked_every_ten_seconds():
    dead_man, asked_s = DeadMan(), []
    for now_s in range(31):
        if dead_man.next(now_s, KEEP, YOUNG, ON) is not None:
            asked_s.append(now_s)
            dead_man.failed(now_s)
    assert asked_s == [0, 10, 20, 30]
