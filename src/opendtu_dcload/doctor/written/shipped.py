"""The config.toml that comes with the program."""

from __future__ import annotations

import sys
from pathlib import Path

from opendtu_dcload.errors import ConfigError

NAME = "config.toml"


def shipped_file() -> Path:
    """Return where the config.toml is that comes with the program.

    Raises:
        ConfigError: it is missing.
    """
    package = Path(__file__).parents[2]
    # beside the packages (`pip install --target`, the GX), in a virtual environment, in a checkout
    shares = (package.parent / "share", Path(sys.prefix) / "share")
    for place in (*(share / "opendtu-dcload" / NAME for share in shares), package.parents[1] / NAME):
        if place.is_file():
            return place
    raise ConfigError([f"the {NAME} that comes with the program is missing; install the program anew"])


def shipped_text() -> str:
    """Return the config.toml that comes with the program.

    Raises:
        ConfigError: it is missing.
    """
    return shipped_file().read_text(encoding="utf-8")


def can_be_written(path: Path) -> bool:
    """Whether there is no such file, or one that an installer put there and nobody has filled in.

    Raises:
        ConfigError: there is nothing to compare it with.
    """
    shipped = shipped_file()
    try:
        # in a checkout it is no copy
        return not path.exists() or (not path.samefile(shipped) and path.read_bytes() == shipped.read_bytes())
    except OSError:
        return False


def is_shipped(path: Path) -> bool:
    """Whether this is the very file that comes with the program, as in a checkout."""
    try:
        return path.samefile(shipped_file())
    except OSError:
        return False
