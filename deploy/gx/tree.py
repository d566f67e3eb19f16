"""What the installer asks of a tree of packages, with the GX's own Python: nothing but its core library is used.

    tree.py fits TREE         is it built for this Python and processor?
    tree.py imports TREE      can all of it be imported? (writes the bytecode, unless Python is called with -B)
    tree.py same TREE OTHER   the same files?
    tree.py accepts TREE FILE can the program use this configuration?

Exit code 0 for yes, else 1 with a sentence on stderr.
"""

import importlib
import os
import pkgutil
import sys
from importlib.machinery import EXTENSION_SUFFIXES

COMPILED = "pydantic_core", "_pydantic_core"
"""Every release of it has a compiled module whose file name tells Python version and processor."""

OPKG = {
    name: f"python3-{name}"
    for name in ("asyncio", "email", "html", "logging", "statistics", "tomllib", "unittest", "xml", "zoneinfo")
} | {"http": "python3-netclient", "urllib": "python3-netclient", "getpass": "python3-unixadmin"}
"""Which package of Venus OS holds a part of the standard library (openembedded-core: python3-manifest.json)."""
ALL_OF_IT = "python3-modules"
EXTRAS = ("aiomqtt", "paho")
"""What only some users need: a bundle has it, a bare `pip install` has not."""


def fits(tree: str) -> str:
    """Return why the tree's compiled modules cannot be loaded here, empty if they can."""
    folder, module = COMPILED
    built = [name[len(module) :] for name in os.listdir(f"{tree}/{folder}") if name.startswith(module + ".")]
    if any(suffix in EXTENSION_SUFFIXES for suffix in built):
        return ""
    here = f"Python {sys.version_info[0]}.{sys.version_info[1]} on {os.uname().machine}"
    return f"it is built for {' '.join(built)[1:-3]}, but here is {here}: take the bundle for that"


def imports(tree: str) -> str:
    """Return why a module of the program cannot be imported, empty if all can."""
    sys.path.insert(0, tree)
    names = [m.name for m in pkgutil.walk_packages([f"{tree}/opendtu_dcload"], "opendtu_dcload.", onerror=_ignore)]
    for name in ["opendtu_dcload", *names]:
        if name.endswith(".__main__"):
            continue
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as err:
            missing = (err.name or "").partition(".")[0]
            if missing in EXTRAS:
                continue
            package = OPKG.get(missing, ALL_OF_IT)
            return f"Python's module {missing} is missing: opkg update && opkg install {package}, then try again"
        except Exception as err:
            return f"{name} cannot be imported ({type(err).__name__}: {err})"
    return ""


def same(tree: str, other: str) -> str:
    """Return what differs first, empty if nothing does; bytecode does not count."""
    ours, theirs = _files(tree), _files(other)
    if ours != theirs:
        return f"{min(ours ^ theirs)} is in one only"
    for name in ours:
        with open(f"{tree}/{name}", "rb") as one, open(f"{other}/{name}", "rb") as two:
            if one.read() != two.read():
                return f"{name} differs"
    return ""


def accepts(tree: str, config: str) -> str:
    """Return what the program finds wrong in a configuration, empty if nothing."""
    sys.path.insert(0, tree)
    reading, errors = (importlib.import_module(f"opendtu_dcload.{name}") for name in ("config", "errors"))
    paths = importlib.import_module("pathlib")
    try:
        reading.load_config(paths.Path(config))
    except errors.ConfigError as err:
        return f"{config} is not taken: {'; '.join(err.problems)}"
    return ""


def _files(tree: str) -> set[str]:
    return {
        os.path.relpath(os.path.join(folder, name), tree)
        for folder, _, names in os.walk(tree)
        for name in names
        if not folder.endswith("__pycache__")
    }


def _ignore(_: str) -> None:
    """Leave the error to the import that follows."""


if __name__ == "__main__":
    question, *trees = sys.argv[1:]
    answers = {"fits": fits, "imports": imports, "same": same, "accepts": accepts}
    why = str(answers[question](*trees))  # type: ignore[operator]  # two of them ask for two
    if why:
        sys.exit(f"opendtu-dcload: {why}")
