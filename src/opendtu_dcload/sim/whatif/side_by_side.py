"""All variants played on one load, as many at once as there are processors; ended in order when the user wants that."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from opendtu_dcload.sim.whatif.dead_hour import DeadHour, play_death
from opendtu_dcload.sim.whatif.played_variant import Outcome, play
from opendtu_dcload.sim.whatif.variant import OWN, Variant

LOOK_S = 0.3
NICER = 5
"""The service may run on the same machine: it always goes first."""
STOPPED = -1.0
"""What the share done of a job is set to when it shall end."""

Progress = Callable[[float], None]


@dataclass(slots=True)
class Played:
    """What has come of it so far."""

    outcomes: list[Outcome] = field(default_factory=list)
    """In the order of the variants."""
    dead_hour: DeadHour | None = None
    is_complete: bool = True
    """False: the user ended it before."""


class _StoppedError(Exception):
    """The user ends it."""


@dataclass(frozen=True, slots=True)
class Job:
    """A variant to be played on a load, or with `is_death` what a relay is worth to it."""

    variant: Variant
    load_w: Sequence[float]
    seed: int
    record: Path | None = None
    is_death: bool = False

    def run(self, progress: Progress) -> Outcome | DeadHour | None:
        """Play it."""
        if self.is_death:
            return play_death(self.load_w, self.variant.plant, self.seed, progress)
        is_own = self.variant.name == OWN
        return play(self.variant, self.load_w, self.seed, progress, is_drawn=is_own, record=self.record)


def play_all(jobs: Sequence[Job], progress: Progress, processes: int | None = None) -> Played:
    """Play jobs, the first one first; after Ctrl-C what has ended until then is returned.

    Args:
        jobs: what is to be played.
        progress: is called with the share done.
        processes: how many at once; None = one for each processor.
    """
    count = min(processes or os.cpu_count() or 1, len(jobs))
    done: dict[int, Outcome | DeadHour | None] = {}
    is_complete = True
    try:
        with closing(_one_by_one(jobs, progress) if count == 1 else _at_once(jobs, progress, count)) as played:
            done.update(played)
    except KeyboardInterrupt:
        is_complete = False
    results = [done[number] for number in sorted(done)]
    deaths = [result for result in results if isinstance(result, DeadHour)]
    outcomes = [result for result in results if isinstance(result, Outcome)]
    return Played(outcomes, deaths[0] if deaths else None, is_complete)


def _one_by_one(jobs: Sequence[Job], progress: Progress) -> Generator[tuple[int, Any], None, None]:
    with _interrupted_between() as check:
        for number, job in enumerate(jobs):
            yield number, job.run(partial(_tell, progress, check, number, len(jobs)))


def _tell(progress: Progress, check: Callable[[], None], before: int, count: int, share: float) -> None:
    check()
    progress((before + share) / count)


@contextlib.contextmanager
def _interrupted_between() -> Generator[Callable[[], None], None, None]:
    """Give what raises KeyboardInterrupt after Ctrl-C, which itself does not: it would end a task of what is played."""
    asked: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: asked.append(number))

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


def _at_once(jobs: Sequence[Job], progress: Progress, count: int) -> Generator[tuple[int, Any], None, None]:
    from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait  # noqa: PLC0415  a GX may lack them
    from multiprocessing import get_context  # noqa: PLC0415  as above

    context = get_context("spawn")  # a fork copies whatever threads and loops the caller has
    shares: Any = context.Array("d", len(jobs))
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(shares,))
    try:
        numbers = {pool.submit(_run, number, job): number for number, job in enumerate(jobs)}
        waiting = set(numbers)
        while waiting:
            ended, waiting = wait(waiting, timeout=LOOK_S, return_when=FIRST_COMPLETED)
            for future in ended:
                shares[numbers[future]] = 1.0
                yield numbers[future], future.result()
            progress(sum(shares) / len(jobs))
    finally:
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C is as good as one
            for number in range(len(jobs)):
                shares[number] = STOPPED
            pool.shutdown(cancel_futures=True)


_shares: Any = None
"""How far each job is: shared with the process that waits for it."""


def _begin(shares: Any) -> None:
    global _shares  # noqa: PLW0603  a worker has no other place for it
    _shares = shares
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    quieten()
    with contextlib.suppress(OSError):
        os.nice(NICER)


def quieten() -> None:
    """Let nobody see what the played program logs: it would stand in the middle of the progress bar."""
    logging.getLogger("opendtu_dcload").addHandler(logging.NullHandler())


def _run(number: int, job: Job) -> Outcome | DeadHour | None:
    def progress(share: float) -> None:
        if _shares[number] == STOPPED:
            raise _StoppedError
        _shares[number] = share

    try:
        return job.run(progress)
    except _StoppedError:
        return None
