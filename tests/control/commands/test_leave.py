"""The last commands to one DTU, on virtual time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Iterator

import pytest

from opendtu_dcload.control.commands.command_policy import Command, SetLimit
from opendtu_dcload.control.commands.leave import AGAIN_S, LEAVE_S, Parting, leave_dtu
from opendtu_dcload.errors import DeviceBusyError, DeviceConnectionError, DeviceError, DeviceRefusedError
from opendtu_dcload.model import CommandState, LimitStatus

SERIALS = ["1124a0000001", "1124a0000002", "1124a0000003"]
COMMANDS = [SetLimit(serial, 20.0) for serial in SERIALS]
HANGS_S = 3600.0


class VirtualSelector(selectors.SelectSelector):
    """Does not wait: the time until the next timer passes at once."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now_s += timeout or 0.0
        return super().select(0)


def on_virtual_time(work: Awaitable[Parting]) -> tuple[Parting, float]:
    """Return what became of it, and the seconds it took."""

    async def timed() -> tuple[Parting, float]:
        return await work, selector.now_s

    selector = VirtualSelector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now_s  # type: ignore[method-assign]  # the loop has no other way to another clock
    try:
        return loop.run_until_complete(timed())
    finally:
        loop.close()


class ScriptedDtu:
    """Answers each command as its script says: so many seconds late, or with an error."""

    def __init__(self, answers: Iterator[float | DeviceError], acknowledges_after_s: float = HANGS_S) -> None:
        self.answers = answers
        self.acknowledges_after_s = acknowledges_after_s
        self.told: list[tuple[float, str]] = []
        self.is_pressed = False

    def insist(self) -> None:
        self.is_pressed = True

    async def send(self, command: Command) -> None:
        self.told.append((asyncio.get_running_loop().time(), command.serial))
        answer = next(self.answers)
        if isinstance(answer, DeviceError):
            raise answer
        await asyncio.sleep(answer)

    async def limits(self) -> dict[str, LimitStatus]:
        now_s = asyncio.get_running_loop().time()
        pct = 5.0 if now_s >= self.acknowledges_after_s else 50.0
        return {s: LimitStatus(s, now_s, pct, 400.0, CommandState.OK) for s in SERIALS}


def rules(status: LimitStatus, command: SetLimit) -> bool:
    return status.limit_pct == command.limit_w / 4


def forever(answer: float | DeviceError) -> Iterator[float | DeviceError]:
    while True:
        yield answer


def leave(dtu: ScriptedDtu, earlier: Callable[[], Awaitable[None]] | None = None) -> tuple[Parting, float]:
    async def work() -> Parting:
        posts = {SERIALS[0]: asyncio.ensure_future(earlier())} if earlier is not None else {}
        return await leave_dtu(dtu, COMMANDS, dtu.send, rules, posts)  # type: ignore[arg-type]  # stands for OpenDtu

    return on_virtual_time(work())


def test_each_is_told_once_and_known_to_obey() -> None:
    dtu = ScriptedDtu(forever(0.1), acknowledges_after_s=2.0)
    parting, took_s = leave(dtu)
    assert [serial for _, serial in dtu.told] == SERIALS
    assert parting.acknowledged == set(SERIALS)
    assert took_s < 3


def test_what_is_not_acknowledged_in_time_is_taken_and_no_more() -> None:
    parting, took_s = leave(ScriptedDtu(forever(0.1)))
    assert not parting.acknowledged
    assert parting.taken == set(SERIALS)
    assert took_s <= LEAVE_S


@pytest.mark.parametrize("late_s", [0.5, 1.2, 3.0, HANGS_S])
def test_it_ends_in_time_however_slowly_the_dtu_answers(late_s: float) -> None:
    dtu = ScriptedDtu(forever(late_s))
    parting, took_s = leave(dtu)
    assert took_s <= LEAVE_S + 0.01
    assert took_s < 5, "what ends the program late is killed"
    assert {serial for _, serial in dtu.told} == set(SERIALS)
    unanswered = set(SERIALS) if late_s > (LEAVE_S - AGAIN_S) / len(SERIALS) else set()
    assert parting.uncertain.keys() == unanswered
    assert len(dtu.told) == len(SERIALS) + len(unanswered), "told again where no answer came"


def test_a_command_on_its_way_is_awaited_and_not_repeated_when_it_is_answered() -> None:
    done: list[bool] = []

    async def earlier() -> None:
        await asyncio.sleep(1.9)
        done.append(True)

    dtu = ScriptedDtu(forever(0.1))
    leave(dtu, earlier)
    assert done
    assert len(dtu.told) == len(SERIALS)
    assert dtu.told[0][0] >= 1.9


def test_after_one_that_was_never_answered_the_last_word_comes_at_the_end() -> None:
    async def earlier() -> None:
        await asyncio.sleep(HANGS_S)

    dtu = ScriptedDtu(forever(0.1))
    _, took_s = leave(dtu, earlier)
    at_s, serial = dtu.told[-1]
    assert serial == SERIALS[0]
    assert len(dtu.told) == len(SERIALS) + 1
    assert at_s >= LEAVE_S - AGAIN_S
    assert took_s <= LEAVE_S + 0.01


def test_one_that_failed_long_ago_without_an_answer_may_still_come_too() -> None:
    async def earlier() -> None:
        raise DeviceConnectionError("gone")

    dtu = ScriptedDtu(forever(0.1))
    leave(dtu, earlier)
    assert [serial for _, serial in dtu.told] == [*SERIALS, SERIALS[0]]


@pytest.mark.parametrize(
    ("error", "times"),
    [(DeviceRefusedError("no", 5002), 1), (DeviceConnectionError("gone"), 2), (DeviceBusyError("busy", 60.0), 2)],
    ids=["refuses", "is gone", "is overloaded"],
)
def test_a_dtu_that_does_not_take_it_is_never_said_to_have(error: DeviceError, times: int) -> None:
    dtu = ScriptedDtu(forever(error))
    parting, took_s = leave(dtu)
    assert dtu.is_pressed
    assert len(dtu.told) == times * len(SERIALS)
    assert parting.acknowledged | parting.taken == set()
    assert parting.declined.keys() | parting.uncertain.keys() == set(SERIALS)
    assert took_s <= LEAVE_S + 0.01
