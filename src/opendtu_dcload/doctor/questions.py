"""Questions to somebody at the terminal, and what counts as an answer, in English and in German."""

from __future__ import annotations

import re
import sys
import termios
from collections.abc import Callable

from opendtu_dcload.errors import ServiceError

Ask = Callable[[str], str]
"""Puts a question to the user and returns the answer, stripped; empty when there is none."""

YES = frozenset(["y", "yes", "yep", "yeah", "yup", "ok", "okay", "j", "ja", "jo", "jep", "jap", "jawohl"])
NO = frozenset(["n", "no", "nope", "nah", "nein", "nee", "ne", "nö"])
LONGEST_QUOTED = 40
_VOLTAGE = re.compile(r"([0-9]+(?:[.,][0-9]*)?)\s*(?:v|volts?|v\s?dc)?", re.IGNORECASE)


def ask_user(text: str) -> str:
    """Ask at the terminal, beside what a program may read on stdout.

    Raises:
        ServiceError: the user left instead of answering.
    """
    return _answer(_read_line, text)


def ask_secret(text: str) -> str:
    """Ask at the terminal without showing what is typed; raises as `ask_user`."""
    return _answer(_read_unseen, text)


def is_yes(ask: Ask, question: str, *, otherwise: bool = False) -> bool:
    """Ask until the answer is a yes or a no; an empty one is `otherwise`."""
    choice = "[Y/n]" if otherwise else "[y/N]"
    text = f"{question} {choice} "
    while answer := ask(text).strip():
        word = answer.strip(".,! ").casefold()
        if word in YES:
            return True
        if word in NO:
            return False
        text = f"{quoted(answer)} is neither yes nor no. {question} {choice} "
    return otherwise


def voltage_v(answer: str) -> float | None:
    """Return the voltage in an answer such as `49.5`, `49,5` or `48 V`; None when it is none."""
    match = _VOLTAGE.fullmatch(answer.strip())
    return float(match[1].replace(",", ".")) if match else None


def quoted(answer: str) -> str:
    """Return what was typed as it may be shown again."""
    return ascii(answer[:LONGEST_QUOTED]) if not answer.isprintable() else f'"{answer[:LONGEST_QUOTED]}"'


def _read_line(text: str) -> str:
    print(text, end="", file=sys.stderr, flush=True)
    if not (line := sys.stdin.readline()):
        raise EOFError
    return line


def _read_unseen(text: str) -> str:
    """Read a line that the terminal does not show; `getpass` is a package of its own on a GX, and need not be there."""
    try:
        shown = termios.tcgetattr(sys.stdin)
    except (termios.error, ValueError):  # no terminal
        return _read_line(text)
    unseen = [*shown[:3], shown[3] & ~termios.ECHO, *shown[4:]]
    try:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, unseen)
        return _read_line(text)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, shown)
        print(file=sys.stderr)


def _answer(read: Ask, text: str) -> str:
    try:
        return read(text).strip().encode(errors="replace").decode()  # what cannot be sent is as good as a wrong answer
    except EOFError as err:
        raise ServiceError("left at a question: nothing was done") from err
    except UnicodeDecodeError:  # a terminal with another character set
        return "\N{REPLACEMENT CHARACTER}"
