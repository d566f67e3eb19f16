"""`simulate`: plays what the user asks, prints the result as a table and writes it as a page."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

from opendtu_dcload.errors import ConfigError
from opendtu_dcload.sim.whatif.figures import explanations, figures_of, flows, relay_told
from opendtu_dcload.sim.whatif.page import page_of
from opendtu_dcload.sim.whatif.question import Asked, Question, question_of
from opendtu_dcload.sim.whatif.side_by_side import Job, Played, play_all, quieten
from opendtu_dcload.sim.whatif.variant import variants_of
from opendtu_dcload.terminal.progress_bar import progress_bar

PAGE = Path("opendtu-dcload-simulation.html")
"""In the working directory, where a user looks for it; the next simulation replaces it."""
FAILED = 1
WIDTH = 100
"""Columns of what is told below the table."""


def print_simulation(
    asked: Asked,
    *,
    price: float | None = None,
    page: Path = PAGE,
    is_alone: bool = False,
    record: Path | None = None,
    processes: int | None = None,
) -> int:
    """Play, print and write; return the exit code.

    Args:
        asked: what is to be played.
        price: of a kWh; None = no money is told.
        page: where the page goes to.
        is_alone: play the user's own settings only.
        record: what is seen and decided with them goes into this file; None = nowhere.
        processes: how many at once; None = one for each processor.

    Raises:
        ConfigError: files or arguments do not fit, or a file cannot be written.
    """
    question = question_of(asked)
    kept = [asked.config, *(Path(name) for name in asked.traces)]
    for name, path in (("--report", page), ("--record", record)):
        if path is not None:
            if path.resolve() in [other.resolve() for other in kept]:
                raise ConfigError([f"{name}: {path} is read or written already; name another file"])
            _check_writable(name, path)
            kept.append(path)
    jobs = jobs_of(question, asked.seed, is_alone=is_alone, record=record)
    print(f"load   {question.load_told}\nplant  {question.plant_told}", flush=True)
    began_s = time.monotonic()
    quieten()
    with progress_bar() as progress:
        played = play_all(jobs, progress, processes)
    if not played.outcomes:
        print("ended before anything was played to its end", file=sys.stderr)
        return FAILED
    for line in told(question, played, price):
        print(line)
    try:
        page.write_text(page_of(question, played, price), encoding="utf-8")
    except OSError as err:
        raise ConfigError([f"--report: {page} cannot be written: {err.strerror}; name another file"]) from err
    print(f"\ntook {time.monotonic() - began_s:.0f} s; with pictures, for a browser: {page.absolute()}")
    return 0 if played.is_complete else FAILED


def jobs_of(question: Question, seed: int, *, is_alone: bool, record: Path | None) -> list[Job]:
    """Return what is to be played: the user's own settings first."""
    own, *others = (Job(variant, question.load_w, seed) for variant in variants_of(question.plant))
    own = Job(own.variant, own.load_w, seed, record)
    return [own] if is_alone else [own, *others, Job(own.variant, question.load_w, seed, is_death=True)]


def told(question: Question, played: Played, price: float | None) -> list[str]:
    """Return what is printed."""
    ended = [] if played.is_complete else ["It was ended before all settings were played."]
    dead = [] if played.dead_hour is None else [relay_told(played.dead_hour, question.clock_s)]
    table = figures_of(played.outcomes, price).lines()
    sentences = [*ended, *explanations(played.outcomes, price), *dead, *question.notes]
    return ["", *_wrapped(flows(played.outcomes[0].result)), "", *table, "", *_wrapped(sentences)]


def _wrapped(sentences: Sequence[str]) -> list[str]:
    return [line for sentence in sentences for line in textwrap.wrap(sentence, WIDTH)]


def _check_writable(name: str, path: Path) -> None:
    """Open a file as it will be opened at the end, before minutes are spent, and leave no empty one."""
    was_there = os.path.lexists(path)
    try:
        with path.open("a", encoding="utf-8"):
            pass
        if not was_there:
            path.unlink()
    except OSError as err:
        raise ConfigError([f"{name}: {path} cannot be written: {err.strerror}; name another file"]) from err
