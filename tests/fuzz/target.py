"""What all targets have in common: where their inputs come from, and what may come of one."""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
import logging
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from opendtu_dcload.errors import ConfigError, ServiceError
from tests.config.correct_config import SECRET

CORPUS = Path(__file__).parent / "corpus"
_LONGEST_SENTENCE = 2000

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Target:
    """One door."""

    name: str
    """Its folder in the corpus too."""
    play: Callable[[bytes], bool]
    """Takes an input; returns whether there was something in it to be taken. Raises when what comes of it may not."""
    recorded: Callable[[], Sequence[bytes]]
    """Gives inputs that devices, services or users have made."""
    share: int = 10
    """Of a million inputs, beside the other targets' shares: doors that take long get less."""

    def corpus(self) -> dict[str, bytes]:
        """Return the inputs that were thought of, by file name."""
        return {path.name: path.read_bytes() for path in sorted((CORPUS / self.name).iterdir())}

    def seeds(self) -> list[bytes]:
        """Return all inputs to begin with."""
        return [*self.corpus().values(), *self.recorded()]

    def usable_seeds(self) -> list[bytes]:
        """Return those that are taken as they are: what is spoilt already gets no further than its first mistake."""
        return [data for data in self.seeds() if self.check(data)]

    def check(self, data: bytes) -> bool:
        """Play an input, and look at what the log said meanwhile."""
        _JUDGE.problems.clear()
        is_taken = self.play(data)
        assert not _JUDGE.problems, _JUDGE.problems
        return is_taken


class _Judge(logging.Handler):
    """Finds what may not stand in a log."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info is not None or not text.isprintable() or SECRET in text:
            self.problems.append(f"log: {text!r} {record.exc_info or ''}")


_JUDGE = _Judge()
logging.getLogger("opendtu_dcload").addHandler(_JUDGE)


def check_refusal(error: ServiceError, *, may_name_secret: bool = False) -> None:
    """Fail unless an error is a line, or some, for people."""
    lines = error.problems if isinstance(error, ConfigError) else [str(error)]
    assert lines
    for line in lines:
        assert line.strip(), "an empty sentence"
        assert line.isprintable(), f"more than a line: {line!r}"
        assert len(line) <= _LONGEST_SENTENCE, line
    if not may_name_secret:
        cause: BaseException | None = error
        while cause is not None:
            assert SECRET not in str(cause), f"the password is shown: {cause!r}"
            cause = cause.__cause__ or cause.__context__


def check_number(value: object, low: float, high: float) -> None:
    """Fail unless a value is None, or a number from `low` to `high`."""
    if value is None:
        return
    assert isinstance(value, int | float), value
    assert not isinstance(value, bool), value
    assert math.isfinite(value), value
    assert low <= value <= high, value


def check_text(text: object) -> None:
    """Fail unless a text can be shown on a terminal and on the bus."""
    assert isinstance(text, str), text
    assert text.isprintable(), text
    text.encode()


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    atexit.register(loop.close)
    return loop


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end, always on the same event loop: a new one costs more than an input."""
    return _loop().run_until_complete(coroutine)


def lines_of(data: bytes) -> dict[str, bytes]:
    """Return body by head of the lines `head = body`; other lines are left out."""
    found = {}
    for line in data.split(b"\n"):
        head, mark, body = line.partition(b" = ")
        if mark:
            found[head.decode("utf-8", "replace").strip()] = body
    return found


def as_lines(bodies: Mapping[str, object]) -> bytes:
    """Return documents as lines `head = body`."""
    return "".join(f"{head} = {json.dumps(body, ensure_ascii=False)}\n" for head, body in bodies.items()).encode()


def parsed(body: bytes) -> Any:
    """Return a body as loose JSON, with NaN and infinity, its own text when it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
