"""Starts and stops the stand-in for localsettings, and looks into its files."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

STAND_IN = Path(__file__).with_name("localsettings_stand_in.py")


class SettingsProcess:
    """A localsettings that keeps its file when it is stopped."""

    def __init__(self, python: str, address: str, folder: Path) -> None:
        self._argv = [python, str(STAND_IN), address, str(folder / "settings.json"), str(folder / "written")]
        self._file = folder / "settings.json"
        self._written = folder / "written"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._argv, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def stop(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._process = None

    def pause(self) -> None:
        """Let it hang."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def values(self) -> dict[str, Any]:
        """What is kept, by path."""
        known = json.loads(self._file.read_text()) if self._file.exists() else {}
        return {path: entry["value"] for path, entry in known.items()}

    @property
    def written(self) -> list[tuple[str, Any]]:
        """Everything that SetValue accepted."""
        lines = self._written.read_text().splitlines() if self._written.exists() else []
        return [(path, value) for path, value in map(json.loads, lines)]
