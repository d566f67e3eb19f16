"""One deliberate break of the product, and the test that has to notice it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SOURCE = Path("src/opendtu_dcload")
TESTS = Path("tests")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A small break, and a fast test that turns red by it."""

    name: str
    """What the broken product does."""
    file: str
    """Below `src/opendtu_dcload`."""
    right: str
    """A piece of the file that occurs in it once."""
    wrong: str
    """What takes its place."""
    test_file: str
    """Below `tests`."""
    test: str
    """Its name, with a parameter where one alone is enough."""

    @property
    def node(self) -> str:
        """Name the test as pytest does."""
        return f"{TESTS / self.test_file}::{self.test}"

    def broken(self, source: str) -> str:
        """Return the file's text with the break in it.

        Raises:
            ValueError: what is to be broken does not occur, or more than once.
        """
        if (count := source.count(self.right)) != 1:
            raise ValueError(f"{self.file} has {self.right!r} {count} times, not once: adapt the mutant {self.name!r}")
        return source.replace(self.right, self.wrong)


Rows = dict[str, tuple[Mutant, ...]]
"""By what must always hold, as docs/safety.md promises it."""
