"""What was found, how bad it is, and what to do about it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum

from opendtu_dcload.errors import ConfigError, DevicePauseError, ServiceError

Progress = Callable[[str, str], None]
"""Takes a phase, and what changes during it."""


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing has to be done."""
    PROBLEM = "problem"
    """The user must act; the exit code says so."""
    CHOICE = ""
    """One of several that a question is about."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    text: str
    advice: str = ""
    """What to do; empty when there is nothing to do, or when the text says it already."""
    block: str = ""
    """Lines to be pasted into the configuration."""

    def __str__(self) -> str:
        """Return it as a person reads it."""
        line = f"{self.level:<8} {self.text}"
        return "\n".join(part for part in (f"{line}: {self.advice}" if self.advice else line, self.block) if part)


class Findings:
    """All findings in their order.

    Args:
        show: called with each one as it is made: the next one may take seconds.
        show_progress: called with what is going on meanwhile, see `Screen.show_progress`.
    """

    def __init__(self, show: Callable[[Finding], None], show_progress: Progress = lambda _phase, _detail: None) -> None:
        self._show = show
        self._show_progress = show_progress
        self.found: list[Finding] = []

    def ok(self, text: str) -> None:
        """Note something that is as it should be."""
        self.add(Finding(Level.OK, text))

    def note(self, text: str, advice: str = "", block: str = "") -> None:
        """Note something worth knowing."""
        self.add(Finding(Level.NOTE, text, advice, block))

    def choice(self, number: int, text: str) -> None:
        """Show one of several answers to the question that follows."""
        self.add(Finding(Level.CHOICE, f"{number:>2}  {text}"))

    def problem(self, text: str, advice: str = "") -> None:
        """Note something that the user must change."""
        self.add(Finding(Level.PROBLEM, text, advice))

    def error(self, err: ServiceError) -> None:
        """Note what an error says; its text has the advice in it."""
        texts = err.problems if isinstance(err, ConfigError) else [str(err)]
        if isinstance(err, DevicePauseError):  # nobody tries again here
            texts = [err.problem]
        for text in texts:
            self.problem(text)

    def add(self, finding: Finding) -> None:
        """Keep a finding and show it."""
        self.found.append(finding)
        self._show(finding)

    def progress(self, phase: str, detail: str = "") -> None:
        """Tell what is being done, and what changes while it takes its time."""
        self._show_progress(phase, detail)

    @property
    def has_problems(self) -> bool:
        """Whether the user must act."""
        return self.has_problems_since(0)

    def summary(self) -> str:
        """Return how many there are of each level."""
        counts = Counter(finding.level for finding in self.found)
        notes, problems = counts[Level.NOTE], counts[Level.PROBLEM]
        return f"{counts[Level.OK]} ok, {_counted(notes, 'note')}, {_counted(problems, 'problem')}"

    def has_problems_since(self, number: int) -> bool:
        """Whether there are problems behind the first so many findings."""
        return any(finding.level is Level.PROBLEM for finding in self.found[number:])

    def as_json(self) -> str:
        """Return the list as JSON: objects with `level`, `text`, `advice` and `block`."""
        return json.dumps([asdict(finding) for finding in self.found], indent=1, ensure_ascii=False)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
