"""Who may command an inverter on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

import pytest

from opendtu_dcload import single_instance as module
from opendtu_dcload.single_instance import alone

pytestmark = pytest.mark.realtime

HOST = f"dtu-of-{os.getpid()}"
"""Other tests of this machine have another one."""
A, B = (HOST, "114181807700"), (HOST, "114181807701")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.005)


async def enter(*inverters: tuple[str, str]) -> tuple[contextlib.AsyncExitStack, asyncio.Task[None]]:
    stack = contextlib.AsyncExitStack()
    task = asyncio.create_task(stack.enter_async_context(alone(inverters, lambda: None)))
    await asyncio.sleep(0.02)
    return stack, task


async def test_one_common_inverter_is_enough_to_wait_and_the_order_in_the_file_does_not_matter() -> None:
    first, entering = await enter(A, B)
    second, waiting = await enter(B, A)
    other, free = await enter((f"another-{HOST}", A[1]))
    assert (entering.done(), waiting.done(), free.done()) == (True, False, True)
    await first.aclose()
    await waiting
    await second.aclose()
    await other.aclose()


async def test_who_gives_up_waiting_keeps_nothing() -> None:
    holder, _ = await enter(B)
    _, waiting = await enter(A, B)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    taker, taking = await enter(A)
    assert taking.done()
    await taker.aclose()
    await holder.aclose()


async def test_a_process_that_is_killed_holds_nobody_up() -> None:
    code = (
        "import asyncio; from opendtu_dcload.single_instance import alone\n"
        "async def main():\n"
        f"    async with alone([{A!r}], lambda: None):\n"
        "        print(flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    stack, waiting = await enter(A)
    assert not waiting.done()
    process.kill()
    await process.wait()
    await waiting
    await stack.aclose()
