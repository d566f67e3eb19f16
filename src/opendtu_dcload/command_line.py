"""What may stand on the command line, and the one sentence that a wrong argument gets."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from datetime import date
from typing import Any, NoReturn

WRONG = 2
"""Exit code of a command line that the user must correct."""
LONGEST_SHOWN = 40
_WORDS = {"ignored explicit argument": "it takes no value, leave out"}
"""What argparse itself calls a mistake, and what a user reads."""


class Parser(argparse.ArgumentParser):
    """Says of a mistake what, where and what to do, without the usage of everything."""

    def parse(self, argv: Sequence[str] | None) -> argparse.Namespace:
        """Return the arguments; a mistake in them ends the program with `WRONG`."""
        arguments, unknown = self.parse_known_args(argv)
        if unknown:
            command = getattr(arguments, "command", None)
            self.error(f"{_shown(unknown[0])} means nothing {f'to {command}' if command else 'here'}: leave it out")
        return arguments

    def error(self, message: str) -> NoReturn:
        """End with a sentence on stderr."""
        for theirs, ours in _WORDS.items():
            message = message.replace(theirs, ours)
        self.exit(WRONG, f"{message.removeprefix('argument ')}; {self.prog} --help tells more\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End the program once the help is printed; an OSError says that it cannot be."""
        if status == 0:
            print(end="", flush=True)
        super().exit(status, message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, f"{_shown(value)} is none of: {', '.join(action.choices)}")

    def _match_argument(self, action: argparse.Action, arg_strings_pattern: str) -> int:
        try:
            return super()._match_argument(action, arg_strings_pattern)
        except argparse.ArgumentError as err:
            wanted = action.metavar or action.dest.upper()
            raise argparse.ArgumentError(action, f"{wanted} is missing behind it") from err


def count(text: str) -> int:
    """Read a number of repetitions, at least 1."""
    number = seed(text)
    if number < 1:
        raise _wrong(text, "at least 1")
    return number


def seed(text: str) -> int:
    """Read a whole number."""
    try:
        return int(text)
    except ValueError as err:
        raise _wrong(text, "a whole number such as 3") from err


def day(text: str) -> date:
    """Read a day."""
    try:
        return date.fromisoformat(text)
    except ValueError as err:
        raise _wrong(text, "a day such as 2026-03-01") from err


def hours(text: str) -> tuple[float, float]:
    """Read from and to which hour of a day."""
    match = re.fullmatch(r"(\d{1,2})(?::(\d{2}))?-(\d{1,2})(?::(\d{2}))?", text)
    begin, end = (int(match[n]) + int(match[n + 1] or 0) / 60 for n in (1, 3)) if match else (0.0, 0.0)
    if not 0 <= begin < end <= 24:
        raise _wrong(text, "hours of a day such as 17-22 or 6:30-9")
    return begin, end


def power_w(text: str) -> float:
    """Read a power in W."""
    return _bounded(text, 1.0, 20_000.0, "W")


def price(text: str) -> float:
    """Read the price of a kWh, in whatever money."""
    return _bounded(text.replace(",", "."), 0.0, 1000.0, "for a kWh")


def duration_s(text: str) -> float:
    """Read a time in s, above 0."""
    number = _number(text)
    if not 0 < number < math.inf:
        raise _wrong(text, "a number of seconds above 0")
    return number


def _bounded(text: str, lowest: float, highest: float, unit: str) -> float:
    number = _number(text)
    if not lowest <= number <= highest:
        raise _wrong(text, f"a number from {lowest:g} to {highest:g} {unit}")
    return number


def _number(text: str) -> float:
    """Return what a text says; nan, which is within no bounds, when that is no number."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _wrong(text: str, wanted: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"{_shown(text)} does not fit: write {wanted}")


def _shown(text: object) -> str:
    return repr(str(text)[:LONGEST_SHOWN])
