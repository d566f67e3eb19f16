"""How the user calls this program, so that a command in a message can be typed as it stands."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

VARIABLE = "OPENDTU_DCLOAD_COMMAND"
"""Environment variable of a script that starts the program: what its user typed."""
_MODULE = "opendtu_dcload"


def command(*arguments: str | Path) -> str:
    """Return a command line of this program for a message."""
    return " ".join([program(), *(shlex.quote(str(argument)) for argument in arguments)])


def program(environ: Mapping[str, str] = os.environ, typed: Sequence[str] = sys.orig_argv) -> str:
    """Return what the program was called by: its name where the shell finds it, a path, or `python -m`.

    Args:
        environ: may hold `VARIABLE`, and `PATH`.
        typed: the interpreter with all of its arguments.
    """
    if called := environ.get(VARIABLE):
        return _shortest(called, environ)
    if "-m" in typed and typed[typed.index("-m") + 1 :][:1] == [_MODULE]:
        return f"{shlex.quote(typed[0])} -m {_MODULE}"
    script = next((word for word in typed[1:] if Path(word).name == "opendtu-dcload"), "opendtu-dcload")
    return _shortest(script, environ)


def _shortest(script: str, environ: Mapping[str, str]) -> str:
    """Return the script's bare name if the shell finds this very script by it."""
    found = shutil.which(Path(script).name, path=environ.get("PATH", os.defpath))
    is_it = found is not None and Path(found).resolve() == Path(script).resolve()
    return shlex.quote(Path(script).name if is_it else script)
