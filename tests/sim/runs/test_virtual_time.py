"""Virtual time passes when nothing else can be done, in order, and says when nothing will ever happen again."""

from __future__ import annotations

import asyncio

import pytest

from opendtu_dcload.sim.runs.virtual_time import StandstillError, VirtualLoop


def test_what_is_due_happens_in_order_at_its_time_and_the_world_is_there_before():
    moved: list[float] = []
    happened: list[tuple[str, float, float]] = []
    loop = VirtualLoop(100.0, moved.append)

    async def wait(name: str, time_s: float) -> None:
        await asyncio.sleep(time_s)
        happened.append((name, loop.time(), moved[-1]))

    tasks = [loop.create_task(wait(name, time_s)) for name, time_s in (("late", 7200.0), ("soon", 0.25), ("now", 0.0))]
    moved.append(100.0)
    loop.run_until(101.0)
    assert happened == [("now", 100.0, 100.0), ("soon", 100.25, 100.25)]
    loop.run_until(8000.0)
    assert happened[2] == ("late", 7300.0, 7300.0)
    assert loop.time() == 8000.0
    assert all(task.done() for task in tasks)
    loop.close()


def test_a_time_limit_is_virtual_too():
    loop = VirtualLoop(0.0, lambda _: None)

    async def hang() -> None:
        async with asyncio.timeout(3600.0):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        loop.run_until_complete(hang())
    assert loop.time() == 3600.0
    loop.close()


def test_when_nothing_is_due_any_more_it_says_so_instead_of_waiting_for_ever():
    loop = VirtualLoop(0.0, lambda _: None)
    with pytest.raises(StandstillError):
        loop.run_until_complete(asyncio.Event().wait())
    loop.close()
