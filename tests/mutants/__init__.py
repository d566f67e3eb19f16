"""Do the tests see what must never happen? Deliberate breaks of the product, each with a test that has to turn red."""

from __future__ import annotations

from tests.mutants import command_rows, guard_rows, program_rows
from tests.mutants.mutant import Rows

ROWS: Rows = command_rows.ROWS | guard_rows.ROWS | program_rows.ROWS
