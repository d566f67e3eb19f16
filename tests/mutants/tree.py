"""A copy of the tree that may be broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.mutant import SOURCE, Mutant

ROOT = Path(__file__).parents[2]
LEFT_OUT = (".*", "__pycache__", "build", "dist", "*.egg-info")
LONGEST_TEST_S = 90
"""A break may make a test wait for ever."""


class Tree:
    """Runs tests with its own copy of the product."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))

    def imported(self) -> Path:
        """Return where Python takes the product from here: an editable installation would lead to the original."""
        argv = [sys.executable, "-c", "import opendtu_dcload; print(opendtu_dcload.__file__)"]
        ended = subprocess.run(argv, cwd=self._folder, env=self._environ(), capture_output=True, text=True, check=True)
        return Path(ended.stdout.strip())

    @property
    def is_its_own(self) -> bool:
        """Whether the copy, and not the original, is what is imported."""
        return self.imported().is_relative_to(self._folder)

    def run(self, tests: Sequence[str]) -> tuple[int, str]:
        """Run tests until one fails; return pytest's exit code and what it said."""
        argv = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"--timeout={LONGEST_TEST_S}"]
        ended = subprocess.run(
            [*argv, *tests], cwd=self._folder, env=self._environ(), capture_output=True, text=True, check=False
        )
        return ended.returncode, ended.stdout + ended.stderr

    def run_broken(self, mutant: Mutant) -> tuple[int, str]:
        """Run the mutant's test with the mutant in place, and mend the copy again; raises as `Mutant.broken`."""
        original, copy = ROOT / SOURCE / mutant.file, self._folder / SOURCE / mutant.file
        copy.write_text(mutant.broken(original.read_text()))
        try:
            return self.run([mutant.node])
        finally:
            shutil.copy2(original, copy)  # with its time, so that what was compiled from it is valid again

    def _environ(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self._folder / "src")}
