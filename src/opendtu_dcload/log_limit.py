"""Lines of the log that repeat: a fault that comes and goes all night must not push out the line that explains it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

MOST_AT_ONCE = 10
"""So many lines of a kind come as they are."""
EVERY_S = 360.0
"""After these, one of the kind in so long: some 250 a day."""
MOST_KINDS = 200
_NUMBERS = re.compile(r"\b\d+(?= (?:(?:s|W|Wh|V|A|°C)\b|%))")
"""What was measured. Numbers in names and addresses stay: each device has its own lines."""


@dataclass(slots=True)
class _Kind:
    left: float
    at_s: float
    kept_back: int = 0


class LogLimit(logging.Filter):
    """Lets lines that differ in nothing but what was measured through at a limited rate, and counts the others.

    Debug lines are not limited: whoever wants these wants all.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` tells monotonic time in s."""
        super().__init__()
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the line is to be written; it tells how many like it were not."""
        if record.levelno <= logging.DEBUG:
            return True
        message, now_s = record.getMessage(), self._clock()
        name = _NUMBERS.sub("", message)
        kind = self._kinds.pop(name, None) or _Kind(MOST_AT_ONCE, now_s)
        self._kinds[name] = kind
        if len(self._kinds) > MOST_KINDS:
            del self._kinds[next(iter(self._kinds))]
        kind.left, kind.at_s = min(kind.left + (now_s - kind.at_s) / EVERY_S, MOST_AT_ONCE), now_s
        if kind.left < 1:
            kind.kept_back += 1
            return False
        kind.left -= 1
        if kind.kept_back:
            record.msg, record.args = "%s (and %d times more, not shown)", (message, kind.kept_back)
            kind.kept_back = 0
        return True
