"""Findings on stdout as they are made, and what is going on until the next one."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Mapping
from typing import TextIO

from opendtu_dcload.doctor.findings import Finding, Findings, Level

_COLOURS = {Level.OK: "32", Level.NOTE: "33", Level.PROBLEM: "1;31"}
"""ECMA-48, SGR: green, yellow, bold red."""
_ERASE = "\r\x1b[K"


class Screen:
    """Prints line by line; at a terminal in colour, and with a last line that changes.

    Args:
        out: where to.
        environ: `NO_COLOR` switches colours off (no-color.org), and so does `TERM` of a terminal that can do nothing.
    """

    def __init__(self, out: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self._out = out or sys.stdout or io.StringIO()  # whoever started it may have closed its output
        self._is_terminal = self._out.isatty() and environ.get("TERM") != "dumb"
        self._has_colour = self._is_terminal and not environ.get("NO_COLOR")
        self._phase = ""

    def findings(self) -> Findings:
        """Return an empty list whose findings are printed as they are made."""
        return Findings(self.show, self.show_progress)

    def show(self, finding: Finding) -> None:
        """Print a finding."""
        text = str(finding)
        if self._has_colour and finding.level in _COLOURS:
            level = str(finding.level)
            text = f"\x1b[{_COLOURS[finding.level]}m{level}\x1b[0m{text.removeprefix(level)}"
        self.print(text)

    def print(self, text: str) -> None:
        """Print lines, at once."""
        self.show_progress("")
        print(text, file=self._out, flush=True)

    def show_progress(self, phase: str, detail: str = "") -> None:
        """Show what is going on until the next line: a line that is written over, or one for each new phase.

        Args:
            phase: what is being done; empty = nothing any more.
            detail: what changes during it, at a terminal only.
        """
        if self._is_terminal:
            if phase or self._phase:
                line = ", ".join(filter(None, (phase, detail)))[: shutil.get_terminal_size().columns - 1]
                print(f"{_ERASE}{line}", end="", file=self._out, flush=True)
        elif phase not in {"", self._phase}:
            print(phase, file=self._out, flush=True)
        self._phase = phase
