"""A stand-in for `zoneinfo`, which pydantic imports for a type that we never use.

Venus OS keeps it in an opkg package of its own, and what opkg installs is lost with each firmware update.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType


def fill_gaps() -> None:
    """Let `import zoneinfo` succeed where the library lacks it. To be called before pydantic is imported."""
    if "zoneinfo" in sys.modules or find_spec("zoneinfo") is not None:
        return
    module = ModuleType("zoneinfo", "Stand-in of opendtu_dcload: this Python has no zoneinfo.")
    for name, base in (("ZoneInfo", object), ("ZoneInfoNotFoundError", KeyError)):
        setattr(module, name, type(name, (base,), {"__module__": "zoneinfo"}))
    sys.modules["zoneinfo"] = module
