"""Write `requirements.txt`: the newest packages that the bundles may hold, each with the hashes of its wheels.

    make pins

takes wheels for each processor and Python that a bundle can be built for. `build.py` installs nothing else, and no file
whose bytes are others.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from build import ARCHITECTURES, EXTRAS, PINS, build_wheel, platforms

PYTHONS = ("3.11", "3.12", "3.13")
HEAD = "# What a bundle installs beside the program, no file with other bytes. Written by deploy/pin.py: `make pins`."


def main() -> int:
    """Look at the newest wheels of all processors and write the file."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder))
        taken = Path(folder) / "taken"
        for arch in ARCHITECTURES:
            for python in PYTHONS:
                _take(wheel, arch, python, taken)
        PINS.write_text("\n".join([HEAD, *pins(file for file in taken.glob("*.whl") if file.name != wheel.name)]))
    return 0


def pins(wheels: Iterable[Path]) -> list[str]:
    """Return the lines that allow these wheels and no others.

    Raises:
        SystemExit: two versions of one package, so that no line can name both.
    """
    hashes: dict[str, set[str]] = {}
    versions: dict[str, str] = {}
    for wheel in wheels:
        package, version = wheel.name.split("-")[:2]
        package = package.replace("_", "-")
        if versions.setdefault(package, version) != version:
            sys.exit(f"pin.py: {package} {version} and {versions[package]}: bound it in pyproject.toml")
        hashes.setdefault(package, set()).add(hashlib.sha256(wheel.read_bytes()).hexdigest())
    lines = []
    for package, found in sorted(hashes.items()):
        allowed = "".join(f" \\\n    --hash=sha256:{digest}" for digest in sorted(found))
        lines.append(f"{package}=={versions[package]}{allowed}")
    return [*lines, ""]


def _take(wheel: Path, arch: str, python: str, folder: Path) -> None:
    options = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python, *platforms(arch)]
    pip = [sys.executable, "-m", "pip", "--quiet", "download", *options, "--dest", str(folder), f"{wheel}[{EXTRAS}]"]
    if code := subprocess.run(pip, check=False).returncode:  # noqa: S603  pip, and what this file puts together
        sys.exit(f"pin.py: pip ended with code {code}: what it says stands above")


if __name__ == "__main__":
    sys.exit(main())
